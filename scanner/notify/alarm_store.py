"""The alarms of a schedule in the state file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from scanner.notify.alarms import Alarm, Key
from scanner.state.database import ALARMS
from scanner.verdict import Severity


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
