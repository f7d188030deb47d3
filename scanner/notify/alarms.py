"""What receivers were told is wrong, so that each thing is told once: when it begins, and when it is mended.

An alarm is one rule (and subject) at one target under one schedule. It remembers the last outcomes, so that what comes
and goes is told as flapping, once, and not every night. What could not be observed changes no alarm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from scanner.verdict import RunRecord, Severity, Status, TargetStatus

UNREACHABLE = "target.unreachable"
"""Stands for a rule where a target could not be looked at."""
UNKNOWN = "unknown:"
"""Stands before a rule's id where the rule could not be judged."""

_TRAIL = 12
_WATCHED = 8
_CHANGES = 3
"""So many changes within the last eight outcomes are flapping."""
_STEADY = 4
"""So many equal outcomes end it."""


class Condition(StrEnum):
    """What a run found of one thing. The letters are kept in the state file."""

    FAILING = "B"
    OK = "G"
    TRANSIENT = "BG"
    """Bad at first, and good when it was looked at again."""


class Transition(StrEnum):
    """How an alarm changed, which is told."""

    FIRING = "firing"
    RESOLVED = "resolved"
    FLAPPING = "flapping"


class Key(NamedTuple):
    """What an alarm is about."""

    target: str
    rule: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """`failing` is what receivers believe; `trail` the last outcomes, oldest first."""

    failing: bool = False
    flapping: bool = False
    trail: str = ""
    severity: Severity = Severity.INFO
    since: datetime | None = None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.failing and not self.flapping and Condition.FAILING not in self.trail


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a run says of one thing."""

    condition: Condition
    severity: Severity
    waived: bool = False


def update(alarm: Alarm, result: CheckResult, now: datetime) -> tuple[Alarm, Transition | None]:
    """Take a result to the alarm: the alarm after it, and how it changed."""
    trail = (alarm.trail + result.condition)[-_TRAIL:]
    recent = trail[-_WATCHED:]
    changes = sum(before != after for before, after in pairwise(recent))
    steady = len(trail) >= _STEADY and len(set(trail[-_STEADY:])) == 1
    bad = trail.endswith(Condition.FAILING)
    noted = dataclasses.replace(alarm, trail=trail, severity=result.severity if bad else alarm.severity)
    if alarm.flapping and not steady:
        return noted, None
    if not alarm.flapping and changes >= _CHANGES:
        return dataclasses.replace(noted, flapping=True), Transition.FLAPPING
    if alarm.flapping:
        # It is steady: what came before is not held against it any more.
        noted = dataclasses.replace(noted, flapping=False, trail=trail[-1:])
    if bad and not alarm.failing:
        return dataclasses.replace(noted, failing=True, since=now), Transition.FIRING
    if not bad and (alarm.failing or alarm.flapping):
        return dataclasses.replace(noted, failing=False, since=None), Transition.RESOLVED
    return noted, None


def results_of(record: RunRecord) -> dict[Key, CheckResult]:
    """What a run says of everything that there could be an alarm about, as far as it could be observed.

    Failures of severity `info` are notes, of which nobody is told.
    """
    found: dict[Key, CheckResult] = {}
    for target in record.targets:
        unreachable = target.status is TargetStatus.UNREACHABLE
        condition = Condition.FAILING if unreachable else Condition.OK
        found[Key(target.id, UNREACHABLE)] = CheckResult(condition, Severity.HIGH)
        for verdict in target.verdicts:
            if verdict.severity is Severity.INFO:
                continue
            if not unreachable:
                blind = verdict.status is Status.INDETERMINATE
                known = CheckResult(Condition.FAILING if blind else Condition.OK, verdict.severity)
                found[Key(target.id, UNKNOWN + verdict.rule, verdict.subject)] = known
            if verdict.status is not Status.INDETERMINATE:
                bad = Condition.FAILING if verdict.counts_as_failure else Condition.OK
                result = CheckResult(bad, verdict.severity, waived=verdict.waiver is not None)
                found[Key(target.id, verdict.rule, verdict.subject)] = result
    return found


def to_confirm(found: Mapping[Key, CheckResult], alarms: Mapping[Key, Alarm], before: Iterable[Key]) -> set[str]:
    """The targets at which something got worse since `before` was judged: they are looked at again first."""
    judged = set(before)
    return {
        key.target
        for key, result in found.items()
        if result.condition is Condition.FAILING and key in judged and not alarms.get(key, Alarm()).failing
    }


def confirmed(found: Mapping[Key, CheckResult], again: Mapping[Key, CheckResult]) -> dict[Key, CheckResult]:
    """The findings after a second look: what was bad and is not bad any more has passed by."""
    after = dict(found)
    for key, result in found.items():
        second = again.get(key)
        if result.condition is Condition.FAILING and second is not None and second.condition is Condition.OK:
            after[key] = dataclasses.replace(result, condition=Condition.TRANSIENT)
    return after


def from_record(record: RunRecord) -> dict[Key, Alarm]:
    """Alarms as if everything that failed in an earlier run had been told: where a service takes up a history."""
    return {
        key: Alarm(failing=True, trail=Condition.FAILING, severity=result.severity, since=record.run.started_at)
        for key, result in results_of(record).items()
        if result.condition is Condition.FAILING
    }
