"""Was the certificate revoked, or one of those that stand for it, and does its authority publish that as it should?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from scanner.evidence import (
    CLOCK_SKEW,
    Deployment,
    Extension,
    FailureReason,
    RevocationFailure,
    RevocationSource,
    RevocationStatus,
    ServiceFault,
)
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import COMPLETED, below_root
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
    untried,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import baseline, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanner.evidence import Certificate, RevocationAnswer

_SHORT_LIVED: Final = (
    (datetime(2026, 3, 15, tzinfo=UTC), timedelta(days=7)),
    (datetime.min.replace(tzinfo=UTC), timedelta(days=10)),
)
"""From when on how long a certificate may live whose authority need not publish its revocation (BR section 1.6.1)."""
_ASKED_HOW = (
    STAPLE_HOW
    + " If no stapled response decides, the CRLs that the certificate and each intermediate on its path name are "
    "fetched; if these do not decide either, OCSP responders are queried: once per run, over plain HTTP, at "
    "public addresses and those of [scan] fetch_from. A list or response counts if the issuer signed it, or the "
    "issuer's own responder. A revocation counts even from an expired list; the absence of one counts only in a "
    "current list."
)

_ISSUER_UNKNOWN: Final = indeterminate("Whether the certificate is from a public or a private CA was not checked.")


def revocations(deployment: Deployment, now: datetime) -> tuple[RevocationAnswer, ...]:
    """The answers that prove a revocation: of the leaf, or of an intermediate."""
    return tuple(answer for answer in deployment.revocation.value or () if answer.revokes(now))


@rule(
    "cert.revocation",
    title="The certificate is not revoked",
    goal=Goal.AUTHENTICITY,
    severity=Severity.CRITICAL,
    of=Deployment,
    why="A certificate is revoked because its key is lost or it should never have been issued.",
    how=_ASKED_HOW,
    sources=(rfc(6960, "2.2"), rfc(5280, "5"), baseline("4.9.7"), baseline("7.1.2.11.2")),
    reasons={
        "good": passes("The certificate is not revoked, according to {observed}."),
        "revoked": fails("The certificate is revoked, according to {observed}."),
        "intermediate-revoked": fails("A certificate on the path to the root is revoked, according to {observed}."),
        "no-source": fails(
            "The certificate names neither a CRL nor an OCSP responder, although a public CA's certificate with a "
            "lifetime of more than a week must."
        ),
        "unknown": indeterminate("The responder does not know the certificate: {observed}."),
        "unverified": UNVERIFIED,
        "stale": indeterminate("The published revocation information is out of date: {observed}."),
        RevocationFailure.UNREACHABLE.value: indeterminate("Revocation could not be checked: {observed}."),
        RevocationFailure.REFUSED_BY_GATE.value: indeterminate(
            "The revocation services that the certificate names are not queried: {observed}. Only public addresses "
            "are queried, over plain HTTP; [scan] fetch_from allows other hosts and networks."
        ),
        RevocationFailure.TRY_LATER.value: indeterminate("The responder asks to be queried later: {observed}."),
        RevocationFailure.RESPONDER_ERROR.value: indeterminate("The responder did not answer: {observed}."),
        RevocationFailure.BUDGET.value: indeterminate(
            "The run reached its limit of time or bytes before this query: {observed}."
        ),
        RevocationFailure.TOO_LARGE.value: indeterminate("The answer about revocation is too large: {observed}."),
        RevocationFailure.MALFORMED.value: indeterminate("The answer about revocation is malformed: {observed}."),
        RevocationFailure.NOT_SIGNED.value: indeterminate(
            "The answer about revocation is not signed by the issuer: {observed}."
        ),
        RevocationFailure.OTHER_SCOPE.value: indeterminate(
            "The answer about revocation does not cover this certificate: {observed}."
        ),
        RevocationFailure.NO_ISSUER.value: indeterminate(
            "The issuer of a certificate is not known, so an answer about it could not be verified: {observed}."
        ),
        "unreadable": indeterminate("The extensions that would name lists or responders are malformed."),
        "issuer-unknown": _ISSUER_UNKNOWN,
        "short-lived": not_applicable(
            "The certificate is so short-lived that its CA need not publish its revocation: {observed}."
        ),
        "not-stated": not_applicable(
            "The certificate names neither a CRL nor an OCSP responder, and no staple was sent: revocation cannot be "
            "checked."
        ),
    },
    fix=fixes.REVOKED,
    mistake=fixes.IS_REVOKED,
)
def _revocation(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    leaf, now = deployment.leaf, facts.now
    if revoked := revocations(deployment, now):
        about_leaf = [item for item in revoked if item.certificate == leaf.fingerprint]
        words = listing(_told(item, deployment) for item in about_leaf or revoked)
        return [Finding("revoked" if about_leaf else "intermediate-revoked", words, "good")]
    staple = deployment.staple
    if staple is not None and staple.certificate_status.lower() == "revoked":
        return [Finding("revoked", "the stapled OCSP response", "good")]
    own = _of_leaf(deployment, now)
    attempt = deployment.revocation
    if attempt.value is None:
        # What nobody looked at: the leaf is judged by its staple, and the others are not known.
        asked = attempt.failure is None or attempt.failure.reason is not FailureReason.NOT_ASKED
        unseen = [item for item in below_root(deployment)[1:] if _names_source(item)]
        return [own, not_observed(attempt.failure)] if own.reason == "good" and asked and unseen else [own]
    above = {item.certificate for item in attempt.value} - {leaf.fingerprint}
    undecided = [
        _undecided([item for item in attempt.value if item.certificate == name], deployment, now)
        for name in sorted(above)
        if not any(item.decides(now) for item in attempt.value if item.certificate == name)
    ]
    return [own, *undecided]


def _of_leaf(deployment: Deployment, now: datetime) -> Finding:
    """What is known of the leaf where nothing says that it is revoked."""
    leaf, staple = deployment.leaf, deployment.staple
    answers = [item for item in deployment.revocation.value or () if item.certificate == leaf.fingerprint]
    if good := [item for item in answers if item.decides(now)]:
        return Finding("good", _told(good[0], deployment), "good")
    if staple is not None and staple.certificate_status.lower() == "good" and current_staple(staple, now):
        return Finding("good", "the stapled OCSP response", "good")
    if answers:
        return _undecided(answers, deployment, now)
    if _names_source(leaf) and deployment.revocation.value is None:
        return not_observed(deployment.revocation.failure)
    if staple is not None:
        if not current_staple(staple, now):
            return Finding("stale", f"the stapled OCSP response ended on {end_of_staple(staple)}", "a current response")
        return Finding("unknown" if staple.verified else "unverified", "the stapled OCSP response", "good")
    return _without_source(deployment)


def _without_source(deployment: Deployment) -> Finding:
    leaf = deployment.leaf
    unreadable = leaf.unreadable(Extension.AUTHORITY_INFO_ACCESS, Extension.CRL_DISTRIBUTION_POINTS)
    if unreadable or _names_source(leaf):
        return Finding("unreadable", "malformed extensions")
    lifetime = leaf.not_after - leaf.not_before + timedelta(seconds=1)
    limit = next(days for since, days in _SHORT_LIVED if leaf.not_before >= since)
    if lifetime <= limit:
        return Finding("short-lived", f"{lifetime / timedelta(days=1):.1f} days")
    public = deployment.publicly_trusted
    if public is None:
        return Finding("issuer-unknown")
    if public:
        return Finding("no-source", "neither a list nor a responder", "a list", severity=Severity.LOW)
    return Finding("not-stated", "no staple")


def _names_source(certificate: Certificate) -> bool:
    return bool(certificate.ocsp_urls or certificate.crl_urls)


def _undecided(answers: Sequence[RevocationAnswer], deployment: Deployment, now: datetime) -> Finding:
    """Why nothing that was asked about one certificate decides."""
    for answer in answers:
        if answer.status is RevocationStatus.UNKNOWN:
            return Finding("unknown", _told(answer, deployment), "good")
    stale = [item for item in answers if item.status is not None and not item.current(now)]
    if stale:
        return Finding("stale", _told(stale[0], deployment, now), "a current answer")
    failed = next(item for item in answers if item.failure is not None)
    assert failed.failure is not None  # noqa: S101  # for the type checker
    return Finding(failed.failure.value, _told(failed, deployment), "good")


def _told(answer: RevocationAnswer, deployment: Deployment, now: datetime | None = None) -> str:
    """An answer in words: whose it is, what it says, and of which certificate; where `now` is given, when it holds."""
    kind = "the list" if answer.source is RevocationSource.CRL else "the responder"
    words = [f"{kind} {answer.url}"]
    if answer.certificate != deployment.leaf.fingerprint:
        name = next((item.subject for item in deployment.browser_chain if item.fingerprint == answer.certificate), "")
        words.append(f"about {name or 'an intermediate'}")
    details = [answer.detail] if answer.detail else []
    if answer.status is RevocationStatus.REVOKED:
        details += [f"on {answer.revoked_at:%Y-%m-%d}"] if answer.revoked_at else []
        details += [answer.reason] if answer.reason else []
    if now is not None:
        details.append(_when(answer, now))
    details += [COMPLETED] if deployment.completed else []
    return " ".join(words) + (f" ({', '.join(details)})" if details else "")


def _when(answer: RevocationAnswer, now: datetime) -> str:
    """Until when an answer holds, or from when on where that is to come."""
    if answer.this_update is not None and answer.this_update > now + CLOCK_SKEW:
        return f"not before {answer.this_update:%Y-%m-%d %H:%M} UTC"
    return f"until {answer.next_update:%Y-%m-%d %H:%M} UTC" if answer.next_update else "without an end"


class ServiceParameters(Parameters):
    """Parameters of cert.revocation-service."""

    list_days: int = 7
    """How old a list may be that a public CA publishes of servers' certificates."""
    shortest_hours: int = 8
    """How long a public CA's OCSP response must hold at least."""
    longest_days: int = 10
    """How long a public CA's OCSP response may hold at most."""


