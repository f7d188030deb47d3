"""What a clock that was ahead has left in the state file, brought back to the present when the clock is right again.

A message that may be tried in two years would keep all that come after it from its receiver, a start that is to be
repeated then would never be, and the night that was begun too early would be left out when it comes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, delete, or_, select, update

from scanner.state.database import ALARMS, OUTBOX, RECEIVERS, STARTS, TOLD

_AHEAD: Final = timedelta(hours=3)
"""What is so much later than now was entered by a wrong clock. After a smaller correction no start is repeated."""
_MOMENTS: Final = (
    STARTS.c.started_at,
    STARTS.c.finished_at,
    OUTBOX.c.created_at,
    OUTBOX.c.not_before,
    OUTBOX.c.held_until,
    RECEIVERS.c.failing_since,
    RECEIVERS.c.last_success,
    ALARMS.c.since,
    TOLD.c.at,
)
_STEPS: Final = ("certificate ", "waiver ")
"""What is told some days before an end: by a clock that was ahead it was told too early, and is told again."""


def bring_back(engine: Engine, now: datetime) -> int:
    """Bring what has not come yet back to `now`; return how many entries were changed."""
    ahead = now + _AHEAD
    with engine.begin() as connection:
        early = or_(*map(TOLD.c.what.startswith, _STEPS))
        changed = connection.execute(delete(TOLD).where((TOLD.c.at > ahead) & early)).rowcount
        changed += _move_starts(connection, now, ahead)
        for column in _MOMENTS:
            late = update(column.table).where(column > ahead)
            changed += connection.execute(late.values({column.name: now})).rowcount
    return changed


def _move_starts(connection: Connection, now: datetime, ahead: datetime) -> int:
    """Let the starts that were due later than that have been due just before now: the nights of their names come yet.

    Attempts at the same start stay together, in their order.
    """
    dues = connection.scalars(select(STARTS.c.due).where(STARTS.c.due > ahead).distinct().order_by(STARTS.c.due)).all()
    moved = 0
    for due, moment in zip(reversed(dues), _before(now), strict=False):
        statement = update(STARTS).where(STARTS.c.due == due).values(due=moment, not_before=now)
        moved += connection.execute(statement).rowcount
    return moved


def _before(now: datetime) -> Iterator[datetime]:
    """Moments that no start is due at by any schedule, the last first."""
    return (now - timedelta(microseconds=number) for number in itertools.count(1))
