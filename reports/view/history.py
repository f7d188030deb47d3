"""What a report says of its run's past: how long failures last, what differs, how much could be looked at.

What is so now is read from the run itself, since when it is so from what the history answers about the runs up to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from reports.language import gettext, told
from reports.view.certificates import deployments_of
from reports.view.history_model import (
    Attributed,
    ComparedApplication,
    CoveragePoint,
    DifferingName,
    DiffKind,
    HistoryView,
    OpenSince,
    SharedKey,
    TimeToFix,
)
from reports.view.index import Index
from reports.view.model import FailureCause
from reports.view.target_model import TargetRef
from scanner.history.attribution import ChangeCause
from scanner.inventory import address_of
from scanner.verdict import Severity, Status, TargetResult, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from scanner.history.run_diff import RunDiff, TargetChange, VerdictChange
    from scanner.rules import Rule

_WORST_FIRST: Final = (Status.FAIL, Status.INDETERMINATE, Status.PASS, Status.NOT_APPLICABLE)


class HistoryAnswers(Struct, frozen=True, eq=False):
    """What a history answers about the runs up to one.

    `earlier` counts the complete runs of the same scope before it, and `first` is when the first of them began, or the
    run itself. The DataFrames are as the questions of `scanner.history.questions` that are named like them answer,
    `coverage` and `trend` about the last run of each recent day; `begun` tells when each environment was first scanned.
    """

    earlier: int
    first: datetime
    begun: Mapping[str, datetime]
    difference: RunDiff | None
    failing_since: pd.DataFrame
    mean_time_to_fix: pd.DataFrame
    differing_addresses: pd.DataFrame
    coverage: pd.DataFrame
    trend: pd.DataFrame
    fixes_from: datetime | None = None
    """When the first run began that the times to fix were read from, if that was not the first of all."""


def history_of(
    index: Index, answers: HistoryAnswers, causes: tuple[FailureCause, ...], rules: Mapping[str, Rule]
) -> HistoryView:
    """Put the past of a run into the terms of its report."""
    environments = tuple(dict.fromkeys(target.environment for target in index.record.targets))
    return HistoryView(
        earlier=answers.earlier,
        first=answers.first,
        changes=_changes(answers.difference, index, causes, rules) if answers.difference else (),
        open_since=_open_since(index, answers, causes),
        fixes=_fixes(answers.mean_time_to_fix, environments),
        fixes_from=answers.fixes_from,
        keys=_shared_keys(index),
        names=_differing(answers.differing_addresses, environments, rules),
        compared=_compared(index, rules),
        coverage=_coverage(answers.coverage, environments),
    )


def _changes(
    difference: RunDiff, index: Index, causes: tuple[FailureCause, ...], rules: Mapping[str, Rule]
) -> tuple[Attributed, ...]:
    """The changes of verdicts by rule and of targets, and what each comes from; the worst first within each kind."""
    of_verdicts = (
        (DiffKind.NEW_FAILURE, difference.new_failures),
        (DiffKind.WORSE, difference.worse),
        (DiffKind.WORSE_BUT_WAIVED, difference.worse_but_waived),
        (DiffKind.ASSESSED_AGAIN, difference.newly_assessed),
        (DiffKind.BETTER, difference.better),
        (DiffKind.FIXED, difference.fixed),
        (DiffKind.NO_LONGER_KNOWN, difference.became_indeterminate),
        (DiffKind.WAIVED, difference.newly_waived),
        (DiffKind.NO_LONGER_JUDGED, difference.no_longer_judged),
    )
    of_targets = (
        (DiffKind.UNREACHABLE, difference.now_unreachable),
        (DiffKind.BACK, difference.back),
        (DiffKind.APPEARED, difference.appeared),
        (DiffKind.GONE, difference.disappeared),
    )
    silent = {change.target.endpoint for change in difference.now_unreachable}
    anchors = {(cause.rule, cause.reason): cause for cause in causes}
    found: list[Attributed] = []
    for kind, changes in of_verdicts:
        # That nothing is known of a target which does not answer is told once, as that.
        kept = [
            item
            for item in changes
            if _counts(item) and not (kind is DiffKind.NO_LONGER_KNOWN and item.target.endpoint in silent)
        ]
        found += _by_rule(kind, kept, index, anchors, rules)
    for kind, moved in of_targets:
        found += _by_cause(kind, moved, index)
    refs = tuple(_ref(change.target, index) for change in difference.addresses)
    if refs:
        found.append(Attributed(DiffKind.MOVED, "", ChangeCause.SERVER, refs))
    return tuple(found)


_FAILING: Final = (DiffKind.NEW_FAILURE, DiffKind.WORSE, DiffKind.ASSESSED_AGAIN, DiffKind.BETTER)


def _counts(change: VerdictChange) -> bool:
    return change.verdict.severity is not Severity.INFO


def _by_rule(
    kind: DiffKind,
    changes: Sequence[VerdictChange],
    index: Index,
    anchors: Mapping[tuple[str, str], FailureCause],
    rules: Mapping[str, Rule],
) -> Iterator[Attributed]:
    grouped: dict[tuple[str, ChangeCause], list[VerdictChange]] = defaultdict(list)
    for change in changes:
        grouped[change.rule, change.cause].append(change)
    for (rule, change_cause), members in grouped.items():
        verdict: Verdict = max((member.verdict for member in members), key=lambda item: item.severity.rank)
        cause = anchors.get((rule, verdict.reason)) if kind in _FAILING else None
        yield Attributed(
            kind,
            cause.found if cause else _title(rule, rules),
            change_cause,
            tuple(
                dict.fromkeys(_ref(place, index) for member in members for place in member.places or (member.target,))
            ),
            verdict.severity,
            cause.anchor if cause else None,
        )


def _by_cause(kind: DiffKind, changes: Sequence[TargetChange], index: Index) -> Iterator[Attributed]:
    grouped: dict[ChangeCause, list[TargetRef]] = defaultdict(list)
    for change in changes:
        grouped[change.cause].append(_ref(change.target, index))
    for change_cause, refs in grouped.items():
        yield Attributed(kind, "", change_cause, tuple(refs))


def _ref(target: TargetResult, index: Index) -> TargetRef:
    """The target as this report names it; what is not in this run has no place here to point to."""
    return index.refs.get(target.id) or TargetRef(target.id, "", target.address, target.environment)


def _open_since(index: Index, answers: HistoryAnswers, causes: tuple[FailureCause, ...]) -> tuple[OpenSince, ...]:
    """How long each cause has lasted, the longest first."""
    started = index.record.run.started_at
    known = seen_first(answers.failing_since)
    found = []
    for cause in causes:
        seen = [(known.get((target.endpoint, cause.rule), started), target) for target in cause.targets]
        if not seen:
            continue
        since, where = min(seen, key=lambda pair: pair[0])
        begun = answers.begun.get(where.environment)
        found.append(
            OpenSince(
                anchor=cause.anchor,
                text=cause.found,
                severity=cause.severity,
                since=since,
                latest=max(moment for moment, _ in seen),
                lasted=started - since,
                at_least=begun is not None and since <= begun,
                targets=cause.targets,
            )
        )
    return tuple(sorted(found, key=lambda item: (item.since, -item.severity.rank, item.anchor)))


def seen_first(failing_since: pd.DataFrame) -> dict[tuple[str, str], datetime]:
    """When each rule was first seen to fail at each endpoint, of failures that still last, by (endpoint, rule)."""
    found: dict[tuple[str, str], datetime] = {}
    names = (failing_since[name].astype(str) for name in ("endpoint", "rule"))
    for endpoint, rule, since in zip(*names, failing_since["since"].dt.to_pydatetime(), strict=True):
        key = endpoint, rule
        found[key] = min(since, found.get(key, since))
    return found


def _fixes(frame: pd.DataFrame, environments: Sequence[str]) -> tuple[TimeToFix, ...]:
    """The environments of the run alone, the gravest first in each."""
    found = [
        TimeToFix(
            environment=str(row["environment"]),
            severity=Severity(row["severity"]),
            fixed=int(row["fixed"]),
            mean=row["mean"].to_pytimedelta(),
            median=row["median"].to_pytimedelta(),
            longest=row["longest"].to_pytimedelta(),
            still_open=int(row["still_open"]),
        )
        for row in frame.to_dict("records")
        if row["fixed"] and str(row["environment"]) in environments and row["severity"] != Severity.INFO.value
    ]
    return tuple(sorted(found, key=lambda item: (environments.index(item.environment), -item.severity.rank)))


def _shared_keys(index: Index) -> tuple[SharedKey, ...]:
    """Keys that several hosts hold, those in most environments first."""
    certificates: dict[str, set[str]] = defaultdict(set)
    holders: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
    for target in index.record.targets:
        for deployment in deployments_of(target):
            certificates[deployment.leaf.spki].add(deployment.leaf.fingerprint)
            holders[deployment.leaf.spki][target.host, target.environment] = None
    found = [
        SharedKey(
            spki=spki,
            certificates=len(certificates[spki]),
            hosts=tuple(sorted({host for host, _ in members})),
            environments=tuple(sorted({environment for _, environment in members})),
        )
        for spki, members in holders.items()
    ]
    shared = [key for key in found if len(key.hosts) > 1]
    return tuple(sorted(shared, key=lambda key: (-len(key.environments), -len(key.hosts), key.spki)))


def _differing(
    frame: pd.DataFrame, environments: Sequence[str], rules: Mapping[str, Rule]
) -> tuple[DifferingName, ...]:
    """Names whose addresses answer differently, those that differ longest first."""
    grouped: dict[tuple[str, str, int], list[Mapping[Hashable, Any]]] = defaultdict(list)
    for row in frame.to_dict("records"):
        if str(row["environment"]) in environments:
            grouped[str(row["environment"]), str(row["host"]), int(row["port"])].append(row)
    found = [
        DifferingName(
            environment=environment,
            address=address_of(host, port),
            addresses=max(int(row["addresses"]) for row in rows),
            what=tuple(_differs_in(str(row["what"]), rules) for row in rows),
            since=min(row["since"] for row in rows).to_pydatetime(),
            lasted=max(row["duration"] for row in rows).to_pytimedelta(),
        )
        for (environment, host, port), rows in grouped.items()
    ]
    return tuple(sorted(found, key=lambda item: (item.since, item.environment, item.address)))


def _differs_in(what: str, rules: Mapping[str, Rule]) -> str:
    """The certificate, or the requirement and the part of the target that it is about."""
    rule, _, subject = what.partition(" ")
    if rule == "certificate":
        return gettext("the certificate")
    title = _title(rule, rules)
    return f"{title} ({subject})" if subject else title


def _compared(index: Index, rules: Mapping[str, Rule]) -> tuple[ComparedApplication, ...]:
    """Where an application fares differently in another environment: its worst outcome in each, by rule."""
    worst: dict[tuple[str, str], dict[str, Status]] = defaultdict(dict)
    present: dict[str, dict[str, None]] = defaultdict(dict)
    for target in index.record.targets:
        for application in target.applications:
            present[application][target.environment] = None
            for verdict in target.verdicts:
                if verdict.severity is Severity.INFO:
                    continue
                outcomes = worst[application, verdict.rule]
                known = outcomes.get(target.environment, verdict.status)
                outcomes[target.environment] = min(known, verdict.status, key=_WORST_FIRST.index)
    grouped: dict[tuple[str, tuple[tuple[Status | None, tuple[str, ...]], ...]], list[str]] = defaultdict(list)
    for (application, rule), outcomes in worst.items():
        # That a requirement is met in one place and does not apply in another asks nothing of anybody.
        differs = len({outcomes.get(name) for name in present[application]}) > 1
        if differs and not {Status.FAIL, Status.INDETERMINATE}.isdisjoint(outcomes.values()):
            grouped[application, _pattern(outcomes, present[application])].append(_title(rule, rules))
    found = [ComparedApplication(name, pattern, tuple(titles)) for (name, pattern), titles in grouped.items()]
    return tuple(sorted(found, key=lambda item: (_rank(item.outcomes[0][0]), item.application, -len(item.rules))))


def _title(rule: str, rules: Mapping[str, Rule]) -> str:
    return told(rules[rule].title) if rule in rules else rule


def _pattern(
    outcomes: Mapping[str, Status], environments: Mapping[str, None]
) -> tuple[tuple[Status | None, tuple[str, ...]], ...]:
    by_outcome: dict[Status | None, list[str]] = defaultdict(list)
    for name in environments:
        by_outcome[outcomes.get(name)].append(name)
    return tuple((outcome, tuple(by_outcome[outcome])) for outcome in sorted(by_outcome, key=_rank))


def _rank(status: Status | None) -> int:
    return _WORST_FIRST.index(status) if status is not None else len(_WORST_FIRST)


def _coverage(frame: pd.DataFrame, environments: Sequence[str]) -> tuple[CoveragePoint, ...]:
    """All environments of the run together, oldest run first."""
    counts = ["targets", "assessed", "partial", "unreachable"]
    mine = frame[frame["environment"].astype(str).isin(environments)]
    table = mine.astype({"run_id": str}).groupby(["run_started_at", "run_id"], observed=True)[counts].sum()
    return tuple(
        CoveragePoint(run_id, at.to_pydatetime(), *map(int, numbers))
        for (at, run_id), numbers in zip(table.index, table.to_numpy().tolist(), strict=True)
    )
