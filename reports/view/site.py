"""All runs of a history on one page: which there are, where their reports are, and how each environment fares.

Everything is counted as `Tally` counts, and days from the last run: the same history gives the same page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from reports.view.options import ReportOptions
from reports.view.standing import Standing, Tally, together
from reports.view.trend import LOOKED_BACK
from scanner.verdict import Goal, Severity, Trigger

if TYPE_CHECKING:
    import pandas as pd

INDEX: Final = "index.html"
"""The file of the first page."""
MOST_VERDICTS: Final = 3_000_000
"""Of so many verdicts at most are runs counted that no chart needs: it takes about a second."""
ON_INDEX: Final = 300
"""Runs that the first page lists at least, if there are so many; it always lists whole months."""
RUN_COLUMNS: Final = (
    "run_id", "trigger", "started_at", "finished_at", "complete", "expected_targets", "environments", "schedule",
    "policy_id", "policy_version", "targets", "assessed", "partial", "unreachable", "passed", "failed",
    "not_applicable", "indeterminate", "waived", "sequence",
)  # fmt: skip
"""The columns of the history's table `runs` that the page is made of."""


class ReportFile(Struct, frozen=True):
    """A report that is in the folder: its format as a slug, and the file's name."""

    format: str
    name: str


class RunRow(Struct, frozen=True):
    """One run. `late` is how long after it was due it began, where that is known and too long."""

    id: str
    started_at: datetime
    duration: timedelta
    trigger: Trigger
    schedule: str
    environments: tuple[str, ...]
    policy: str
    complete: bool
    late: timedelta | None
    expected: int
    targets: int
    assessed: int
    partial: int
    unreachable: int
    total: Tally
    standing: Standing | None
    """None where its verdicts were not counted one by one: `total` counts notes as failures then."""
    files: tuple[ReportFile, ...]
    retired: bool = False
    """Whether the configuration has none of its environments any more."""


class Month(Struct, frozen=True):
    """The runs that started in one month (UTC), newest first. `page` is the file that lists them."""

    first: date
    page: str
    rows: tuple[RunRow, ...]

    @property
    def anchor(self) -> str:
        """Its fragment identifier."""
        return f"m-{self.first:%Y-%m}"

    @property
    def without_files(self) -> int:
        """How many of its runs have no report in the folder."""
        return sum(not row.files for row in self.rows)


class Point(Struct, frozen=True):
    """One environment as one run saw it. `expires_in` are the days to the end of the next certificate to end."""

    run_id: str
    at: datetime
    complete: bool
    goals: Mapping[Goal, Tally]
    total: Tally
    targets: int
    assessed: int
    partial: int
    unreachable: int
    expires_in: int | None

    @property
    def standing(self) -> Standing:
        """How the environment stood. What was not finished is never compliant."""
        standing = self.total.standing
        return standing if self.complete or standing is Standing.FAILED else Standing.UNKNOWN


class EnvironmentSeen(Struct, frozen=True):
    """An environment as it is now, by its latest complete run, and `points`: the last one of each recent day."""

    name: str
    now: Point
    run: RunRow
    points: tuple[Point, ...]

    @property
    def weekly(self) -> tuple[Point, ...]:
        """The last point of each week, newest first."""
        last = {point.at.isocalendar()[:2]: point for point in self.points}
        return tuple(reversed(last.values()))


class SiteView(Struct, frozen=True):
    """Everything that the pages show."""

    options: ReportOptions
    tool_version: str
    months: tuple[Month, ...]
    environments: tuple[EnvironmentSeen, ...]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return sum(len(month.rows) for month in self.months)

    @property
    def last(self) -> RunRow | None:
        """The newest run."""
        return self.months[0].rows[0] if self.months else None

    @property
    def first(self) -> RunRow | None:
        """The oldest run."""
        return self.months[-1].rows[-1] if self.months else None

    @property
    def pages(self) -> tuple[str, ...]:
        """The files that list runs, the first page first."""
        return tuple(dict.fromkeys((INDEX, *(month.page for month in self.months))))

    @property
    def standing(self) -> Standing:
        """How all environments stand together: as the worst of them."""
        found = {environment.now.standing for environment in self.environments}
        return next((standing for standing in _WORST_FIRST if standing in found), Standing.EMPTY)

    @property
    def compliant(self) -> int:
        """How many environments are compliant now, with waivers or without."""
        return sum(item.now.standing in {Standing.COMPLIANT, Standing.WAIVED} for item in self.environments)


