"""What a report shows, as plain frozen values. The templates read these and decide nothing but the looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from reports.view.options import ReportOptions
from reports.view.standing import Standing, Tally
from scanner.inventory import Role
from scanner.verdict import AppliedWaiver, Goal, Run, Severity, TargetStatus

if TYPE_CHECKING:
    from reports.view.clause_model import PolicyView
    from reports.view.client_model import ClientsView
    from reports.view.history_model import HistoryView
    from reports.view.matrix_model import EnforcementMatrix
    from reports.view.target_model import CertificateView, EnvironmentView, Gap, TargetRef, UnreachableView
    from scanner.history.balance import Balance
    from scanner.ownership import Ownership


class Occurrence(Struct, frozen=True):
    """Where a cause was found: targets of one environment where the same was observed against the same expectation.

    `subjects` are the parts of the targets that are spoken of (paths), if any. `waiver` accepts these failures.
    """

    environment: str
    severity: Severity
    observed: str
    expected: str
    message: str
    targets: tuple[TargetRef, ...]
    subjects: tuple[str, ...] = ()
    waiver: AppliedWaiver | None = None


class FixView(Struct, frozen=True):
    """How to mend a cause: in words, and as configuration by kind of server.

    `chosen` names those of `servers` that a report on paper tells: of programs that were seen or configured.
    """

    summary: str
    servers: tuple[tuple[str, str], ...] = ()
    chosen: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """The configuration of the chosen ones."""
        return tuple(item for item in self.servers if item[0] in self.chosen)


class SourceView(Struct, frozen=True):
    """The clause that sets a requirement, and where it can be read (empty where that is not known)."""

    text: str
    url: str = ""


class FailureCause(Struct, frozen=True):
    """One requirement that is not met for one reason, with every place where that is so.

    `title` is the requirement, `found` what is wrong in one sentence that holds for every occurrence.
    """

    anchor: str
    rule: str
    reason: str
    title: str
    found: str
    goal: Goal
    severity: Severity
    why: str
    how: str
    sources: tuple[SourceView, ...]
    fix: FixView | None
    occurrences: tuple[Occurrence, ...]
    waived: tuple[Occurrence, ...] = ()
    label: str = ""
    """What it is called in every report of the run and in its data: `F1` the worst; empty where all is waived."""

    @property
    def targets(self) -> tuple[TargetRef, ...]:
        """The targets where it fails and no waiver accepts it."""
        return tuple(dict.fromkeys(target for item in self.occurrences for target in item.targets))

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments of those targets, each once."""
        return tuple(dict.fromkeys(item.environment for item in self.occurrences))


class Remedy(Struct, frozen=True):
    """One way to mend, and the anchors of the causes that it mends."""

    anchor: str
    number: int
    fix: FixView
    rules: tuple[str, ...]
    causes: tuple[str, ...]


class ChangeKind(StrEnum):
    """How a run differs from the one before."""

    NEW_FAILURE = "new-failure"
    WORSE = "worse"
    ASSESSED_AGAIN = "assessed-again"
    FIXED = "fixed"
    WAIVED = "waived"
    NO_LONGER_JUDGED = "no-longer-judged"
    NO_LONGER_KNOWN = "no-longer-known"
    NEW_TARGET = "new-target"
    GONE_TARGET = "gone-target"
    NEW_CERTIFICATE = "new-certificate"


class Change(Struct, frozen=True):
    """One kind of change, of one requirement where it is about one, and the targets that it concerns."""

    kind: ChangeKind
    text: str
    targets: tuple[TargetRef, ...]
    severity: Severity | None = None
    rule: str | None = None
    anchor: str | None = None


class Changes(Struct, frozen=True):
    """What changed since the previous run. `other_policy` tells that it was judged by another policy or version.

    `through` tells how many checks are not met more and fewer, by what that comes from; `failed_before` with all of
    that is `failed_now`.
    """

    since: datetime
    run_id: str
    changes: tuple[Change, ...]
    other_policy: bool
    failed_before: int
    failed_now: int
    through: tuple[Balance, ...] = ()

    def of(self, *kinds: str) -> tuple[Change, ...]:
        """The changes of these kinds."""
        return tuple(change for change in self.changes if change.kind in kinds)

    def count(self, *kinds: str) -> int:
        """How many times something changed in these ways."""
        return sum(len(change.targets) for change in self.of(*kinds))


