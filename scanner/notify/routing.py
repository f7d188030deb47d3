"""Which receiver gets a message about a run: by the events and the severity that they ask for, or as a digest."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from reports.deliver_message import Message, Notification, compose, compose_digest
from scanner.config import Config
from scanner.config_form import NotifyForm, ScheduleForm
from scanner.notify.outbox import enqueue
from scanner.state.database import OUTBOX

_DIGEST_AFTER = {"run": timedelta(0), "day": timedelta(days=1), "week": timedelta(days=7)}


def enqueue_for_receivers(  # noqa: PLR0913  # a message, for whom, of which start, when
    connection: Connection,
    notification: Notification,
    config: Config,
    schedule: ScheduleForm,
    *,
    start_id: int,
    complete: bool,
    now: datetime,
) -> None:
    """Put a message for each of the schedule's receivers into the outbox, where there is one for them.

    A run that is not `complete` is no occasion for a digest.
    """
    for receiver in config.receivers:
        if receiver.name not in schedule.notify:
            continue
        message = compose(
            notification, on=receiver.on, severity=receiver.severity, attach=_attaches(receiver, notification)
        ) or _digest(connection, notification, receiver, complete=complete, now=now)
        if message is not None:
            enqueue(connection, receiver.name, message, now, start_id)


def _attaches(receiver: NotifyForm, notification: Notification) -> bool:
    """Whether the reports come along: by default only where there is no link to them."""
    if receiver.attach == "auto":
        return not notification.links
    return receiver.attach in {"always", True}


def _digest(
    connection: Connection, notification: Notification, receiver: NotifyForm, *, complete: bool, now: datetime
) -> Message | None:
    if receiver.digest == "never" or not complete:
        return None
    last: datetime | None = connection.scalar(
        select(func.max(OUTBOX.c.created_at)).where(OUTBOX.c.receiver == receiver.name)
    )
    if last is not None and now - last < _DIGEST_AFTER[receiver.digest]:
        return None
    return compose_digest(notification, attach=_attaches(receiver, notification))
