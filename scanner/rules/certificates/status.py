"""Does the server prove that its certificate is good: staples, transparency?"""

from __future__ import annotations

from datetime import timedelta

from scanner.counting import counted
from scanner.evidence import Deployment, Extension
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import CERTIFICATES_HOW
from scanner.rules.certificates.staples import STAPLE_HOW, UNVERIFIED, current_staple, end_of_staple
from scanner.rules.registry import Facts, Finding, Parameters, fails, indeterminate, not_applicable, passes, rule
from scanner.rules.registry.sources import CHROME_CT, rfc
from scanner.verdict import Goal, Severity

_STAPLED = {
    "sent": passes("A current OCSP response is stapled."),
    "not-sent": fails("No OCSP response is stapled."),
    "not-known": fails("The stapled OCSP response says that the responder does not know the certificate."),
    "unverified": UNVERIFIED,
    "stale": fails("The stapled OCSP response is not of today: it ended on {observed}."),
}


def _judge_staple(facts: Facts, deployment: Deployment) -> list[Finding]:
    expected = "a current OCSP response"
    if deployment.staple is None:
        return [Finding("not-sent", "no staple", expected)]
    if not current_staple(deployment.staple, facts.now):
        return [Finding("stale", end_of_staple(deployment.staple), expected)]
    if deployment.staple.certificate_status == "unknown":
        # Browsers take it for none. Whose word it is can only be told where its signature could be checked.
        reason = "not-known" if deployment.staple.verified else "unverified"
        return [Finding(reason, deployment.staple.certificate_status, expected)]
    return [Finding("sent", deployment.staple.certificate_status, expected)]


@rule(
    "cert.must-staple",
    title="A must-staple certificate is stapled",
    goal=Goal.AUTHENTICITY,
    severity=Severity.HIGH,
    of=Deployment,
    why="The certificate tells clients to refuse it without a stapled OCSP response.",
    how=STAPLE_HOW + " The certificate's TLS feature extension tells whether it demands one.",
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
    why="A staple proves that the certificate was good today, without each visitor asking the CA and so telling it "
    "where he goes.",
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


class TransparencyParameters(Parameters):
    """Parameters of cert.transparency."""

    short_days: int = 180
    """Certificates that live longer need `many` embedded SCTs, the others `few`."""
    few: int = 2
    """SCTs embedded in a short-lived certificate."""
    many: int = 3
    """SCTs embedded in a longer-lived certificate."""
    delivered: int = 2
    """SCTs that are enough where the handshake brings them."""


@rule(
    "cert.transparency",
    title="The certificate is in enough public logs",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=Deployment,
    why="Certificates that stand in public logs cannot be issued behind the owner's back; browsers refuse public "
    "certificates that cannot prove it.",
    how=CERTIFICATES_HOW
    + " SCTs in the certificate and in the handshake are counted. Which logs and operators they are "
    "of is not looked at.",
    sources=(CHROME_CT, rfc(6962, "3.3")),
    reasons={
        "enough": passes("The certificate comes with {observed}."),
        "too-few": fails("The certificate comes with {observed}; {expected} are needed."),
        "unreadable": fails("The list of SCTs in the certificate is malformed, and {observed}; {expected} are needed."),
        "not-looked": indeterminate("The certificate holds {observed}; nobody looked for more in the handshake."),
        "private-ca": not_applicable("The certificate is of a private CA, whose certificates stand in no public log."),
        "issuer-unknown": indeterminate("Nobody looked whether the certificate is of a public or a private CA."),
    },
    fix=fixes.TRANSPARENCY,
    mistake=fixes.UNLOGGED,
    parameters=TransparencyParameters,
)
def _transparency(deployment: Deployment, facts: Facts, parameters: TransparencyParameters) -> list[Finding]:
    public = deployment.publicly_trusted
    if not public:
        return [Finding("issuer-unknown" if public is None else "private-ca")]
    leaf = deployment.leaf
    lifetime = leaf.not_after - leaf.not_before + timedelta(seconds=1)
    needed = parameters.many if lifetime > timedelta(days=parameters.short_days) else parameters.few
    expected = counted(needed, "embedded SCT")
    embedded = counted(leaf.embedded_scts, "embedded SCT")
    if leaf.embedded_scts >= needed:
        return [Finding("enough", embedded, expected)]
    if deployment.tls_scts is None:
        return [Finding("not-looked", embedded, expected)]
    delivered = f"{counted(deployment.tls_scts, 'SCT')} in the handshake"
    observed = f"{embedded} and {delivered}"
    if deployment.tls_scts >= parameters.delivered:
        return [Finding("enough", observed, expected)]
    if leaf.unreadable(Extension.SCT_LIST):
        return [Finding("unreadable", f"it comes with {delivered}", expected)]
    return [Finding("too-few", observed, expected)]
