"""What receivers were told is wrong, so that each thing is told once: when it begins, and when it is mended.

An alarm is one rule (and subject) at one target under one schedule. It remembers the last outcomes, so that what comes
and goes is told as flapping, once, and not every night. What could not be observed changes no alarm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from scanner.state.database import ALARMS
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


class Outcome(StrEnum):
    """What was found of one thing."""

    BAD = "B"
    GOOD = "G"
    PASSING_BAD = "BG"
    """Bad at first, and good when it was looked at again."""


class Turn(StrEnum):
    """What is to be told."""

    BEGAN = "began"
    ENDED = "ended"
    FLAPS = "flaps"


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
        return not self.failing and not self.flapping and Outcome.BAD not in self.trail


@dataclass(frozen=True, slots=True)
class Finding:
    """What a run says of one thing. `known_before` tells that an earlier run had judged it too."""

    outcome: Outcome
    severity: Severity
    waived: bool = False
    known_before: bool = True


def observe(alarm: Alarm, finding: Finding, now: datetime) -> tuple[Alarm, Turn | None]:
    """Take an outcome to the alarm: the alarm after it, and what is to be told."""
    trail = (alarm.trail + finding.outcome)[-_TRAIL:]
    recent = trail[-_WATCHED:]
    changes = sum(before != after for before, after in pairwise(recent))
    steady = len(trail) >= _STEADY and len(set(trail[-_STEADY:])) == 1
    bad = trail.endswith(Outcome.BAD)
    noted = dataclasses.replace(alarm, trail=trail, severity=finding.severity if bad else alarm.severity)
    if alarm.flapping and not steady:
        return noted, None
    if not alarm.flapping and changes >= _CHANGES:
        return dataclasses.replace(noted, flapping=True), Turn.FLAPS
    if alarm.flapping:
        # It is steady: what came before is not held against it any more.
        noted = dataclasses.replace(noted, flapping=False, trail=trail[-1:])
    if bad and not alarm.failing:
        return dataclasses.replace(noted, failing=True, since=now), Turn.BEGAN
    if not bad and (alarm.failing or alarm.flapping):
        return dataclasses.replace(noted, failing=False, since=None), Turn.ENDED
    return noted, None


def findings(record: RunRecord) -> dict[Key, Finding]:
    """What a run says of everything that there could be an alarm about, as far as it could be observed.

    Failures of severity `info` are notes, of which nobody is told.
    """
    found: dict[Key, Finding] = {}
    for target in record.targets:
        unreachable = target.status is TargetStatus.UNREACHABLE
        outcome = Outcome.BAD if unreachable else Outcome.GOOD
        found[Key(target.id, UNREACHABLE)] = Finding(outcome, Severity.HIGH)
        for verdict in target.verdicts:
            if verdict.severity is Severity.INFO:
                continue
            if not unreachable:
                blind = verdict.status is Status.INDETERMINATE
                known = Finding(Outcome.BAD if blind else Outcome.GOOD, verdict.severity)
                found[Key(target.id, UNKNOWN + verdict.rule, verdict.subject)] = known
            if verdict.status is not Status.INDETERMINATE:
                bad = Outcome.BAD if verdict.counts_as_failure else Outcome.GOOD
                finding = Finding(bad, verdict.severity, waived=verdict.waiver is not None)
                found[Key(target.id, verdict.rule, verdict.subject)] = finding
    return found


def suspects(found: Mapping[Key, Finding], alarms: Mapping[Key, Alarm], before: Iterable[Key]) -> set[str]:
    """The targets at which something got worse since `before` was judged: they are looked at again first."""
    judged = set(before)
    return {
        key.target
        for key, finding in found.items()
        if finding.outcome is Outcome.BAD and key in judged and not alarms.get(key, Alarm()).failing
    }


def confirmed(found: Mapping[Key, Finding], again: Mapping[Key, Finding]) -> dict[Key, Finding]:
    """The findings after a second look: what was bad and is not bad any more has passed by."""
    result = dict(found)
    for key, finding in found.items():
        second = again.get(key)
        if finding.outcome is Outcome.BAD and second is not None and second.outcome is Outcome.GOOD:
            result[key] = dataclasses.replace(finding, outcome=Outcome.PASSING_BAD)
    return result


def load(connection: Connection, schedule: str) -> dict[Key, Alarm]:
    """The schedule's alarms."""
    rows = connection.execute(select(ALARMS).where(ALARMS.c.schedule == schedule)).all()
    return {
        Key(row.target, row.rule, row.subject): Alarm(
            row.failing, row.flapping, row.trail, Severity(row.severity), row.since
        )
        for row in rows
    }


def save(connection: Connection, schedule: str, alarms: Mapping[Key, Alarm]) -> None:
    """Replace the schedule's alarms by these, the idle ones apart."""
    connection.execute(delete(ALARMS).where(ALARMS.c.schedule == schedule))
    rows: Sequence[dict[str, Any]] = [
        {"schedule": schedule, **key._asdict(), **dataclasses.asdict(alarm)}
        for key, alarm in alarms.items()
        if not alarm.idle
    ]
    if rows:
        connection.execute(upsert(ALARMS), list(rows))


def from_record(record: RunRecord) -> dict[Key, Alarm]:
    """Alarms as if everything that failed in an earlier run had been told: where a service takes up a history."""
    return {
        key: Alarm(failing=True, trail=Outcome.BAD, severity=finding.severity, since=record.run.started_at)
        for key, finding in findings(record).items()
        if finding.outcome is Outcome.BAD
    }
