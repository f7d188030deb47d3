"""What a report says of its run's past, as plain frozen values."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from scanner.history.attribution import ChangeCause
from scanner.verdict import Severity, Status

if TYPE_CHECKING:
    from reports.view.target_model import TargetRef


class DiffKind(StrEnum):
    """How something is other than it was in the run before."""

    NEW_FAILURE = "new-failure"
    WORSE = "worse"
    WORSE_BUT_WAIVED = "worse-but-waived"
    BETTER = "better"
    FIXED = "fixed"
    NO_LONGER_KNOWN = "no-longer-known"
    ASSESSED_AGAIN = "assessed-again"
    WAIVED = "waived"
    NO_LONGER_JUDGED = "no-longer-judged"
    UNREACHABLE = "unreachable"
    BACK = "back"
    APPEARED = "appeared"
    GONE = "gone"
    MOVED = "moved"


class Attributed(Struct, frozen=True):
    """A change and what it comes from; of one requirement, where it is about one (`text` is empty elsewhere)."""

    kind: DiffKind
    text: str
    cause: ChangeCause
    targets: tuple[TargetRef, ...]
    severity: Severity | None = None
    anchor: str | None = None


class OpenSince(Struct, frozen=True):
    """How long a cause has lasted where it has lasted longest. With `at_least`, the history does not go back further.

    `latest` is when the youngest of its failures was first seen.
    """

    anchor: str
    text: str
    severity: Severity
    since: datetime
    latest: datetime
    lasted: timedelta
    at_least: bool
    targets: tuple[TargetRef, ...]


class TimeToFix(Struct, frozen=True):
    """How long the failures of one severity lasted in an environment until they were fixed."""

    environment: str
    severity: Severity
    fixed: int
    mean: timedelta
    median: timedelta
    longest: timedelta
    still_open: int


class SharedKey(Struct, frozen=True):
    """A private key that several hosts hold, told by its public half. With one certificate, they share that too."""

    spki: str
    certificates: int
    hosts: tuple[str, ...]
    environments: tuple[str, ...]


class DifferingName(Struct, frozen=True):
    """A name whose addresses do not answer alike: in what, and since when the oldest of it has been so."""

    environment: str
    address: str
    addresses: int
    what: tuple[str, ...]
    since: datetime
    lasted: timedelta


class ComparedApplication(Struct, frozen=True):
    """Rules that come out differently for one application in different environments, all in the same way."""

    application: str
    outcomes: tuple[tuple[Status | None, tuple[str, ...]], ...]
    """Each outcome, the worst first, with its environments; None is not judged."""
    rules: tuple[str, ...]


class CoveragePoint(Struct, frozen=True):
    """How much of its targets a run of the past assessed."""

    run_id: str
    at: datetime
    targets: int
    assessed: int
    partial: int
    unreachable: int


class HistoryView(Struct, frozen=True):
    """The past of a run. `earlier` counts the complete runs of its scope before it, `first` is when the first began."""

    earlier: int
    first: datetime
    changes: tuple[Attributed, ...]
    open_since: tuple[OpenSince, ...]
    fixes: tuple[TimeToFix, ...]
    fixes_from: datetime | None
    """From when on the runs were read for it; None for all."""
    keys: tuple[SharedKey, ...]
    names: tuple[DifferingName, ...]
    compared: tuple[ComparedApplication, ...]
    coverage: tuple[CoveragePoint, ...]

    @property
    def through(self) -> tuple[tuple[ChangeCause, int], ...]:
        """How many changes come from what, most first."""
        counts: dict[ChangeCause, int] = {}
        for item in self.changes:
            counts[item.cause] = counts.get(item.cause, 0) + len(item.targets)
        return tuple(sorted(counts.items(), key=lambda item: -item[1]))

    @property
    def always_covered(self) -> bool:
        """Whether every run that is looked back at assessed every target in full."""
        return all(point.assessed == point.targets for point in self.coverage)

    def since(self, anchor: str) -> OpenSince | None:
        """How long the cause of that anchor has lasted."""
        return next((item for item in self.open_since if item.anchor == anchor), None)
