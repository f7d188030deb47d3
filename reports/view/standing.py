"""Verdicts counted, and how a count reads as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from scanner.verdict import Severity


class Standing(StrEnum):
    """How a set of verdicts reads as a whole. Unknown is never compliant."""

    COMPLIANT = "compliant"
    WAIVED = "waived"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EMPTY = "empty"


STANDINGS: Mapping[Standing, str] = {
    Standing.COMPLIANT: "Compliant",
    Standing.WAIVED: "Compliant with waivers",
    Standing.FAILED: "Not compliant",
    Standing.UNKNOWN: "Not fully assessed",
    Standing.EMPTY: "Nothing judged",
}
"""Each standing in words."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Verdicts counted. Failures of severity `info` are notes: they inform, and do not stand against compliance.

    `failed` counts failures that no waiver accepts, notes apart; `worst` is the highest severity among them.
    """

    passed: int = 0
    failed: int = 0
    notes: int = 0
    waived: int = 0
    indeterminate: int = 0
    not_applicable: int = 0
    worst: Severity | None = None

    @property
    def standing(self) -> Standing:
        """How it reads as a whole."""
        if self.failed:
            return Standing.FAILED
        if self.indeterminate:
            return Standing.UNKNOWN
        if self.waived:
            return Standing.WAIVED
        return Standing.COMPLIANT if self.passed or self.notes else Standing.EMPTY

    @property
    def judged(self) -> int:
        """How many verdicts there are that apply."""
        return self.passed + self.failed + self.notes + self.waived + self.indeterminate
