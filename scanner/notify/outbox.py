"""The outbox: messages wait in the state file until their receiver has taken them, across restarts.

A message is delivered at least once. Where the service is killed in the instant between a receiver's answer and its
entry here, it is sent again: the other choice would be to lose it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from reports.deliver import Delivery
from reports.message import Level, Message, before_its_reports
from scanner.state.database import OUTBOX, RECEIVERS

_LOG = logging.getLogger("nightseal.notify")

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=7)
"""A message this old is given up: its news are in the reports by then."""
SILENT_AFTER = timedelta(days=1)
"""A receiver that has refused everything for so long is reported to the others."""

_AT_ONCE = 4

Send = Callable[[str, Message], Delivery]


class PendingMessage(Struct, frozen=True):
    """A message on its way."""

    id: int
    receiver: str
    message: Message
    created_at: datetime
    tries: int


class SilentReceiver(Struct, frozen=True):
    """A receiver that has taken nothing for a day or longer."""

    name: str
    since: datetime
    waiting: int
    reason: str


def enqueue(  # noqa: PLR0913  # a message, for whom, of which start, when
    connection: Connection,
    receiver: str,
    message: Message,
    now: datetime,
    start_id: int | None = None,
    *,
    held_until: datetime | None = None,
) -> None:
    """Put a message into the outbox, within a transaction of the caller's.

    It is held back until then, unless it is let go before; meanwhile others to the same receiver go.
    """
    values = {
        "receiver": receiver,
        "start_id": start_id,
        "level": message.level.value,
        "title": message.title,
        "text": message.text,
        "html": message.html,
        "files": list(message.files),
        "created_at": now,
        "not_before": now,
        "held_until": held_until,
    }
    connection.execute(insert(OUTBOX).values(values))


def let_go(connection: Connection, start_id: int) -> None:
    """Hold back no message about a start any longer: what they waited for is there, or does not come."""
    connection.execute(update(OUTBOX).where(OUTBOX.c.start_id == start_id).values(held_until=None))


class Outbox:
    """Delivers what waits, each receiver's messages in order."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def deliver_due(self, urls: Mapping[str, str], send: Send, now: datetime) -> int:
        """Try the next message of each receiver that is due; return how many were delivered.

        Args:
            urls: the receivers' addresses, by name. Messages to others are given up.
            send: what sends a message to an address.
            now: the present.
        """
        pending = self._due(now)
        if not pending:
            return 0
        # One that is slow to answer keeps nobody else waiting.
        with ThreadPoolExecutor(min(_AT_ONCE, len(pending)), thread_name_prefix="deliver") as pool:
            return sum(pool.map(lambda item: self._deliver(item, urls.get(item.receiver), send, now), pending))

    def _deliver(self, item: PendingMessage, url: str | None, send: Send, now: datetime) -> bool:
        if url is None:
            self._give_up(item, "there is no such receiver any more")
            return False
        outcome = send(url, item.message)
        if outcome.delivered:
            self._delivered(item, now)
        else:
            self._failed(item, outcome.reason, now)
        return outcome.delivered

    def length(self) -> dict[str, int]:
        """How many messages wait, by receiver."""
        with self._engine.begin() as connection:
            query = select(OUTBOX.c.receiver, func.count()).where(_OPEN).group_by(OUTBOX.c.receiver)
            return {receiver: number for receiver, number in connection.execute(query).all()}  # noqa: C416  # rows are no pairs to mypy

    def silent(self, now: datetime) -> list[SilentReceiver]:
        """The receivers that have refused everything for a day and were not reported yet; they are from now on."""
        failing = (RECEIVERS.c.failing_since <= now - SILENT_AFTER) & RECEIVERS.c.reported.is_(False)
        found = []
        with self._engine.begin() as connection:
            for row in connection.execute(select(RECEIVERS).where(failing)).all():
                waiting = connection.execute(
                    select(func.count(), func.max(OUTBOX.c.error)).where(_OPEN & (OUTBOX.c.receiver == row.name))
                ).one()
                found.append(SilentReceiver(row.name, row.failing_since, waiting[0], waiting[1] or ""))
                connection.execute(update(RECEIVERS).where(RECEIVERS.c.name == row.name).values(reported=True))
        return found

    def forget(self, before: datetime) -> None:
        """Remove what was delivered or given up before then."""
        with self._engine.begin() as connection:
            connection.execute(delete(OUTBOX).where(~_OPEN & (OUTBOX.c.created_at < before)))

    def _due(self, now: datetime) -> list[PendingMessage]:
        """The first waiting message of each receiver, where it may be tried."""
        free = OUTBOX.c.held_until.is_(None) | (OUTBOX.c.held_until <= now)
        first = select(func.min(OUTBOX.c.id)).where(_OPEN & free).group_by(OUTBOX.c.receiver)
        condition = OUTBOX.c.id.in_(first) & (OUTBOX.c.not_before <= now)
        with self._engine.begin() as connection:
            return [_pending(row) for row in connection.execute(select(OUTBOX).where(condition)).all()]

    def _delivered(self, item: PendingMessage, now: datetime) -> None:
        named = {"receiver": item.receiver, "title": item.message.title, "tries": item.tries + 1}
        _LOG.info("receiver %(receiver)s: delivered: %(title)s", named)
        healthy = {"name": item.receiver, "failing_since": None, "reported": False, "last_success": now}
        with self._engine.begin() as connection:
            values = {"delivered_at": now, "tries": item.tries + 1, "error": ""}
            connection.execute(update(OUTBOX).where(OUTBOX.c.id == item.id).values(values))
            statement = upsert(RECEIVERS).values(healthy)
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=healthy))

    def _failed(self, item: PendingMessage, reason: str, now: datetime) -> None:
        if now - item.created_at > GIVE_UP_AFTER:
            self._give_up(item, reason)
            return
        pause = min(FIRST_PAUSE * 2 ** min(item.tries, 20), LONGEST_PAUSE)
        # Receivers that failed together are not tried again together.
        pause *= random.uniform(0.8, 1.2)  # noqa: S311  # no secret
        log = _LOG.warning if item.tries == 0 else _LOG.info
        named = {"receiver": item.receiver, "again_in_s": round(pause.total_seconds()), "reason": reason}
        log("receiver %(receiver)s: not delivered, tried again in %(again_in_s)d s: %(reason)s", named)
        with self._engine.begin() as connection:
            values = {"tries": item.tries + 1, "error": reason, "not_before": now + pause}
            connection.execute(update(OUTBOX).where(OUTBOX.c.id == item.id).values(values))
            statement = upsert(RECEIVERS).values(name=item.receiver, failing_since=now, reported=False)
            since = func.coalesce(RECEIVERS.c.failing_since, statement.excluded.failing_since)
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"failing_since": since}))

    def _give_up(self, item: PendingMessage, reason: str) -> None:
        named = {"receiver": item.receiver, "title": item.message.title, "reason": reason, "tries": item.tries}
        _LOG.error("receiver %(receiver)s: given up: %(title)s: %(reason)s", named)
        with self._engine.begin() as connection:
            values = {"abandoned": True, "error": reason}
            connection.execute(update(OUTBOX).where(OUTBOX.c.id == item.id).values(values))


_OPEN = OUTBOX.c.delivered_at.is_(None) & OUTBOX.c.abandoned.is_(False)


def _pending(row: Row[Any]) -> PendingMessage:
    message = Message(Level(row.level), row.title, row.text, row.html, tuple(row.files))
    if row.held_until is not None:
        message = before_its_reports(message)
    return PendingMessage(row.id, row.receiver, message, row.created_at, row.tries)
