"""What could not be assessed, and why: by reason, so that one silent host is one line and not sixty."""

from __future__ import annotations

from collections import defaultdict

from reports.view.index import Index
from reports.view.model import Gap, TargetRef, UnreachableView
from reports.wording import FAILURES
from scanner.evidence import FailureReason
from scanner.verdict import Status, TargetStatus

_SLUGS = {reason.value: text for reason, text in FAILURES.items()}
_PREFIX = "It could not be observed: "


def unreachables_of(index: Index) -> tuple[UnreachableView, ...]:
    """The targets that gave no answer at all, by reason; the reason of most of them first."""
    grouped: dict[tuple[str, str], list[TargetRef]] = defaultdict(list)
    for target in index.record.targets:
        if target.status is TargetStatus.UNREACHABLE:
            reason = FAILURES[target.error.reason if target.error else FailureReason.NOT_RUN]
            grouped[reason, target.error.detail if target.error else ""].append(index.ref(target))
    found = [UnreachableView(reason, detail, tuple(refs)) for (reason, detail), refs in grouped.items()]
    return tuple(sorted(found, key=lambda item: (-len(item.targets), item.reason)))


def gaps_of(index: Index) -> tuple[Gap, ...]:
    """The checks without an answer at targets that gave some; those that concern most first."""
    grouped: dict[str, dict[str, dict[TargetRef, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for target in index.record.targets:
        if target.status is TargetStatus.UNREACHABLE:
            continue
        for verdict in target.verdicts:
            if verdict.status is Status.INDETERMINATE:
                grouped[reason_in_words(verdict.message)][verdict.rule][index.ref(target)] += 1
    gaps = [
        Gap(
            reason=reason,
            rules=tuple(sorted(rules)),
            targets=tuple(dict.fromkeys(ref for refs in rules.values() for ref in refs)),
            checks=sum(number for refs in rules.values() for number in refs.values()),
        )
        for reason, rules in grouped.items()
    ]
    return tuple(sorted(gaps, key=lambda gap: (-gap.checks, gap.reason)))


def reason_in_words(message: str) -> str:
    """The message of an indeterminate verdict as a clause: `no answer came in time (5 s)`, not `timed-out (5 s)`."""
    text = message.removeprefix(_PREFIX).removesuffix(".")
    slug, space, rest = text.partition(" ")
    return f"{_SLUGS[slug]}{space}{rest}" if slug in _SLUGS else text
