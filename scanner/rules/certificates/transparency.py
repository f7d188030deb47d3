"""Does the certificate stand in enough public logs, as browsers count them?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import structs

from scanner.counting import counted
from scanner.evidence import Deployment, Extension, FailureReason, LogProgram, Sct, SctCheck, SctSource
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import CERTIFICATES_HOW, COMPLETED
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
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import CHROME_CT, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanner.evidence import Transparency

_CURRENT: Final = frozenset({"qualified", "usable", "readonly"})
_RETIRED: Final = "retired"
_DELIVERED: Final = {
    LogProgram.GOOGLE: frozenset({SctSource.TLS}),
    LogProgram.APPLE: frozenset({SctSource.TLS, SctSource.STAPLE}),
}
"""The ways beside the certificate in which each browser takes SCTs: Chrome takes none of a staple since version 148."""
_PLACES: Final = {
    SctSource.CERTIFICATE: ("embedded SCT", ""),
    SctSource.TLS: ("SCT", " in the handshake"),
    SctSource.STAPLE: ("SCT", " in the staple"),
}
_BROWSERS: Final = {LogProgram.GOOGLE: "Chrome", LogProgram.APPLE: "Safari"}


class TransparencyParameters(Parameters):
    """Parameters of cert.transparency."""

    short_days: int = 180
    """Certificates that live longer need `many` embedded SCTs, the others `few`."""
    few: int = 2
    """SCTs embedded in a short-lived certificate, of as many logs."""
    many: int = 3
    """SCTs embedded in a longer-lived certificate, of as many logs."""
    delivered: int = 2
    """SCTs that are enough where the handshake brings them."""
    operators: int = 2
    """Operators that the logs must have."""
    list_days: int = 70
    """How old the list of logs may be at which a log that is not in it counts as none."""


@rule(
    "cert.transparency",
    title="The certificate is in enough public logs",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=Deployment,
    why="Certificates in public logs cannot be issued without the owner's knowledge; browsers reject public "
    "certificates without proof of logging.",
    how=CERTIFICATES_HOW
    + " The signature of each SCT, in the certificate, in the handshake's extension or in a stapled OCSP response, is "
    "verified by a list of logs, and counted as Chrome and Safari count: of distinct logs and operators; one of those "
    "in the certificate is still current, and all that come in the handshake are. Chrome no longer accepts SCTs in a "
    "staple. Only a list less than 70 days old can show that a log is unknown; the bundled list eventually becomes "
    "older than that, and [scan] ct_logs names a newer one.",
    sources=(CHROME_CT, rfc(6962, "3.2"), rfc(6962, "3.3")),
    reasons={
        "enough": passes("The certificate comes with {observed}."),
        "too-few": fails("The certificate comes with {observed}; {expected} are needed."),
        "forged": fails("The signature of an SCT was not made by its log: {observed}; {expected} are needed."),
        "one-operator": fails("The logs all belong to one operator: {observed}."),
        "not-current": fails("None of the logs is still accepted, according to the list for {browser}: {observed}."),
        "unreadable": fails("The list of SCTs in the certificate is malformed, and {observed}; {expected} are needed."),
        "unknown-log": indeterminate(
            "Logs are not in the available list, which is too old to show whether they are genuine: {observed}."
        ),
        "not-verified": indeterminate("The certificate comes with {observed}, which were not verified."),
        "not-looked": indeterminate("The certificate holds {observed}; the handshake was not searched for more."),
        "private-ca": not_applicable(
            "The certificate is from a private CA, whose certificates are not logged publicly."
        ),
        "issuer-unknown": indeterminate("Whether the certificate is from a public or a private CA was not checked."),
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
    attempt = deployment.transparency
    delivered = any(item.source is not SctSource.CERTIFICATE for item in attempt.value.scts) if attempt.value else False
    if leaf.embedded_scts >= needed or delivered:
        found = _by_logs(deployment, needed, expected, facts.now, parameters)
        told = deployment.completed and attempt.value is not None
        return [structs.replace(found, observed=f"{found.observed}; {COMPLETED}") if told else found]
    return [_by_number(deployment, expected, parameters)]


def _by_number(deployment: Deployment, expected: str, parameters: TransparencyParameters) -> Finding:
    """What can be said where fewer SCTs are embedded than are needed, and none that came along were verified."""
    embedded = counted(deployment.leaf.embedded_scts, "embedded SCT")
    if deployment.tls_scts is None:
        return Finding("not-looked", embedded, expected)
    delivered = f"{counted(deployment.tls_scts, 'SCT')} in the handshake"
    if deployment.tls_scts >= parameters.delivered:
        return Finding("not-verified", f"{embedded} and {delivered}", expected)
    if deployment.leaf.unreadable(Extension.SCT_LIST):
        return Finding("unreadable", f"it comes with {delivered}", expected)
    return Finding("too-few", f"{embedded} and {delivered}", expected)


def _by_logs(
    deployment: Deployment, needed: int, expected: str, now: datetime, parameters: TransparencyParameters
) -> Finding:
    attempt = deployment.transparency
    if attempt.value is None:
        if attempt.failure is not None and attempt.failure.reason is not FailureReason.NOT_RUN:
            return not_observed(attempt.failure)
        return Finding("not-verified", counted(deployment.leaf.embedded_scts, "embedded SCT"), expected)
    found = [_judged(attempt.value, program, needed, now, parameters) for program in LogProgram]
    worst = next((item for item in found if item is not None), None)
    if worst is None:
        return Finding("enough", _told(attempt.value), expected)
    if worst.reason in {"forged", "unknown-log"}:
        return worst
    if deployment.tls_scts is None:
        return Finding("not-looked", worst.observed, expected)
    verified = any(item.source is SctSource.TLS for item in attempt.value.scts)
    if not verified and deployment.tls_scts >= parameters.delivered:
        more = f"{counted(deployment.tls_scts, 'SCT')} in the handshake"
        return Finding("not-verified", f"{worst.observed} and {more}", expected)
    return worst


def _judged(
    seen: Transparency, program: LogProgram, needed: int, now: datetime, parameters: TransparencyParameters
) -> Finding | None:
    """What is wrong with the SCTs by one browser's count; None where they are enough, in one way or the other."""
    embedded = [item for item in seen.scts if item.source is SctSource.CERTIFICATE]
    delivered = [item for item in seen.scts if item.source in _DELIVERED[program]]
    counts = ((embedded, needed), (delivered, parameters.delivered))
    wrong = [_group(seen, scts, program, least, now, parameters) for scts, least in counts]
    if not all(wrong):
        return None
    # Of a certificate that has none within it, what came along is told.
    first = 1 if delivered and not embedded else 0
    reason = next((one for one in ("unknown-log", "forged") if one in wrong), wrong[first])
    expected = f"{counted(counts[first][1], 'SCT')} of as many logs and {counted(parameters.operators, 'operator')}"
    return Finding(
        reason, _told(seen), expected, values={"browser": _BROWSERS[program]} if reason == "not-current" else {}
    )


