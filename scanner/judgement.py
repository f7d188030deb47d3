"""The small words of a judgement, which configurations, policies and waivers speak too: they load no evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """The four outcomes of a rule. What could not be observed is INDETERMINATE, never PASS."""

    PASS = "pass"  # noqa: S105  # a verdict, not a password
    FAIL = "fail"
    NOT_APPLICABLE = "not-applicable"
    INDETERMINATE = "indeterminate"


class Severity(StrEnum):
    """How bad a failure is. Ordered: INFO < LOW < MEDIUM < HIGH < CRITICAL."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for INFO up to 4 for CRITICAL."""
        return _RANKS[self._value_]

    # All four: total_ordering would leave the ones alone that StrEnum has from str, which order by the alphabet.
    def __lt__(self, other: object) -> bool:
        return self.rank < other.rank if isinstance(other, Severity) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.rank <= other.rank if isinstance(other, Severity) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.rank > other.rank if isinstance(other, Severity) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.rank >= other.rank if isinstance(other, Severity) else NotImplemented


_RANKS: Final = {severity.value: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Source:
    """The clause that sets a requirement."""

    document: str
    clause: str = ""
    version: str = ""
    url: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.document, self.version, self.clause) if part)


@dataclass(frozen=True, slots=True)
class AppliedWaiver:
    """The waiver that accepts a failure."""

    reason: str
    owner: str
    expires: date


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """The policy that judged: `digest` is the SHA-256 of its canonical form, so that a changed file is told apart."""

    id: str
    version: str
    title: str = ""
    digest: str = ""
