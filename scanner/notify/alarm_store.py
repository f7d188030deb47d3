"""The alarms of a schedule in the state file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from scanner.notify.alarms import AcceptedFailure, Alarm, Key
from scanner.state.database import ALARMS
from scanner.verdict import Severity


def load(connection: Connection, schedule: str) -> dict[Key, Alarm]:
    """The schedule's alarms."""
    rows = connection.execute(select(ALARMS).where(ALARMS.c.schedule == schedule)).all()
    return {Key(row.endpoint, row.rule, row.subject): _alarm(row) for row in rows}


def save(connection: Connection, schedule: str, alarms: Mapping[Key, Alarm]) -> None:
    """Replace the schedule's alarms by these, the idle ones apart."""
    connection.execute(delete(ALARMS).where(ALARMS.c.schedule == schedule))
    rows = [_row(schedule, key, alarm) for key, alarm in alarms.items() if not alarm.idle]
    if rows:
        connection.execute(insert(ALARMS), rows)


def _alarm(row: Row[Any]) -> Alarm:
    return Alarm(
        failing=row.failing,
        flapping=row.flapping,
        trail=row.trail,
        severity=Severity(row.severity),
        since=row.since,
        levels=row.levels,
        places=tuple(row.places),
        held=tuple(row.held),
        accepted=AcceptedFailure(**{**row.accepted, "severity": Severity(row.accepted["severity"])})
        if row.accepted
        else None,
        seen={address: datetime.fromisoformat(at) for address, at in (row.seen or {}).items()},
    )


def _row(schedule: str, key: Key, alarm: Alarm) -> dict[str, Any]:
    accepted = alarm.accepted
    return {
        "schedule": schedule,
        **key._asdict(),
        "failing": alarm.failing,
        "flapping": alarm.flapping,
        "trail": alarm.trail,
        "severity": alarm.severity.value,
        "since": alarm.since,
        "levels": alarm.levels,
        "places": list(alarm.places),
        "held": list(alarm.held),
        "accepted": (
            {"severity": accepted.severity.value, "reason": accepted.reason, "observed": accepted.observed}
            if accepted
            else None
        ),
        "seen": {address: at.isoformat() for address, at in alarm.seen.items()},
    }
