"""How what two engines saw of a server becomes one answer."""

from __future__ import annotations

from scanner.evidence import Attempt, Failure, FailureReason, TlsEvidence, merge

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


def _failed(attempt: Attempt[TlsEvidence]) -> TlsEvidence:
    return TlsEvidence.failed(attempt.failure or Failure(FailureReason.NOT_RUN))


def _rank(failure: Failure) -> int:
    try:
        return _BEST_REASONS.index(failure.reason)
    except ValueError:
        return len(_BEST_REASONS) + (failure.reason is FailureReason.NOT_RUN)
