"""Which receiver gets a message about a run: by the events and the severity that they ask for, or as a digest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs
from sqlalchemy import Connection, func, select

from reports.deliver import takes_files
from reports.deliver_message import EnvironmentSummary, Notification, compose, compose_digest
from reports.message import Message
from scanner.config.form import NotifyForm, ScheduleForm
from scanner.config.loading import Config
from scanner.notify.outbox import enqueue
from scanner.notify.owners import contacts_of, owned, owners_of, whose_in_words, with_owners
from scanner.state.database import OUTBOX

HELD: Final = timedelta(minutes=10)
"""So long a message waits at most for the reports that it takes along."""
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
    named = with_owners(notification, whose_in_words(config))
    for receiver in config.receivers:
        if receiver.name in schedule.notify:
            _enqueue(connection, named, receiver, start_id=start_id, complete=complete, now=now)


def enqueue_for_owners(  # noqa: PLR0913  # the same
    connection: Connection,
    notification: Notification,
    summaries: Callable[[frozenset[str]], tuple[EnvironmentSummary, ...]],
    config: Config,
    schedule: ScheduleForm,
    *,
    start_id: int,
    complete: bool,
    now: datetime,
) -> None:
    """Put a message for each owner's receivers into the outbox, about what is theirs alone.

    A receiver whom the schedule tells everything is told nothing twice. `summaries` counts a run's verdicts at some
    endpoints, by environment.
    """
    owners, contacts = owners_of(config), contacts_of(config)
    for owner in config.form.owner:
        places = frozenset(place for place, names in owners.items() if owner.name in names)
        receivers = [
            item for item in config.receivers if item.name in owner.notify and item.name not in schedule.notify
        ]
        if not places or not receivers:
            continue
        theirs = structs.replace(owned(notification, owner.name, owners, contacts), environments=summaries(places))
        if not theirs.environments:
            continue
        wishes = {
            key: value
            for key, value in (("on", owner.on), ("severity", owner.severity), ("digest", owner.digest))
            if value is not None
        }
        for receiver in receivers:
            asked = receiver.model_copy(update={**wishes, "attach": "never"})
            _enqueue(connection, theirs, asked, start_id=start_id, complete=complete, now=now)


def _enqueue(  # noqa: PLR0913  # the same
    connection: Connection,
    notification: Notification,
    receiver: NotifyForm,
    *,
    start_id: int,
    complete: bool,
    now: datetime,
) -> None:
    message = compose(
        notification, on=receiver.on, severity=receiver.severity, attach=_attaches(receiver, notification)
    ) or _digest(connection, notification, receiver, complete=complete, now=now)
    if message is not None:
        waits = message.files and notification.being_drawn
        enqueue(connection, receiver.name, message, now, start_id, held_until=now + HELD if waits else None)


def _attaches(receiver: NotifyForm, notification: Notification) -> bool:
    """Whether the reports come along: by default where there is no link to them and the receiver takes files."""
    asked = not notification.links if receiver.attach == "auto" else receiver.attach in {"always", True}
    return asked and bool(notification.reports) and takes_files(receiver.url)


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