@rule(
    "cert.revocation-service",
    title="The CA publishes revocation information correctly",
    goal=Goal.AUTHENTICITY,
    severity=Severity.INFO,
    of=Deployment,
    why="An expired CRL or a failing responder prevents programs that check revocation from connecting, or lets a "
    "revoked certificate pass.",
    how="The CRLs and responses that cert.revocation fetched are examined: whether they are current and, for public "
    "CAs, as recent as required; how the responder answers, and which certificate signs for it.",
    sources=(baseline("4.9.7"), baseline("4.9.10"), baseline("7.1.2.8"), rfc(5280, "5.1.2.5"), rfc(5019, "5")),
    reasons={
        "in-order": passes("What the CA publishes about revocation is in order: {observed}."),
        "stale": fails("What the CA publishes about revocation is out of date: {observed}."),
        "no-end": fails("What the CA publishes about revocation has no expiry date: {observed}."),
        "too-old": fails("A CRL of the CA is older than allowed: {observed}."),
        "validity": fails("An OCSP response is valid for a shorter or longer time than allowed: {observed}."),
        ServiceFault.NO_GET.value: fails(
            "The OCSP responder does not answer GET, so its answers cannot be cached: {observed}."
        ),
        ServiceFault.NO_NOCHECK.value: fails(
            "The certificate of the OCSP responder lacks ocsp-nocheck, so its own revocation would have to be looked "
            "up: {observed}."
        ),
        ServiceFault.SHA1.value: fails("What the CA publishes about revocation is signed with SHA-1: {observed}."),
        "issuer-unknown": _ISSUER_UNKNOWN,
        "unknown": fails("A responder of the CA does not know a certificate that the CA issued: {observed}."),
        "unfit": indeterminate("What the CA publishes could not be read for this certificate: {observed}."),
        "no-answer": indeterminate("No query was answered; cert.revocation gives the reason."),
        "no-source": not_applicable("No certificate of the chain names a list or a responder."),
        "stapled": not_applicable("The stapled OCSP response was sufficient, so nothing was queried."),
    },
    fix=fixes.REVOCATION_SERVICE,
    mistake=untried("the CA's own service, which no server configures"),
    parameters=ServiceParameters,
)
def _service(deployment: Deployment, facts: Facts, parameters: ServiceParameters) -> list[Finding]:
    attempt = deployment.revocation
    named = any(_names_source(item) for item in below_root(deployment))
    if attempt.value is None:
        return [not_observed(attempt.failure) if named else Finding("no-source")]
    answers = [item for item in attempt.value if item.this_update is not None]
    if not answers:
        stapled = deployment.staple is not None and _names_source(deployment.leaf)
        nothing_asked = "stapled" if stapled else "no-source"
        return [Finding("no-answer" if attempt.value else nothing_asked)]
    for answer in answers:
        if reason := _fault(answer, deployment, parameters, facts.now):
            return [Finding(reason, _told(answer, deployment, facts.now), "lists and responses as the CA must publish")]
    if unknown := [item for item in answers if item.status is RevocationStatus.UNKNOWN]:
        words = listing(_told(item, deployment) for item in unknown)
        return [Finding("unknown", words, "a responder that knows what the CA issued")]
    if unfit := [item for item in answers if item.failure is not None]:
        return [Finding("unfit", listing(_told(item, deployment) for item in unfit))]
    return [Finding("in-order", listing(dict.fromkeys(_told(item, deployment) for item in answers)))]


def _fault(
    answer: RevocationAnswer, deployment: Deployment, parameters: ServiceParameters, now: datetime
) -> str | None:
    if answer.next_update is None:
        return "no-end"
    if not answer.current(now):
        return "stale"
    assert answer.this_update is not None  # noqa: S101  # only such are judged
    reason = None
    if answer.source is RevocationSource.CRL:
        if now - answer.this_update > timedelta(days=parameters.list_days):
            reason = "too-old"
    else:
        validity = answer.next_update - answer.this_update + timedelta(seconds=1)
        shortest, longest = timedelta(hours=parameters.shortest_hours), timedelta(days=parameters.longest_days)
        if not shortest <= validity <= longest + timedelta(seconds=1):
            reason = "validity"
    if answer.faults:
        return answer.faults[0].value
    public = deployment.publicly_trusted
    if reason is None or public is False or answer.certificate != deployment.leaf.fingerprint:
        return None
    return reason if public else "issuer-unknown"
