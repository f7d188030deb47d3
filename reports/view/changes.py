"""What changed between two runs, in the terms of a reader: what broke, what was mended, what came and went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import structs

from reports.language import gettext, listed, told
from reports.view.index import Index, tally
from reports.view.model import Change, ChangeKind, Changes, FailureCause
from reports.view.sentences import retold
from reports.view.target_model import TargetRef
from scanner.verdict import RunRecord, Severity, Status, TargetResult, Verdict

if TYPE_CHECKING:
    from scanner.history.run_diff import RunDiff, VerdictChange
    from scanner.rules import Rule

_ORDER = list(ChangeKind)
_FAILING: Final = (ChangeKind.NEW_FAILURE, ChangeKind.WORSE, ChangeKind.ASSESSED_AGAIN)


def changes_of(
    index: Index, previous: RunRecord, difference: RunDiff, causes: tuple[FailureCause, ...], rules: Mapping[str, Rule]
) -> Changes:
    """Tell what differs from the run before, out of the one comparison that everything else tells of too.

    What fails at an endpoint that the run before did not have is no change: the endpoint is.
    """
    anchors = {(cause.rule, cause.reason): cause for cause in causes}
    known = {target.endpoint for target in previous.targets}
    went = Index.of(previous)

    def refs(targets: Iterable[TargetResult]) -> tuple[TargetRef, ...]:
        # What is not in this run has no place in its report to point to.
        return tuple(
            dict.fromkeys(index.refs.get(item.id) or structs.replace(went.ref(item), anchor="") for item in targets)
        )

    grouped: dict[tuple[ChangeKind, str, str], list[tuple[TargetRef, Verdict]]] = defaultdict(list)
    for kind, items in _verdict_changes(difference):
        for item in items:
            verdict = item.before if kind is ChangeKind.FIXED and item.before is not None else item.verdict
            if verdict.severity is Severity.INFO or item.target.endpoint not in known:
                continue
            placed = ((ref, verdict) for ref in refs(item.places or (item.target,)))
            grouped[kind, verdict.rule, verdict.reason].extend(placed)
    changes = _together([_change(kind, placed, anchors, rules) for (kind, _, _), placed in grouped.items()])
    for kind, text, targets in (
        (ChangeKind.NEW_TARGET, gettext("Scanned for the first time"), difference.appeared),
        (ChangeKind.GONE_TARGET, gettext("No longer scanned"), difference.disappeared),
        (
            ChangeKind.NEW_CERTIFICATE,
            gettext("A different certificate is served, and it is not a renewal"),
            tuple(item for item in difference.certificates if item.after is not None and not item.expected),
        ),
        (
            ChangeKind.NEW_CERTIFICATE,
            gettext("A certificate was renewed"),
            tuple(item for item in difference.certificates if item.after is not None and item.expected),
        ),
    ):
        found = refs(item.target for item in targets)
        if found:
            changes.append(Change(kind, text, found))
    before = {target.id: target.policy.digest for target in previous.targets}
    return Changes(
        since=previous.run.started_at,
        run_id=previous.run.id,
        changes=tuple(sorted(changes, key=_rank)),
        other_policy=any(
            before.get(target.id, target.policy.digest) != target.policy.digest for target in index.record.targets
        ),
        failed_before=tally(previous.verdicts).failed,
        failed_now=tally(index.record.verdicts).failed,
        through=difference.balances,
    )


def _verdict_changes(difference: RunDiff) -> Iterator[tuple[ChangeKind, Sequence[VerdictChange]]]:
    yield ChangeKind.NEW_FAILURE, difference.new_failures
    yield ChangeKind.WORSE, difference.worse
    yield ChangeKind.ASSESSED_AGAIN, difference.newly_assessed
    yield ChangeKind.FIXED, difference.fixed
    yield ChangeKind.WAIVED, difference.newly_waived
    yield ChangeKind.NO_LONGER_JUDGED, difference.no_longer_judged
    yield (
        ChangeKind.NO_LONGER_KNOWN,
        [
            item
            for item in difference.became_indeterminate
            if item.before is not None and item.before.status is not Status.NOT_APPLICABLE
        ],
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


def _change(
    kind: ChangeKind,
    placed: list[tuple[TargetRef, Verdict]],
    anchors: Mapping[tuple[str, str], FailureCause],
    rules: Mapping[str, Rule],
) -> Change:
    first = placed[0][1]
    cause = anchors.get((first.rule, first.reason))
    rule = rules.get(first.rule)
    title = told(rule.title) if rule else first.rule
    text = {
        **dict.fromkeys(_FAILING, cause.found if cause else retold(first, rules)),
        ChangeKind.FIXED: gettext("Now met: %(title)s") % {"title": title},
    }.get(kind, title)
    severity: Severity = max(verdict.severity for _, verdict in placed)
    return Change(
        kind=kind,
        text=text,
        targets=tuple(dict.fromkeys(ref for ref, _ in placed)),
        severity=severity,
        rule=first.rule,
        anchor=cause.anchor if cause and kind in _FAILING else None,
    )
