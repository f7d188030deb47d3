"""Does the server prove that its certificate is good, by a stapled OCSP response?"""

from __future__ import annotations

from typing import Final

from scanner.evidence import Deployment, Extension, Failure, FailureReason
from scanner.rules.certificates import fixes
from scanner.rules.certificates.staples import STAPLE_HOW, UNVERIFIED, current_staple, end_of_staple
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    fails,
    indeterminate,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity

_DISLIKED: Final = "status-request"
"""The survey's word for what is not stood."""
_STAPLED = {
    "sent": passes("A current OCSP response is stapled."),
    "not-sent": fails("No OCSP response is stapled."),
    "not-known": fails("The stapled OCSP response says that the responder does not know the certificate."),
    "unverified": UNVERIFIED,
    "stale": fails("The stapled OCSP response is out of date: it expired on {observed}."),
}


def _judge_staple(facts: Facts, deployment: Deployment) -> list[Finding]:
    expected = "a current OCSP response"
    if deployment.staple is None and (gap := _not_asked_for(facts)) is not None:
        return [not_observed(gap)]
    if deployment.staple is None:
        return [Finding("not-sent", "no staple", expected)]
    if not current_staple(deployment.staple, facts.now):
        return [Finding("stale", end_of_staple(deployment.staple), expected)]
    if deployment.staple.certificate_status == "unknown":
        # Browsers take it for none. Whose word it is can only be told where its signature could be checked.
        reason = "not-known" if deployment.staple.verified else "unverified"
        return [Finding(reason, deployment.staple.certificate_status, expected)]
    return [Finding("sent", deployment.staple.certificate_status, expected)]


def _not_asked_for(facts: Facts) -> Failure | None:
    """Why no staple could be sent: to a server that answers no hello which asks for one, none does."""
    tls = facts.evidence.tls.value
    if tls is None or tls.intolerances.value is None:
        lost = tls.intolerances.failure if tls is not None else None
        # The engine that looks for no intolerances asks for a staple, and is answered.
        return lost if lost is not None and lost.reason is not FailureReason.NOT_RUN else None
    if _DISLIKED not in tls.intolerances.value:
        return None
    return Failure(FailureReason.UNSUPPORTED, "the server answers no hello that asks for a staple")


@rule(
    "cert.must-staple",
    title="A must-staple certificate is stapled",
    goal=Goal.AUTHENTICITY,
    severity=Severity.HIGH,
    of=Deployment,
    why="The certificate tells clients to refuse it without a stapled OCSP response.",
    how=STAPLE_HOW + " The certificate's TLS feature extension shows whether it requires one.",
    sources=(rfc(7633, "4"),),
    reasons={
        **_STAPLED,
        "not-demanded": not_applicable("The certificate does not demand a staple."),
        "unreadable": indeterminate("The extension that would demand a staple is malformed."),
    },
    fix=fixes.STAPLE,
    mistake=fixes.NOT_STAPLED,
)
def _must_staple(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    if deployment.leaf.unreadable(Extension.TLS_FEATURE):
        return [Finding("unreadable", "a malformed TLS feature extension")]
    if not deployment.leaf.must_staple:
        return [Finding("not-demanded")]
    return _judge_staple(facts, deployment)


@rule(
    "cert.stapled",
    title="An OCSP response is stapled",
    goal=Goal.AUTHENTICITY,
    severity=Severity.INFO,
    of=Deployment,
    why="A staple proves that the certificate was good today, without each visitor having to ask the CA and so reveal "
    "the site visited.",
    how=STAPLE_HOW + " Where the certificate names no OCSP responder there is nothing to staple.",
    sources=(rfc(6066, "8"), rfc(9325, "7.5")),
    reasons={
        **_STAPLED,
        "no-responder": not_applicable("The certificate names no OCSP responder."),
        "unreadable": indeterminate("The extension that would name an OCSP responder is malformed."),
    },
    fix=fixes.STAPLE,
    mistake=fixes.NOT_STAPLED,
)
def _stapled(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    if deployment.leaf.unreadable(Extension.AUTHORITY_INFO_ACCESS) and deployment.staple is None:
        return [Finding("unreadable", "a malformed authorityInfoAccess extension")]
    if not deployment.leaf.ocsp_urls and deployment.staple is None:
        return [Finding("no-responder")]
    return _judge_staple(facts, deployment)