class SiteFacts(Struct, frozen=True, eq=False):
    """What the site is made of: answers of the history, what is in the folder, and which runs began late.

    `runs` has the columns of `RUN_COLUMNS`. `counts`, `coverage` and `expiries` are what `trend`, `coverage` and
    `next_expiry` of `scanner.history.questions` answer; runs that they leave out are shown without it.
    """

    runs: pd.DataFrame
    counts: pd.DataFrame
    coverage: pd.DataFrame
    expiries: pd.DataFrame
    files: Mapping[str, Sequence[ReportFile]]
    late: Mapping[str, timedelta]
    configured: frozenset[str] | None = None
    """The environments that the configuration has; the others are retired. None where it has none at all."""


def site_view(facts: SiteFacts, *, options: ReportOptions, tool_version: str) -> SiteView:
    """Put together what the pages show."""
    goals = _tallies(facts.counts)
    rows = [_row(row, goals, facts) for row in facts.runs.to_dict("records")]
    rows.sort(key=lambda row: (row.started_at, row.id), reverse=True)
    written = {str(run_id): place for place, run_id in enumerate(facts.runs.sort_values(_WRITTEN)["run_id"])}
    points = _points({row.id: row for row in rows}, goals, facts, written)
    last = max(rows, key=lambda row: written[row.id], default=None)
    since = last.started_at - LOOKED_BACK if last else None
    return SiteView(options, tool_version, _months(rows), tuple(_environments(rows, points, since, facts.configured)))


def runs_to_count(runs: pd.DataFrame, current: Iterable[str]) -> tuple[set[str], set[str]]:
    """The runs whose verdicts, and those whose targets and certificates, the page needs, however long a history is.

    Drawn are each environment's present run and the last complete one of each of the last 90 days. The verdicts of the
    newest other runs are counted too, until there are too many; what is left has the counts of the table `runs` alone.
    """
    # From the run that was written last: one under a wrong clock must not hide the others for years.
    newest = runs.sort_values(_WRITTEN, ascending=False)
    lookback = newest["started_at"].head(1).max() - LOOKED_BACK
    recent = runs[(runs["started_at"] >= lookback) & runs["complete"]].sort_values(_WRITTEN)
    # Exploded rows share their run's label, and rows in another order are matched by it: each gets a label of its own.
    seen = recent.explode("environments", ignore_index=True)
    daily = seen.groupby([seen["started_at"].dt.date, "environments"])
    drawn = {*daily["run_id"].last(), *current}
    verdicts = newest[["passed", "failed", "not_applicable", "indeterminate"]].sum(axis="columns").cumsum()
    return {*drawn, *newest.loc[verdicts <= MOST_VERDICTS, "run_id"]}, drawn


_WRITTEN: Final = ["sequence", "started_at", "run_id"]
"""The columns that tell in which order runs were written."""
_Goals = Mapping[Goal, Tally]


def _tallies(counts: pd.DataFrame) -> dict[str, dict[str, _Goals]]:
    """The verdicts of each goal, counted, by run and environment."""
    keys = ["run_id", "environment", "goal"]
    status, severity = counts["status"].astype(str), counts["severity"]
    kind = status.map({"pass": "passed", "indeterminate": "indeterminate", "not-applicable": "not_applicable"})
    kind = kind.mask(status == "fail", "failed").mask((status == "fail") & (severity == Severity.INFO.value), "notes")
    kind = kind.mask(counts["waived"].astype(bool), "waived")
    rows = counts[keys].astype(str).assign(kind=kind, verdicts=counts["verdicts"], severity=severity)
    numbers = rows.groupby([*keys, "kind"])["verdicts"].sum().unstack(fill_value=0)  # noqa: PD010  # nothing to fill in
    worst = rows[rows["kind"] == "failed"].groupby(keys)["severity"].max().astype(str).to_dict()
    found: dict[str, dict[str, dict[Goal, Tally]]] = defaultdict(lambda: defaultdict(dict))
    for (run_id, environment, goal), row in zip(numbers.index, numbers.to_dict("records"), strict=True):
        gravest = worst.get((run_id, environment, goal))
        found[run_id][environment][Goal(goal)] = Tally(
            **{str(name): int(number) for name, number in row.items()}, worst=Severity(gravest) if gravest else None
        )
    return {run_id: dict(environments) for run_id, environments in found.items()}


