"""What a configuration says, as a report can hold it.

What hosts say was made printable where it entered the evidence. A configuration is its owner's and is kept as it is;
but a control character in it would reach terminals and pages, and of a reason without a space, tens of thousands of
letters long, no page can be made.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from scanner.untrusted import TEXT_LIMIT, printable
from scanner.verdict import AppliedWaiver, RunRecord, TargetResult

if TYPE_CHECKING:
    from scanner.waiver import Waiver

_REASON_LIMIT: Final = 600


def readable(record: RunRecord) -> RunRecord:
    """The run with names and reasons of waivers on one line, short and without control characters."""
    run = record.run
    if run.vantage is not None:
        run = dataclasses.replace(run, vantage=dataclasses.replace(run.vantage, name=readable_name(run.vantage.name)))
    return dataclasses.replace(record, run=run, targets=tuple(_target(target) for target in record.targets))


def readable_waivers(waivers: Sequence[Waiver]) -> tuple[Waiver, ...]:
    """The configured waivers, worded as `readable` words those that are applied."""
    return tuple(
        dataclasses.replace(item, reason=_reason(item.reason), owner=readable_name(item.owner)) for item in waivers
    )


def readable_name(text: str) -> str:
    """A name from a configuration."""
    return _line(text, TEXT_LIMIT)


def _target(target: TargetResult) -> TargetResult:
    applications = tuple(readable_name(name) for name in target.applications)
    if applications != target.applications:
        target = dataclasses.replace(target, applications=applications)
    if not any(verdict.waiver for verdict in target.verdicts):
        return target
    verdicts = tuple(
        dataclasses.replace(verdict, waiver=_waiver(verdict.waiver)) if verdict.waiver else verdict
        for verdict in target.verdicts
    )
    return dataclasses.replace(target, verdicts=verdicts)


def _waiver(waiver: AppliedWaiver) -> AppliedWaiver:
    return dataclasses.replace(waiver, reason=_reason(waiver.reason), owner=readable_name(waiver.owner))


def _reason(text: str) -> str:
    return _line(text, _REASON_LIMIT)


@functools.lru_cache(maxsize=1024)
def _line(text: str, limit: int) -> str:
    return printable(" ".join(text.split()), limit)
