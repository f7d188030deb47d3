"""What a rule judges: a kind of evidence (`@rule(…, of=TlsEvidence)`), handed over where there is any.

That there is none is said here, once for all rules of a kind. A kind that only one area knows is declared there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from msgspec import Struct, structs

from scanner.evidence import Deployment, FailureReason, HttpEvidence, TlsEvidence
from scanner.inventory import Role
from scanner.rules.registry.facts import Facts, Parameters
from scanner.rules.registry.finding import Finding, Reason, indeterminate, not_applicable, not_observed

E = TypeVar("E")
EvidenceJudge = Callable[[E], Iterable[Finding]]
"""A rule's own function, with the facts and the parameters filled in."""
Apply = Callable[[Facts, Parameters, EvidenceJudge[E]], Iterable[Finding]]
"""Lets evidence be judged, once or for each of its parts, or says why there is none."""


class Judged(Struct, Generic[E], frozen=True):
    """A kind of evidence: how rules are handed it, and the reasons that this may give in their place."""

    apply: Apply[E]
    reasons: Mapping[str, Reason]


_KINDS: dict[type, Judged[Any]] = {}


def judged(kind: type[E], reasons: Mapping[str, Reason]) -> Callable[[Apply[E]], Apply[E]]:
    """Declare the decorated function the way in which rules get evidence of a kind."""

    def register(apply: Apply[E]) -> Apply[E]:
        _KINDS[kind] = Judged(apply, reasons)
        return apply

    return register


def judged_as(kind: type[E]) -> Judged[E]:
    """How rules get evidence of a kind.

    Raises:
        KeyError: nobody declared it.
    """
    return _KINDS[kind]


NO_TLS = {"no-tls": not_applicable("The endpoint does not speak TLS; https.active reports that.")}
NOT_HTTP = {"not-http": not_applicable("The endpoint does not speak HTTP.")}


class IssuerParameters(Parameters):
    """Parameters of rules that a source makes for public CAs."""

    private: bool = True
    """Whether certificates of a private CA are judged too."""


PRIVATE = {
    "private-ca": not_applicable("The certificate is from a private CA, which the policy does not judge."),
    "issuer-unknown": indeterminate("Whether the certificate is from a public or a private CA was not checked."),
}
"""Reasons of rules with `IssuerParameters`."""


def tls_of(facts: Facts) -> TlsEvidence | Finding:
    """The target's TLS evidence, or the finding that says why there is none to judge."""
    attempt = facts.evidence.tls
    if attempt.value is not None:
        return attempt.value
    if attempt.failure is not None and attempt.failure.reason is FailureReason.NOT_TLS:
        return Finding("no-tls")
    return not_observed(attempt.failure)


def http_of(facts: Facts) -> HttpEvidence | Finding:
    """What HTTP answered at the target, or the finding that says why there is nothing to judge."""
    if facts.target.endpoint.role is Role.SERVER:
        return Finding("not-http")
    http = facts.evidence.http
    return http.value if http.value is not None else not_observed(http.failure)


@judged(TlsEvidence, NO_TLS)
def _tls(facts: Facts, _parameters: Parameters, judge: EvidenceJudge[TlsEvidence]) -> Iterable[Finding]:
    tls = tls_of(facts)
    return [tls] if isinstance(tls, Finding) else judge(tls)


@judged(HttpEvidence, NOT_HTTP)
def _http(facts: Facts, _parameters: Parameters, judge: EvidenceJudge[HttpEvidence]) -> Iterable[Finding]:
    http = http_of(facts)
    return [http] if isinstance(http, Finding) else judge(http)


@judged(Deployment, NO_TLS)
def _each_deployment(facts: Facts, parameters: Parameters, judge: EvidenceJudge[Deployment]) -> Iterable[Finding]:
    """One finding for each certificate, the worst where it is deployed in several ways.

    Where the server has several certificates, the finding's subject is the certificate's short fingerprint. Where there
    may be certificates that nobody saw, one more finding says so. `IssuerParameters` may leave out private CAs'.
    """
    deployments = deployments_of(facts)
    if isinstance(deployments, Finding):
        return [deployments]
    several = len({item.leaf.fingerprint for item in deployments}) > 1
    leave_out = isinstance(parameters, IssuerParameters) and not parameters.private
    findings = [
        structs.replace(finding, subject=item.leaf.short_fingerprint if several else "")
        for item in deployments
        for finding in (leave_out and _left_out(item)) or judge(item)
    ]
    return [*findings, *unseen_certificates(facts)]


def _left_out(deployment: Deployment) -> list[Finding]:
    public = deployment.publicly_trusted
    if public:
        return []
    return [Finding("issuer-unknown" if public is None else "private-ca")]


def deployments_of(facts: Facts) -> tuple[Deployment, ...] | Finding:
    """What the server presents to clients that ask for this host, or the finding that says why it is unknown."""
    tls = tls_of(facts)
    if isinstance(tls, Finding):
        return tls
    deployments = tls.certificates.value
    if not deployments:
        return not_observed(tls.certificates.failure)
    named = tuple(item for item in deployments if item.with_sni)
    if not named and tls.certificates.incomplete and not facts.target.endpoint.is_address:
        return not_observed(tls.certificates.incomplete)
    return named or deployments


def unseen_certificates(facts: Facts) -> list[Finding]:
    """The finding for certificates that the server may have beside those that were seen; none where all were."""
    tls = facts.evidence.tls.value
    incomplete = tls.certificates.incomplete if tls else None
    return [not_observed(incomplete)] if incomplete else []
