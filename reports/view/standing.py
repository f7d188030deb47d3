"""Verdicts counted, and how a count reads as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from reports.language import Words, mark
from scanner.counting import said_of_counts
from scanner.verdict import Severity


class Standing(StrEnum):
    """How a set of verdicts reads as a whole. Unknown is never compliant."""

    COMPLIANT = "compliant"
    WAIVED = "waived"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EMPTY = "empty"


STANDINGS: Final = Words[Standing](
    {
        Standing.COMPLIANT: mark("Compliant"),
        Standing.WAIVED: mark("Compliant with waivers"),
        Standing.FAILED: mark("Not compliant"),
        Standing.UNKNOWN: mark("Not fully assessed"),
        Standing.EMPTY: mark("Nothing judged"),
    }
)
"""Each standing in words."""


class Tally(Struct, frozen=True):
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
    def said(self) -> str:
        """All of it in English, in the words that stand for it everywhere."""
        return said_of_counts(
            not_met=self.failed,
            notes=self.notes,
            waived=self.waived,
            not_assessed=self.indeterminate,
            met=self.passed,
            does_not_apply=self.not_applicable,
        )

    @property
    def judged(self) -> int:
        """How many verdicts there are that apply."""
        return self.passed + self.failed + self.notes + self.waived + self.indeterminate

    @property
    def total(self) -> int:
        """How many there are."""
        return self.judged + self.not_applicable


def together(tallies: Iterable[Tally]) -> Tally:
    """Several counts as one."""
    found = tuple(tallies)
    counts = {name: sum(getattr(tally, name) for tally in found) for name in _COUNTS}
    return Tally(**counts, worst=max((tally.worst for tally in found if tally.worst is not None), default=None))


_COUNTS: Final = ("passed", "failed", "notes", "waived", "indeterminate", "not_applicable")