def _group(  # noqa: PLR0913, PLR0917  # what one count needs
    seen: Transparency,
    scts: Sequence[Sct],
    program: LogProgram,
    needed: int,
    now: datetime,
    parameters: TransparencyParameters,
) -> str:
    """What is wrong with the SCTs that came in one way, as a reason; nothing where they are enough."""
    inside = any(item.source is SctSource.CERTIFICATE for item in scts)
    valid = [item for item in scts if item.check is SctCheck.VALID]
    earliest = min((item.logged_at for item in valid), default=now)
    current = [item for item in valid if _is_current(item, program)]
    # What the handshake brings was fetched lately: only logs of today count there.
    counting = [item for item in valid if _counts(item, program, earliest)] if inside else current
    distinct = {item.log_id for item in counting}
    operators = {item.operator for item in counting}
    enough = len(distinct) >= needed
    if enough and current and len(operators) >= parameters.operators:
        return ""
    fresh = now - seen.list_date <= timedelta(days=parameters.list_days)
    unknown = [item for item in scts if item.check is SctCheck.UNKNOWN_LOG or _unjudged(item, program)]
    if not fresh and unknown and len(distinct | {item.log_id for item in unknown}) >= needed:
        return "unknown-log"
    if any(item.check is SctCheck.BAD_SIGNATURE for item in scts):
        return "forged"
    if enough and current:
        return "one-operator"
    return "not-current" if enough else "too-few"


def _is_current(sct: Sct, program: LogProgram) -> bool:
    state = sct.states.get(program)
    return state is not None and state.state in _CURRENT


def _counts(sct: Sct, program: LogProgram, earliest: datetime) -> bool:
    """Whether a browser counts an SCT: of a log that is current, or was when the certificate was first logged."""
    state = sct.states.get(program)
    if state is None:
        return False
    return state.state in _CURRENT or (state.state == _RETIRED and state.since is not None and earliest < state.since)


def _unjudged(sct: Sct, program: LogProgram) -> bool:
    """Whether a log's signature is good and the list does not say, or not yet, how far the log is to be trusted."""
    state = sct.states.get(program)
    return sct.check is SctCheck.VALID and (state is None or state.state == "pending")


def _told(seen: Transparency) -> str:
    """The SCTs in words, by where they came from, and of when the list is by which they were verified."""
    parts = []
    for source, (one, place) in _PLACES.items():
        scts = [item for item in seen.scts if item.source is source]
        words = listing(
            f"{item.log or item.log_id[:16]}{'' if item.check is SctCheck.VALID else f' ({item.check.value})'}"
            for item in scts
        )
        if scts:
            parts.append(f"{counted(len(scts), one)}{place} ({words})")
    told = " and ".join(parts) or "no SCT that can be read"
    return f"{told}, by the list of {seen.list_date:%Y-%m-%d} ({seen.list_source})"