def _row(run: Mapping[Hashable, Any], goals: Mapping[str, Mapping[str, _Goals]], facts: SiteFacts) -> RunRow:
    run_id, complete, targets = str(run["run_id"]), bool(run["complete"]), int(run["targets"])
    judged = {name: together(found.values()) for name, found in goals.get(run_id, {}).items()}
    started = run["started_at"].to_pydatetime()
    environments = tuple(map(str, run["environments"]))
    return RunRow(
        id=run_id,
        started_at=started,
        duration=run["finished_at"].to_pydatetime() - started,
        trigger=Trigger(run["trigger"]),
        schedule=_text(run["schedule"]),
        environments=environments,
        policy=f"{_text(run['policy_id'])} {_text(run['policy_version'])}".strip(),
        complete=complete,
        late=facts.late.get(run_id),
        expected=max(int(run["expected_targets"]), targets),
        targets=targets,
        assessed=int(run["assessed"]),
        partial=int(run["partial"]),
        unreachable=int(run["unreachable"]),
        total=together(judged.values()) if run_id in goals else _roughly(run),
        standing=_standing(judged, environments, complete=complete) if run_id in goals or not targets else None,
        files=tuple(facts.files.get(run_id, ())),
        retired=facts.configured is not None and facts.configured.isdisjoint(environments),
    )


def _roughly(run: Mapping[Hashable, Any]) -> Tally:
    """The verdicts of a run as its row counts them, notes among the failures."""
    return Tally(
        passed=int(run["passed"]),
        failed=int(run["failed"]) - int(run["waived"]),
        waived=int(run["waived"]),
        indeterminate=int(run["indeterminate"]),
        not_applicable=int(run["not_applicable"]),
    )


def _standing(judged: Mapping[str, Tally], environments: Sequence[str], *, complete: bool) -> Standing:
    """How a run reads, by the same rules as in its own report."""
    total = together(judged.values())
    if total.standing is Standing.FAILED or not judged:
        return total.standing
    empty = any(name not in judged or judged[name].standing is Standing.EMPTY for name in environments)
    return total.standing if complete and not empty else Standing.UNKNOWN


def _points(
    rows: Mapping[str, RunRow],
    goals: Mapping[str, Mapping[str, _Goals]],
    facts: SiteFacts,
    written: Mapping[str, int],
) -> dict[str, list[Point]]:
    """What each run saw of each environment, in the order in which they were written."""
    ends = {
        (str(row["run_id"]), str(row["environment"])): row["not_after"].to_pydatetime()
        for row in facts.expiries.to_dict("records")
    }
    found: dict[str, list[Point]] = defaultdict(list)
    for seen in facts.coverage.to_dict("records"):
        key = str(seen["run_id"]), str(seen["environment"])
        row = rows.get(key[0])
        judged = goals.get(key[0], {}).get(key[1])
        if row is None or judged is None:
            continue
        found[key[1]].append(
            Point(
                run_id=row.id,
                at=row.started_at,
                complete=row.complete,
                goals={goal: judged.get(goal, Tally()) for goal in Goal},
                total=together(judged.values()),
                targets=int(seen["targets"]),
                assessed=int(seen["assessed"]),
                partial=int(seen["partial"]),
                unreachable=int(seen["unreachable"]),
                expires_in=(ends[key] - row.started_at).days if key in ends else None,
            )
        )
    for points in found.values():
        points.sort(key=lambda point: written[point.run_id])
    return found


def _environments(
    rows: Sequence[RunRow],
    points: Mapping[str, Sequence[Point]],
    since: datetime | None,
    configured: frozenset[str] | None,
) -> Iterator[EnvironmentSeen]:
    """The environments that were ever judged and that the configuration still has, the worst first."""
    by_id = {row.id: row for row in rows}
    found = []
    for name, seen in points.items():
        if configured is not None and name not in configured:
            continue
        now = next((point for point in reversed(seen) if point.complete), seen[-1])
        daily = {point.at.date(): point for point in seen if point.complete and since is not None and point.at >= since}
        found.append(EnvironmentSeen(name, now, by_id[now.run_id], tuple(daily.values())))
    return iter(sorted(found, key=_rank))


def _rank(item: EnvironmentSeen) -> tuple[int, int, str]:
    worst = item.now.total.worst
    return _WORST_FIRST.index(item.now.standing), -(worst.rank if worst else -1), item.name


_WORST_FIRST: Final = (Standing.FAILED, Standing.UNKNOWN, Standing.WAIVED, Standing.COMPLIANT, Standing.EMPTY)


def _months(rows: Sequence[RunRow]) -> tuple[Month, ...]:
    """Whole months, newest first: those of the newest runs on the first page, each other on a page of its own."""
    grouped: dict[date, list[RunRow]] = defaultdict(list)
    for row in rows:
        grouped[row.started_at.date().replace(day=1)].append(row)
    months, listed = [], 0
    for first, members in grouped.items():
        months.append(Month(first, INDEX if listed < ON_INDEX else page_name(first), tuple(members)))
        listed += len(members)
    return tuple(months)


def page_name(first: date) -> str:
    """The file that lists the runs of a month which the first page has no room for."""
    return f"index-{first:%Y-%m}.html"


def _text(value: Any) -> str:
    """A text that may be missing, which pandas writes as a number that is none."""
    return value if isinstance(value, str) else ""