class ActionKind(StrEnum):
    """What somebody is asked to do."""

    FIX = "fix"
    RENEW = "renew"
    DECIDE = "decide"
    REACH = "reach"


class Action(Struct, frozen=True):
    """Who must do what by when. `due` None means that nothing sets a date."""

    kind: ActionKind
    who: str
    what: str
    due: date | None
    because: str
    targets: tuple[TargetRef, ...] = ()
    severity: Severity | None = None
    anchor: str | None = None
    contact: str = ""
    """How they are reached, where that is known."""


class WaiverView(Struct, frozen=True):
    """A waiver and what became of it: how many failures it accepts, or would accept had it not expired."""

    rule: str
    title: str
    scope: str
    reason: str
    owner: str
    expires: date
    days_left: int
    failures: int
    targets: tuple[TargetRef, ...] = ()
    judged: bool = True
    """Whether any rule that it is of was judged within its scope; otherwise nothing could fail that it covers."""
    worse: int = 0
    """Failures that an unused one covers and that are worse than it accepts."""

    @property
    def expired(self) -> bool:
        """Whether it waives no longer."""
        return self.days_left < 0


class TargetView(Struct, frozen=True):
    """One target in the appendix, with everything that went wrong or stayed unknown there."""

    ref: TargetRef
    ip: str | None
    role: Role
    application: str
    status: TargetStatus
    error: str
    grade: str | None
    grade_words: str
    """What decided the grade, or why there is none; empty where nothing is known of it."""
    protocols: tuple[str, ...]
    goals: Mapping[Goal, Tally]
    total: Tally
    failures: tuple[tuple[Severity, str, str, str, bool], ...]
    """Severity, rule, subject, message, waived."""
    unknown: tuple[tuple[str, str], ...]
    """Rule and message."""
    certificate: CertificateView | None = None
    implied_by: str | None = None
    """The key of its environment that names the host, where no endpoint does."""


class TrendPoint(Struct, frozen=True):
    """One run of the past, counted as `Tally` counts."""

    run_id: str
    at: datetime
    environment: str
    failed: int
    waived: int
    indeterminate: int
    passed: int


class ReportView(Struct, frozen=True):
    """Everything that a report shows."""

    options: ReportOptions
    run: Run
    headline: str
    standing: Standing
    total: Tally
    targets_expected: int
    assessed: int
    partial: int
    unreachable: int
    environments: tuple[EnvironmentView, ...]
    causes: tuple[FailureCause, ...]
    notes: tuple[FailureCause, ...]
    waived_causes: tuple[FailureCause, ...]
    remedies: tuple[Remedy, ...]
    servers: tuple[str, ...]
    """The server programs that were guessed from what they say of themselves, as people call them."""
    changes: Changes | None
    actions: tuple[Action, ...]
    certificates: tuple[CertificateView, ...]
    matrices: tuple[EnforcementMatrix, ...]
    waivers: tuple[WaiverView, ...]
    gaps: tuple[Gap, ...]
    unasked: tuple[Gap, ...]
    unreachables: tuple[UnreachableView, ...]
    policies: tuple[PolicyView, ...]
    targets: tuple[TargetView, ...]
    trend: tuple[TrendPoint, ...] = ()
    history: HistoryView | None = None
    clients: ClientsView | None = None
    """None where no TLS was seen, or the run is too large for it."""
    whose: Mapping[str, Ownership] = field(default_factory=dict)
    """Who answers for each endpoint (`environment/host:port`), how they are reached, and its labels."""
    looked_from: str = ""
    """Where the run looked from, on one line; empty in runs that older versions made."""

    def whose_are(self, targets: Iterable[TargetRef]) -> tuple[str, ...]:
        """Who answers for these targets, in words, each once; their labels, where these are the same at all of them."""
        known = [self.whose[target.endpoint] for target in targets if target.endpoint in self.whose]
        alike = len({item.labels for item in known}) == 1
        said = (item.in_words if alike else replace(item, labels=()).in_words for item in known)
        return tuple(dict.fromkeys(filter(None, said)))

    @property
    def today(self) -> date:
        """The day of the run, from which all days are counted."""
        return self.run.started_at.date()

    @property
    def horizon_end(self) -> date:
        """The last day that the certificate timeline shows."""
        return self.today + timedelta(days=self.options.horizon_days)
