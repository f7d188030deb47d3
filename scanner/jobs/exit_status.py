"""The exit statuses of contract section 3, and which of them a run earns."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from scanner.verdict import Status, TargetStatus

if TYPE_CHECKING:
    from scanner.verdict import RunRecord, Severity


class ExitStatus(IntEnum):
    """What the process tells whoever started it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_ASSESSED = 3
    INTERNAL = 4
    INTERRUPTED = 130


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
