"""What a run comes to, in a few lines for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from reports.view.causes import found_sentence
from reports.view.coverage import not_covered_in_words, unreachables_of
from reports.view.index import Index, is_failure, tally
from reports.view.numbering import numbers_of, told_once
from reports.view.readable import readable
from scanner.counting import counted
from scanner.evaluate import WaiverReport, report_waivers
from scanner.idle_waivers import Idle, why_idle
from scanner.rules import all_rules

if TYPE_CHECKING:
    from scanner.jobs.run import RunOutcome
    from scanner.verdict import AbsentDomain, RunRecord, TargetResult, Verdict
    from scanner.waiver import Waiver

_WORST: Final = 5
"""Findings that are named."""
_PLACES: Final = 3
"""Targets that are named of each of them."""
_NOT_REACHED: Final = 20
"""Targets without an answer that are named for each reason."""


def summary(outcome: RunOutcome) -> str:
    """What was scanned, what is not met where, the worst of it, who could not be reached, and where the reports are."""
    record = readable(outcome.record)
    statuses = [target.status.value for target in record.targets]
    seconds = (record.run.finished_at - record.run.started_at).total_seconds()
    by_status = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    lines = [
        f"Run {record.run.id}: {counted(len(statuses), 'target')} in {seconds:.1f} s ({by_status or 'none'})",
    ]
    if not record.run.complete:
        lines.append(
            f"It was ended when {len(statuses)} of {counted(record.run.expected_targets, 'target')} were done."
        )
    lines.append(tally(record.verdicts).said)
    for name in record.run.environments:
        of_it = tally(verdict for target in record.targets if target.environment == name for verdict in target.verdicts)
        worst = f", worst {of_it.worst}" if of_it.worst else ""
        lines.append(f"  {name}: {of_it.failed} not met{worst}, {of_it.indeterminate} not assessed")
    lines += _worst_findings(record)
    lines += _unreachable(record)
    lines += [f"No answer at {named_absent(domain)}" for domain in record.run.absent_domains]
    lines += _not_covered(record)
    today = record.run.finished_at.date()
    lines += waiver_lines(report_waivers(record.targets, outcome.waivers, today), record.targets)
    lines += [f"Report: {path}" for path in outcome.files]
    lines += [f"All runs: {outcome.site}"] if outcome.site else []
    return "\n".join(lines)


def _worst_findings(record: RunRecord) -> Iterator[str]:
    """The worst of what is not met, as the reports number it: of one severity, what concerns most targets first."""
    numbers, rules = numbers_of(record), all_rules()
    found: dict[int, list[tuple[TargetResult, Verdict]]] = defaultdict(list)
    for target in record.targets:
        for verdict in filter(is_failure, told_once(target)):
            found[numbers.place((verdict.rule, verdict.reason, False))].append((target, verdict))
    if found:
        yield "Worst:"
    for number in sorted(found)[:_WORST]:
        verdicts = [verdict for _, verdict in found[number]]
        first, severity = verdicts[0], max(verdict.severity for verdict in verdicts)
        message = found_sentence(rules.get(first.rule), first.reason, [verdict.message for verdict in verdicts])
        places = list(dict.fromkeys(_place(target) for target, _ in found[number]))
        yield f"  F{number} {severity} {first.rule}: {message}"
        yield f"     at {_some(places, _PLACES)}"
    if len(found) > _WORST:
        yield f"  and {counted(len(found) - _WORST, 'other finding')}"


def _unreachable(record: RunRecord) -> Iterator[str]:
    """The targets that gave no answer at all, by the reason why."""
    found = unreachables_of(Index.of(record))
    if found:
        yield "Not reached:"
    for item in found:
        detail = f" ({item.detail})" if item.detail else ""
        yield f"  {_some([target.label for target in item.targets], _NOT_REACHED)}: {item.reason}{detail}"


def _not_covered(record: RunRecord) -> Iterator[str]:
    """What was not looked at because nobody configured it: the first of it, and how much there is."""
    run = record.run
    if run.not_covered:
        yield "Not covered, because it is not configured:"
    for item in run.not_covered[:_WORST]:
        yield f"  {not_covered_in_words(item)}"
    if run.not_covered_total > _WORST:
        yield f"  and {run.not_covered_total - _WORST} more, in the reports"


def _place(target: TargetResult) -> str:
    return f"{target.address} ({target.environment})"


def _some(names: Sequence[str], most: int) -> str:
    """So many of the names, and how many others there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {counted(rest, 'other')}" if rest > 0 else "")


def named_absent(domain: AbsentDomain) -> str:
    """A platform's host name at which nobody answers, with the key that names it and how that was found."""
    detail = f" ({domain.failure.detail})" if domain.failure.detail else ""
    where = f"{domain.host}:{domain.port} ({domain.environment}, {domain.named_by})"
    return f"{where}: {domain.failure.reason}{detail}; the other domain answers"


def waiver_lines(report: WaiverReport, targets: Sequence[TargetResult]) -> Iterator[str]:
    """What whoever accepts failures must know: what ends soon, what has ended, what accepts nothing."""
    for waiver, failures in report.expired:
        still = f"; {counted(failures, 'failure')} no longer accepted" if failures else ""
        yield f"Waiver expired on {waiver.expires}: {_named(waiver)}{still}"
    for waiver, failures in report.soon:
        yield f"Waiver ends on {waiver.expires}: {_named(waiver)}: {counted(failures, 'failure')} accepted"
    for waiver in report.unused:
        yield f"Waiver that accepts nothing: {_named(waiver)}: {_why(why_idle(waiver, targets))}"


def _why(idle: Idle) -> str:
    """Why a waiver accepts nothing."""
    if idle.worse:
        return f"{counted(idle.worse, 'failure')} worse than it accepts"
    return "nothing that it covers failed" if idle.judged else "the policy does not judge it"


def _named(waiver: Waiver) -> str:
    return f"{waiver.rule} at {waiver.scope} ({waiver.owner})"
