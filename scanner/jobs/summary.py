"""What a run comes to, in a few lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scanner.evaluate import WaiverReport, report_waivers
from scanner.verdict import Status, count

if TYPE_CHECKING:
    from scanner.jobs.run import Outcome
    from scanner.verdict import AbsentDomain
    from scanner.waiver import Waiver


def summary(outcome: Outcome) -> str:
    """A few lines for people: what was scanned, what failed where, and where the reports are."""
    record = outcome.record
    counts = count(record.verdicts)
    statuses = [target.status.value for target in record.targets]
    seconds = (record.run.finished_at - record.run.started_at).total_seconds()
    by_status = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    lines = [
        f"Run {record.run.id}: {len(record.targets)} targets in {seconds:.1f} s ({by_status or 'none'})",
        (
            f"{counts.passed} passed, {counts.failed} failed ({counts.waived} waived), "
            f"{counts.not_applicable} not applicable, {counts.indeterminate} indeterminate"
        ),
    ]
    for name in record.run.environments:
        verdicts = [verdict for target in record.targets if target.environment == name for verdict in target.verdicts]
        failed = [verdict.severity for verdict in verdicts if verdict.counts_as_failure]
        unknown = sum(verdict.status is Status.INDETERMINATE for verdict in verdicts)
        worst = f", worst {max(failed).value}" if failed else ""
        lines.append(f"  {name}: {len(failed)} failures{worst}, {unknown} indeterminate")
    lines += [f"No answer at {named_absent(domain)}" for domain in record.run.absent_domains]
    lines += waiver_lines(report_waivers(record.targets, outcome.waivers, record.run.finished_at.date()))
    lines += [f"Report: {path}" for path in outcome.files]
    lines += [f"All runs: {outcome.site}"] if outcome.site else []
    return "\n".join(lines)


def named_absent(domain: AbsentDomain) -> str:
    """A platform's host name at which nobody answers, with the key that names it and how that was found."""
    detail = f" ({domain.failure.detail})" if domain.failure.detail else ""
    where = f"{domain.host}:{domain.port} ({domain.environment}, {domain.named_by})"
    return f"{where}: {domain.failure.reason}{detail}; the other domain answers"


def waiver_lines(report: WaiverReport) -> Iterator[str]:
    """What whoever accepts failures must know: what ends soon, what has ended, what accepts nothing."""
    for waiver, failures in report.expired:
        still = f"; {_counted(failures)} no longer accepted" if failures else ""
        yield f"Waiver expired on {waiver.expires}: {_named(waiver)}{still}"
    for waiver, failures in report.soon:
        yield f"Waiver ends on {waiver.expires}: {_named(waiver)}: {_counted(failures)} accepted"
    for waiver in report.unused:
        yield f"Waiver without use: {_named(waiver)}"


def _named(waiver: Waiver) -> str:
    return f"{waiver.rule} at {waiver.scope} ({waiver.owner})"


def _counted(failures: int) -> str:
    return f"{failures} failure{'' if failures == 1 else 's'}"
