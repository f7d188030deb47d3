"""What could not be assessed, and why: by reason, so that one silent host is one line and not sixty."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reports.language import gettext
from reports.view.clauses import was_looked_at
from reports.view.index import Index
from reports.view.sentences import reason_in_words
from reports.view.target_model import Gap, TargetRef, UnreachableView
from reports.wording import FAILURES, UNCOVERED
from scanner.evidence import FailureReason
from scanner.verdict import Status, TargetStatus, Verdict

if TYPE_CHECKING:
    from scanner.rules import Rule
    from scanner.standpoint import NotCovered, Vantage
    from scanner.verdict import RunRecord


def unreachables_of(index: Index) -> tuple[UnreachableView, ...]:
    """The targets that gave no answer at all, by reason; the reason of most of them first."""
    grouped: dict[tuple[str, str], list[TargetRef]] = defaultdict(list)
    for target in index.record.targets:
        if target.status is TargetStatus.UNREACHABLE:
            reason = FAILURES[target.error.reason if target.error else FailureReason.NOT_RUN]
            grouped[reason, target.error.detail if target.error else ""].append(index.ref(target))
    found = [UnreachableView(reason, detail, tuple(refs)) for (reason, detail), refs in grouped.items()]
    return tuple(sorted(found, key=lambda item: (-len(item.targets), item.reason)))


def gaps_of(index: Index, rules: Mapping[str, Rule]) -> tuple[Gap, ...]:
    """The checks without an answer at targets that gave some; those that concern most first."""
    return _by_reason(index, rules, lambda verdict: verdict.status is Status.INDETERMINATE)


def unasked_of(index: Index, rules: Mapping[str, Rule]) -> tuple[Gap, ...]:
    """The checks that nobody was allowed to ask, or that nothing observed speaks of; those that concern most first."""
    return _by_reason(
        index, rules, lambda verdict: verdict.status is Status.NOT_APPLICABLE and not was_looked_at(verdict)
    )


def looked_from(record: RunRecord) -> str:
    """Where a run looked from, on one line; empty where an older version made it and nobody recorded that.

    Args:
        record: the run. Where workers of other zones looked, each zone is named with how many targets they saw.
    """
    zones = Counter(item.evidence.seen_from for item in record.targets if item.evidence and item.evidence.seen_from)
    seen = [
        gettext("zone %(zone)s: %(seen)s of %(all)s targets")
        % {"zone": zone, "seen": number, "all": len(record.targets)}
        for zone, number in sorted(zones.items())
    ]
    place = [_place(record.run.vantage)] if record.run.vantage is not None else []
    return "; ".join([*place, *seen])


def _place(vantage: Vantage) -> str:
    networks = f" ({', '.join(vantage.networks)})" if vantage.networks else ""
    addresses = f"{', '.join(vantage.addresses)}{networks}" if vantage.addresses else ""
    via = gettext("through %(proxy)s") % {"proxy": vantage.proxy} if vantage.proxy else ""
    names = gettext("names by %(resolvers)s") % {"resolvers": ", ".join(vantage.resolvers)} if vantage.resolvers else ""
    return "; ".join(part for part in (vantage.name, addresses, via, names) if part) or gettext("not known")


def not_covered_in_words(item: NotCovered) -> str:
    """One thing that was not looked at because nobody configured it, on one line."""
    what = f"{item.host} ({item.environment})" if item.host else item.environment
    found = f" ({item.found})" if item.found else ""
    return f"{what}: {UNCOVERED[item.reason]}{found}"


def _by_reason(index: Index, rules: Mapping[str, Rule], concerns: Callable[[Verdict], bool]) -> tuple[Gap, ...]:
    grouped: dict[str, dict[str, dict[TargetRef, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for target in index.record.targets:
        if target.status is TargetStatus.UNREACHABLE:
            continue
        for verdict in filter(concerns, target.verdicts):
            reason = reason_in_words(verdict.message, rules.get(verdict.rule), verdict.reason)
            grouped[reason][verdict.rule][index.ref(target)] += 1
    gaps = [
        Gap(
            reason=reason,
            rules=tuple(sorted(by_rule)),
            targets=tuple(dict.fromkeys(ref for refs in by_rule.values() for ref in refs)),
            checks=sum(number for refs in by_rule.values() for number in refs.values()),
        )
        for reason, by_rule in grouped.items()
    ]
    return tuple(sorted(gaps, key=lambda gap: (-gap.checks, gap.reason)))
