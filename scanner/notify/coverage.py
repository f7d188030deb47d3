"""What a run could look at less than the one before: endpoints, however many addresses their names have each night.

What the configuration does not have any more, by whichever of its files, is retired and no loss; what a run was not
asked to look at is none either.
"""

from __future__ import annotations

from collections import defaultdict

from reports.deliver_message import Entry, Section
from reports.message import Level
from scanner.counting import counted
from scanner.evidence import FailureReason
from scanner.history.attribution import cause_of_silence
from scanner.history.scope import ConfiguredScope
from scanner.notify.alarms import usual_reason
from scanner.notify.silence import advice_for, cause_in_words, why
from scanner.verdict import RunRecord, TargetResult, TargetStatus

_DROP = 0.1
"""More than a tenth of the endpoints assessed less is told."""


def coverage(before: RunRecord | None, after: RunRecord, scope: ConfiguredScope | None) -> Section:
    """What could be looked at less than in the run before.

    Args:
        before: the run before, None where there is none.
        after: the run.
        scope: what its configuration has; None where that is unknown.
    """
    entries: list[Entry] = []
    if before is not None and after.run.complete and before.run.complete:
        visited = {*after.run.environments, *(target.environment for target in after.targets)}
        old = {
            name: targets
            for name, targets in _endpoints(before).items()
            if targets[0].environment in visited and (scope is None or scope.has(name))
        }
        new = _endpoints(after)
        absent = {domain.endpoint for domain in after.run.absent_domains}
        missing = sorted(old.keys() - new.keys() - absent)
        entries += _missing(missing)
        entries += _not_assessed({name: (old[name], new[name]) for name in old.keys() & new.keys()})
        entries += [
            Entry(f"{domain.host} ({domain.environment}, {domain.named_by}) gives no answer any more.")
            for domain in after.run.absent_domains
            if domain.endpoint in old
        ]
    return Section("coverage", Level.WARNING, "Coverage dropped", "coverage dropped", tuple(entries))


def _missing(endpoints: list[str]) -> list[Entry]:
    """Endpoints that the configuration has and the run does not: nothing can be said of why."""
    if not endpoints:
        return []
    text = f"{counted(len(endpoints), 'endpoint')} of the configuration not in this run."
    return [Entry(text, places=tuple(endpoints), advice="Look into the log of the run.")]


def _not_assessed(pairs: dict[str, tuple[list[TargetResult], list[TargetResult]]]) -> list[Entry]:
    """Endpoints that could be assessed in full before and not now, by the reason; none where they are too few."""
    was = {name for name, (old, _) in pairs.items() if _assessed(old)}
    now = {name for name, (_, new) in pairs.items() if _assessed(new)}
    if len(was) - len(now) <= _DROP * len(pairs):
        return []
    by_reason: dict[FailureReason | None, list[str]] = defaultdict(list)
    for name in sorted(was - now):
        by_reason[usual_reason(pairs[name][1])].append(name)
    return [
        Entry(
            f"{len(names)} of {counted(len(pairs), 'endpoint')} assessed in full before, and not now{why(reason)}.",
            places=tuple(names),
            cause=cause_in_words(cause_of_silence(reason)) if reason else "",
            advice=advice_for(reason),
        )
        for reason, names in by_reason.items()
    ]


def _assessed(targets: list[TargetResult]) -> bool:
    """Whether one address at least was assessed in full: of others that are silent, receivers hear as that."""
    return any(target.status is TargetStatus.ASSESSED for target in targets)


def _endpoints(record: RunRecord) -> dict[str, list[TargetResult]]:
    found: dict[str, list[TargetResult]] = defaultdict(list)
    for target in record.targets:
        found[target.endpoint].append(target)
    return dict(found)
