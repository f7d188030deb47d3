"""Whether the service does its work, and what keeps it from it: each reason is a metric as well."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

import scanner
from scanner.confidential import without
from scanner.state.database import OUTBOX

if TYPE_CHECKING:
    from scanner.service.loop import Service

_STUCK_S: Final = 60.0
"""A loop that has not come round for so long is stuck."""
_DELIVERY_STUCK_S: Final = 900.0
"""So is what delivers messages: a receiver may take a minute and a half to answer."""
_OVERDUE: Final = timedelta(minutes=10)
WAITS_TOO_LONG: Final = timedelta(hours=6)
"""A message that is still not delivered after so long will not be by waiting: someone has to look."""


def alive(service: Service) -> bool:
    """Whether its main loop comes round, so that a restart would mend nothing."""
    return time.monotonic() - service.last_tick <= _STUCK_S


def health(service: Service, engine: Engine) -> tuple[bool, dict[str, Any]]:
    """Whether the service does its work, and a body that says what keeps it from it."""
    problems = [*_own(service)]
    starts: dict[str, datetime] = {}
    try:
        starts = service.next_starts()
        problems += _starts(service, starts)
        with engine.begin() as connection:
            problems += _outbox(service, connection)
    except SQLAlchemyError as error:
        problems.append(f"the state file cannot be read: {getattr(error, 'orig', error)}")
    body = {
        "status": "failing" if problems else "ok",
        "version": scanner.__version__,
        "problems": [without(problem) for problem in problems],
        "next_starts": {name: due.astimezone(UTC).isoformat() for name, due in sorted(starts.items())},
    }
    return not problems, body


def _own(service: Service) -> Iterator[str]:
    silence = time.monotonic() - service.last_tick
    if silence > _STUCK_S:
        yield f"the main loop has stalled for {silence:.0f} s"
    if service.state_problem:
        yield f"the state file cannot be used: {service.state_problem}"
    if service.watch.config_problem:
        yield f"the configuration on the disk is refused: {service.watch.config_problem}"
    for name, problem in sorted(service.watch.problems.items()):
        yield f"{name}: {problem}"


def _starts(service: Service, starts: dict[str, datetime]) -> Iterator[str]:
    now = datetime.now(UTC)
    for name, due in sorted(starts.items()):
        if due < now - _OVERDUE:
            yield f"schedule {name} was due at {due.isoformat()}"
    for name, start in sorted(service.ledger.last_ended().items()):
        if name in service.setup.schedules and start.went_wrong:
            reason = f": {start.reason}" if start.reason else ""
            yield f"the last start of schedule {name}, due at {start.due.isoformat()}, ended as {start.state}{reason}"


def _outbox(service: Service, connection: Connection) -> Iterator[str]:
    silence = time.monotonic() - service.last_delivery
    if silence > _DELIVERY_STUCK_S:
        yield f"no message was tried for {silence / 60:.0f} minutes"
    now = datetime.now(UTC)
    for receiver, since in sorted(oldest_messages(connection).items()):
        if receiver in service.setup.urls and now - since > WAITS_TOO_LONG:
            yield f"a message to the receiver {receiver} waits since {since.isoformat(timespec='seconds')}"


def oldest_messages(connection: Connection) -> dict[str, datetime]:
    """Since when the oldest message waits that each receiver has not taken."""
    waiting = OUTBOX.c.delivered_at.is_(None) & OUTBOX.c.abandoned.is_(False)
    query = select(OUTBOX.c.receiver, func.min(OUTBOX.c.created_at, type_=OUTBOX.c.created_at.type))
    rows = connection.execute(query.where(waiting).group_by(OUTBOX.c.receiver)).all()
    return {receiver: since for receiver, since in rows}  # noqa: C416  # rows are no pairs to mypy
