"""What receivers need not be told twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from scanner.state.database import TOLD

_REMEMBERED = timedelta(days=1000)


def known(connection: Connection, schedule: str) -> set[str]:
    """The names of what was told under a schedule."""
    return set(connection.scalars(select(TOLD.c.what).where(TOLD.c.schedule == schedule)))


def remember(connection: Connection, schedule: str, names: Iterable[str], now: datetime) -> None:
    """Note that these are told now, and forget what was told years ago."""
    for name in names:
        is_first(connection, schedule, name, now)
    connection.execute(delete(TOLD).where(TOLD.c.at < now - _REMEMBERED))


def renew(connection: Connection, schedule: str, names: Iterable[str], now: datetime) -> None:
    """Note that these are so now, also where that was noted before."""
    rows = [{"schedule": schedule, "what": name, "at": now} for name in names]
    if rows:
        statement = upsert(TOLD)
        values = {"at": statement.excluded.at}
        connection.execute(statement.on_conflict_do_update(index_elements=["schedule", "what"], set_=values), rows)


def is_first(connection: Connection, schedule: str, name: str, now: datetime) -> bool:
    """Note that it is told now; False where it was told before."""
    statement = upsert(TOLD).values(schedule=schedule, what=name, at=now).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == 1
