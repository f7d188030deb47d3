"""What changed between two runs, in the terms of a reader: what broke, what was mended, what came and went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reports.language import gettext, listed, told
from reports.view.certificates import deployments_of
from reports.view.index import Index, is_failure, tally
from reports.view.model import (
    Cause,
    Change,
    ChangeKind,
    Changes,
    TargetRef,
)
from reports.view.sentences import retold
from scanner.verdict import RunRecord, Severity, Status, TargetResult, Verdict

if TYPE_CHECKING:
    from scanner.rules import Rule

_Key = tuple[str, str]
_ORDER = list(ChangeKind)


def changes_of(index: Index, previous: RunRecord, causes: tuple[Cause, ...], rules: Mapping[str, Rule]) -> Changes:
    """Compare a run with the one before: only targets that both looked at can have changed."""
    before = {target.id: target for target in previous.targets}
    now = {target.id: target for target in index.record.targets}
    scanned_before = set(previous.run.environments) | {target.environment for target in previous.targets}
    scanned_now = set(index.record.run.environments) | {target.environment for target in index.record.targets}
    anchors = {(cause.rule, cause.reason): cause for cause in causes}
    grouped: dict[tuple[ChangeKind, str, str], list[tuple[TargetRef, Verdict]]] = defaultdict(list)
    renewed: dict[TargetRef, None] = {}
    for target_id, target in now.items():
        if target_id in before:
            ref = index.ref(target)
            for kind, verdict in _verdict_changes(before[target_id], target):
                grouped[kind, verdict.rule, verdict.reason].append((ref, verdict))
            if _renewed(before[target_id], target):
                renewed[ref] = None
    changes = _together([_change(kind, placed, anchors, rules) for (kind, _, _), placed in grouped.items()])
    came = tuple(
        index.ref(target) for key, target in now.items() if key not in before and target.environment in scanned_before
    )
    went = Index.of(previous)
    gone = tuple(
        replace(went.ref(target), anchor="")  # it has no place in this report to point to
        for key, target in before.items()
        if key not in now and target.environment in scanned_now and index.record.run.complete
    )
    for kind, text, targets in (
        (ChangeKind.NEW_TARGET, gettext("Scanned for the first time"), came),
        (ChangeKind.GONE_TARGET, gettext("No longer there to be scanned"), gone),
        (ChangeKind.NEW_CERTIFICATE, gettext("A new certificate is served"), tuple(renewed)),
    ):
        if targets:
            changes.append(Change(kind, text, targets))
    both = before.keys() & now.keys()
    return Changes(
        since=previous.run.started_at,
        run_id=previous.run.id,
        changes=tuple(sorted(changes, key=_rank)),
        other_policy=any(before[key].policy.digest != now[key].policy.digest for key in both),
        failed_before=tally(previous.verdicts).failed,
        failed_now=tally(index.record.verdicts).failed,
    )


def _together(changes: list[Change]) -> list[Change]:
    """What is no longer known of the same targets is one change: one silent probe takes many rules with it."""
    kept = [change for change in changes if change.kind is not ChangeKind.NO_LONGER_KNOWN]
    unknown: dict[tuple[TargetRef, ...], list[Change]] = defaultdict(list)
    for change in changes:
        if change.kind is ChangeKind.NO_LONGER_KNOWN:
            unknown[change.targets].append(change)
    for targets, members in unknown.items():
        text = gettext("No longer known: %(what)s") % {"what": listed([change.text for change in members], limit=2)}
        severity = max(change.severity for change in members if change.severity is not None)
        kept.append(Change(ChangeKind.NO_LONGER_KNOWN, text, targets, severity))
    return kept


def _rank(change: Change) -> tuple[int, int, int]:
    severity = change.severity.rank if change.severity else 0
    return _ORDER.index(change.kind), -severity, -len(change.targets)


def _verdict_changes(before: TargetResult, now: TargetResult) -> Iterator[tuple[ChangeKind, Verdict]]:
    old: dict[_Key, Verdict] = {(verdict.rule, verdict.subject): verdict for verdict in before.verdicts}
    for verdict in now.verdicts:
        known = old.get((verdict.rule, verdict.subject))
        if known is None:
            continue
        if is_failure(verdict) and known.status in {Status.PASS, Status.NOT_APPLICABLE}:
            yield ChangeKind.NEW_FAILURE, verdict
        elif is_failure(known) and verdict.status in {Status.PASS, Status.NOT_APPLICABLE}:
            yield ChangeKind.FIXED, known
        elif verdict.status is Status.INDETERMINATE and known.status in {Status.PASS, Status.FAIL}:
            yield ChangeKind.NO_LONGER_KNOWN, verdict


def _renewed(before: TargetResult, now: TargetResult) -> bool:
    old = {item.leaf.fingerprint for item in deployments_of(before)}
    new = {item.leaf.fingerprint for item in deployments_of(now)}
    return bool(old and new - old)


def _change(
    kind: ChangeKind,
    placed: list[tuple[TargetRef, Verdict]],
    anchors: Mapping[tuple[str, str], Cause],
    rules: Mapping[str, Rule],
) -> Change:
    first = placed[0][1]
    cause = anchors.get((first.rule, first.reason))
    rule = rules.get(first.rule)
    title = told(rule.title) if rule else first.rule
    text = {
        ChangeKind.NEW_FAILURE: cause.found if cause else retold(first, rules),
        ChangeKind.FIXED: gettext("Now met: %(title)s") % {"title": title},
    }.get(kind, title)
    severity: Severity = max(verdict.severity for _, verdict in placed)
    return Change(
        kind=kind,
        text=text,
        targets=tuple(dict.fromkeys(ref for ref, _ in placed)),
        severity=severity,
        rule=first.rule,
        anchor=cause.anchor if cause and kind is ChangeKind.NEW_FAILURE else None,
    )
