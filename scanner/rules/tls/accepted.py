"""What a server accepted, over all protocol versions, and what nobody could find out.

The one principle: a suite that was seen counts, whatever happened afterwards, and a suite that was not seen counts as
absent only where every protocol version was asked for to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from scanner.counting import counted
from scanner.evidence import AcceptedSuite, Failure, FailureReason, Protocol, TlsEvidence
from scanner.rules.registry import Finding, not_observed
from scanner.rules.registry.listing import listing
from scanner.rules.tls.suites import Suite, classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SEEN_TWICE = (
    "A finding is reported only if a second, independent probe sees it as well; otherwise it is "
    "`inconsistent`, with both observations."
)
"""How what would be grave is made certain; part of what the rules' pages say."""

BEFORE_TLS13 = tuple(protocol for protocol in Protocol if protocol is not Protocol.TLS1_3)


class Accepted(Struct, frozen=True):
    """A suite that the server accepted in one protocol version."""

    protocol: Protocol
    suite: Suite
    seen: AcceptedSuite


class AcceptedSuites(Struct, frozen=True):
    """All suites that were seen, and the reason why the list may be longer in truth (None where it is not)."""

    items: tuple[Accepted, ...]
    gap: Finding | None

    def names(self, chosen: Iterable[Accepted] | None = None) -> str:
        """The names, each with its protocol versions, as a bounded list."""
        by_name: dict[str, list[str]] = {}
        for item in self.items if chosen is None else chosen:
            by_name.setdefault(item.suite.name, []).append(item.protocol.value)
        return listing(f"{name} ({', '.join(protocols)})" for name, protocols in by_name.items())


def accepted_suites(tls: TlsEvidence, protocols: Iterable[Protocol] = Protocol) -> AcceptedSuites:
    """The suites that were accepted in `protocols`."""
    items: list[Accepted] = []
    gaps: list[Finding] = []
    for protocol in protocols:
        attempt = tls.offer(protocol)
        if attempt.cut_off is not None:
            gaps.append(unseen(protocol, attempt.cut_off))
        for seen in attempt.value.suites if attempt.value else ():
            suite = classify(seen.name)
            if suite is None:
                gaps.append(not_observed(Failure.of(FailureReason.UNSUPPORTED, f"unknown cipher suite {seen.name}")))
            elif seen.unconfirmed:
                detail = f"{seen.name} is chosen by the server, but no handshake with it was completed"
                gaps.append(unseen(protocol, Failure(FailureReason.HANDSHAKE_FAILED, detail)))
            else:
                items.append(Accepted(protocol, suite, seen))
    if not tls.negotiated and not gaps:
        gaps.append(nothing_negotiated(tls))
    return AcceptedSuites(tuple(items), gaps[0] if gaps else None)


def unseen(protocol: Protocol, failure: Failure | None) -> Finding:
    """The finding for a protocol version that could not be looked at."""
    failure = failure or Failure(FailureReason.NOT_RUN)
    detail = f"{protocol.value}: {failure.detail}" if failure.detail else protocol.value
    return not_observed(Failure(failure.reason, detail))


def nothing_negotiated(tls: TlsEvidence) -> Finding:
    """The finding for a server that accepted nothing: it may well accept an offer that was not made to its end."""
    for protocol in Protocol:
        if (cause := tls.offer(protocol).cut_off) is not None:
            return unseen(protocol, cause)
    return not_observed(Failure(FailureReason.HANDSHAKE_FAILED, "no protocol version could be negotiated"))


def judge_suites(tls: TlsEvidence, offends: Callable[[Accepted], bool], failing: str, passing: str) -> list[Finding]:
    """Fail where a suite offends, pass where every accepted suite was seen and none does."""
    suites = accepted_suites(tls)
    bad = [item for item in suites.items if offends(item)]
    if bad:
        return [Finding(failing, observed=suites.names(bad), expected="no such cipher suite")]
    if suites.gap:
        return [suites.gap]
    distinct = len({item.suite.name for item in suites.items})
    return [
        Finding(passing, observed=f"{counted(distinct, 'cipher suite')} accepted", expected="no such cipher suite"),
    ]


def only_tls13(tls: TlsEvidence) -> bool:
    """Whether TLS 1.3 is negotiated, and every older version is known not to be."""
    return tls.negotiated == (Protocol.TLS1_3,) and all(tls.offer(item).cut_off is None for item in BEFORE_TLS13)


def older_than_tls13(tls: TlsEvidence) -> bool | None:
    """Whether a version before TLS 1.3 is negotiated; None where nobody knows."""
    if any(protocol is not Protocol.TLS1_3 for protocol in tls.negotiated):
        return True
    if all(tls.offer(protocol).cut_off is None for protocol in BEFORE_TLS13):
        return False
    return None
