"""How what two engines saw of a server becomes one answer."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from scanner.evidence import Attempt, Failure, FailureReason, TlsEvidence, merge, not_run
from scanner.probe.tls.division import ALSO_INTRUSIVE, INTRUSIVE

_BEST_REASONS = (
    FailureReason.NOT_TLS,
    FailureReason.STARTTLS_REFUSED,
    FailureReason.REFUSED,
    FailureReason.UNAVAILABLE,
    FailureReason.UNREACHABLE,
    FailureReason.CLIENT_CERTIFICATE_REQUIRED,
    FailureReason.HANDSHAKE_FAILED,
    FailureReason.RESET,
    FailureReason.TIMED_OUT,
)
"""Which of two engines' reasons explains best, best first."""
_SWITCHED_OFF: Final = "probes that look like attacks are switched off (intrusive)"


def combined(surveyed: Attempt[TlsEvidence], handshake: Attempt[TlsEvidence]) -> Attempt[TlsEvidence]:
    """What both engines saw, together; where neither saw anything, the reason that explains best."""
    if surveyed.value is not None:
        # What only the handshake could tell is missing for the reason why it failed.
        return Attempt.ok(merge(surveyed.value, handshake.value or _failed(handshake)))
    if handshake.value is not None:
        return handshake
    failures = [attempt.failure for attempt in (surveyed, handshake) if attempt.failure is not None]
    return Attempt(failure=min(failures, key=_rank))


def with_remaining(first: Attempt[TlsEvidence], again: Attempt[TlsEvidence]) -> Attempt[TlsEvidence]:
    """What was observed at first, with what was left to be asked again, or the reason why that was not found out."""
    if first.value is None:
        return first
    return Attempt.ok(merge(first.value, again.value or _failed(again)))


def without_intrusive(found: Attempt[TlsEvidence]) -> Attempt[TlsEvidence]:
    """The same where nothing intrusive was done: what only that would have told was not asked.

    What was seen without it stays: that there is no RSA key transport, without which ROBOT is no question.
    """
    if found.value is None:
        return found
    not_asked: Attempt[Any] = Attempt(failure=Failure(FailureReason.NOT_ASKED, _SWITCHED_OFF))
    facts = {name: getattr(found.value, name) for name in (*INTRUSIVE, *ALSO_INTRUSIVE)}
    left_out = {
        name: not_asked
        for name, attempt in facts.items()
        if (attempt.value is None and name in INTRUSIVE) or attempt == not_run()
    }
    return Attempt.ok(dataclasses.replace(found.value, **left_out))  # type: ignore[arg-type]  # names are its fields'


def _failed(attempt: Attempt[TlsEvidence]) -> TlsEvidence:
    return TlsEvidence.failed(attempt.failure or Failure(FailureReason.NOT_RUN))


def _rank(failure: Failure) -> int:
    try:
        return _BEST_REASONS.index(failure.reason)
    except ValueError:
        return len(_BEST_REASONS) + (failure.reason is FailureReason.NOT_RUN)
