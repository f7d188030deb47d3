"""Which certificates of a server the rules judge, and how findings over several of them are told apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scanner.rules.registry.rule import (
    Facts,
    Finding,
    Parameters,
    Reason,
    indeterminate,
    not_applicable,
    not_observed,
    tls_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scanner.evidence import Certificate, Deployment

FINGERPRINT_SHOWN = 16
"""Hexadecimal digits of a fingerprint that stand for a certificate in a verdict's subject."""

CERTIFICATES_HOW = (
    "The chain is read from the handshake, of each key type that the server has a certificate of. What it serves to "
    "clients that name no host is judged only where the host is an address, as no browser sees it otherwise."
)


class IssuerParameters(Parameters):
    """Parameters of rules that a source makes for public CAs."""

    private: bool = True
    """Whether certificates of a private CA are judged too."""


PRIVATE_REASONS: Mapping[str, Reason] = {
    "private-ca": not_applicable("The certificate is of a private CA, which the policy does not judge."),
    "issuer-unknown": indeterminate("Nobody looked whether the certificate is of a public or a private CA."),
}
"""Reasons of rules with `IssuerParameters`."""


def short(certificate: Certificate) -> str:
    """The beginning of its fingerprint, enough to tell it from any other."""
    return certificate.fingerprint[:FINGERPRINT_SHOWN]


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


def judge_deployments(
    facts: Facts, judge: Callable[[Deployment], Iterable[Finding]], issuers: IssuerParameters | None = None
) -> list[Finding]:
    """Judge every deployment: one finding for each certificate, the worst where it is deployed in several ways.

    Where the server has several certificates, the finding's subject is the certificate's short fingerprint. `issuers`
    may leave out those of private CAs. Where there may be certificates that nobody saw, one more finding says so.
    """
    deployments = deployments_of(facts)
    if isinstance(deployments, Finding):
        return [deployments]
    several = len({item.leaf.fingerprint for item in deployments}) > 1
    findings = [
        replace(finding, subject=short(item.leaf) if several else "")
        for item in deployments
        for finding in (_left_out(item, issuers) or judge(item))
    ]
    return [*findings, *unseen_certificates(facts)]


def unseen_certificates(facts: Facts) -> list[Finding]:
    """The finding for certificates that the server may have beside those that were seen; none where all were."""
    tls = facts.evidence.tls.value
    incomplete = tls.certificates.incomplete if tls else None
    return [not_observed(incomplete)] if incomplete else []


def _left_out(deployment: Deployment, issuers: IssuerParameters | None) -> list[Finding]:
    if issuers is None or issuers.private:
        return []
    public = publicly_trusted(deployment)
    if public:
        return []
    return [Finding("issuer-unknown" if public is None else "private-ca")]


def publicly_trusted(deployment: Deployment) -> bool | None:
    """Whether its chain leads to a root of the public web; None where no path was looked for."""
    if not deployment.paths:
        return None
    return any(path.trusted and path.publicly_trusted for path in deployment.paths)


def below_root(deployment: Deployment) -> tuple[Certificate, ...]:
    """The leaf and every other certificate that is not self-signed: those whose signatures count."""
    leaf, *others = deployment.chain
    return (leaf, *(item for item in others if not item.self_signed))
