"""Which of the exit statuses a run earns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.errors import ExitStatus
from scanner.verdict import Status, TargetStatus

if TYPE_CHECKING:
    from scanner.verdict import RunRecord, Severity

__all__ = ["ExitStatus", "of"]


def of(record: RunRecord, fail_on: Severity) -> ExitStatus:
    """Judge a run: an unwaived failure at or above `fail_on` comes first, then what could not be assessed.

    An indeterminate verdict counts like the failure that it might be: from `fail_on` upwards.
    """
    if not record.run.complete:
        return ExitStatus.INTERRUPTED
    verdicts = record.verdicts
    if any(verdict.counts_as_failure and verdict.severity >= fail_on for verdict in verdicts):
        return ExitStatus.FAILED
    unseen = any(target.status is not TargetStatus.ASSESSED for target in record.targets)
    undecided = any(verdict.status is Status.INDETERMINATE and verdict.severity >= fail_on for verdict in verdicts)
    return ExitStatus.NOT_ASSESSED if unseen or undecided or not record.targets else ExitStatus.OK
