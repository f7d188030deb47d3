"""An observation that may have failed, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, Self, TypeVar

from scanner.untrusted import printable

T = TypeVar("T")


class FailureReason(StrEnum):
    """Why something was not observed.

    NOT_ASKED: the configuration forbids the question; NOT_RUN: nobody tried; NO_WORKER: nobody is there who could;
    PROXY_UNREACHABLE: the way to the target is missing, so that nothing is known of the target.
    """

    NOT_RUN = "not-run"
    NOT_ASKED = "not-asked"
    UNRESOLVABLE = "unresolvable"
    RESOLVER_FAILED = "resolver-failed"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    PROXY_UNREACHABLE = "proxy-unreachable"
    TIMED_OUT = "timed-out"
    DEADLINE = "deadline"
    RESET = "reset"
    NOT_TLS = "not-tls"
    TLS_ONLY = "tls-only"
    STARTTLS_REFUSED = "starttls-refused"
    HANDSHAKE_FAILED = "handshake-failed"
    CLIENT_CERTIFICATE_REQUIRED = "client-certificate-required"
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    UNSUPPORTED = "unsupported"
    INCONSISTENT = "inconsistent"
    UNAVAILABLE = "unavailable"
    INTERRUPTED = "interrupted"
    ENGINE_ERROR = "engine-error"
    NO_WORKER = "no-worker-in-zone"


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why something was not observed, with a short, printable detail."""

    reason: FailureReason
    detail: str = ""

    @classmethod
    def of(cls, reason: FailureReason, detail: object = "") -> Self:
        """Build a failure whose detail may come from the host or from an exception: it is cut and made printable."""
        return cls(reason, printable(str(detail)))


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """An observation: a value, or the failure that left none.

    `incomplete` stands beside a value of which only a part was seen: the reason why the question was not asked to its
    end. What is in the value was observed all the same, so it proves that it exists; what is not in it proves nothing.
    """

    value: T | None = None
    failure: Failure | None = None
    incomplete: Failure | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.failure is None):
            message = "an Attempt has either a value or a failure"
            raise ValueError(message)
        if self.incomplete is not None and self.value is None:
            message = "an Attempt without a value is a failure, not an incomplete observation"
            raise ValueError(message)

    @classmethod
    def ok(cls, value: T) -> Attempt[T]:
        """An observation that succeeded."""
        return cls(value=value)

    @classmethod
    def partial(cls, value: T, incomplete: Failure | None) -> Attempt[T]:
        """What was seen until `incomplete` cut it off; None where nothing did."""
        return cls(value=value, incomplete=incomplete)

    @classmethod
    def until(cls, cut_off: Failure | None, value: T, *, empty: bool) -> Attempt[T]:
        """What was seen until `cut_off`, if anything did; nothing seen by then (`empty`) is a failure and no value."""
        return cls(failure=cut_off) if empty and cut_off is not None else cls(value=value, incomplete=cut_off)

    @classmethod
    def failed(cls, reason: FailureReason, detail: object = "") -> Attempt[T]:
        """An observation that failed."""
        return cls(failure=Failure.of(reason, detail))

    @property
    def cut_off(self) -> Failure | None:
        """Why the question was not asked to its end: the failure, or what left the value incomplete; else None."""
        return self.failure or self.incomplete


_NOT_RUN: Final[Attempt[Any]] = Attempt(failure=Failure(FailureReason.NOT_RUN))


def not_run() -> Attempt[T]:
    """The attempt that nobody made: one object for the dozens of fields in the evidence of each target."""
    return _NOT_RUN
