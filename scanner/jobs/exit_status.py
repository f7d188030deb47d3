"""Which of the exit statuses a run earns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scanner.errors import ExitStatus
from scanner.jobs.named_rules import unasked
from scanner.jobs.rule_choice import matches
from scanner.verdict import Status, TargetStatus

if TYPE_CHECKING:
    from scanner.verdict import RunRecord, Severity

__all__ = ["ExitStatus", "of"]


def of(record: RunRecord, fail_on: Severity, rules: Sequence[str] = (), asked_for: Sequence[str] = ()) -> ExitStatus:
    """Judge a run: an unwaived failure at or above `fail_on` comes first, then what could not be assessed.

    With `rules`, globs, only the verdicts of these count, of whatever severity. An indeterminate verdict counts like
    the failure that it might be, and so does a target at which nothing was asked of what `rules`, or the globs
    `asked_for`, name.
    """
    if not record.run.complete:
        return ExitStatus.INTERRUPTED
    counting = [
        verdict
        for verdict in record.verdicts
        if (matches(verdict.rule, rules) if rules else verdict.severity >= fail_on)
    ]
    if any(verdict.counts_as_failure for verdict in counting):
        return ExitStatus.FAILED
    unseen = any(target.status is not TargetStatus.ASSESSED for target in record.targets)
    undecided = any(verdict.status is Status.INDETERMINATE for verdict in counting)
    undecided = undecided or bool(unasked(record, {"": (*rules, *asked_for)}))
    return ExitStatus.NOT_ASSESSED if unseen or undecided or not record.targets else ExitStatus.OK
