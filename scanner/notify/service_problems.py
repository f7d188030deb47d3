"""What receivers are told when there is no run to report: it failed, or another receiver takes no messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, select

from reports.deliver_message import Entry, Notification, Section, compose
from reports.message import Level
from scanner.config.form import NotifyForm
from scanner.config.loading import Config
from scanner.counting import counted
from scanner.notify import told
from scanner.notify.outbox import Outbox, enqueue
from scanner.state.database import STARTS
from scanner.state.ledger import State
from scanner.verdict import Severity

_LOOK_BACK = timedelta(days=7)
_NEVER_RAN = (State.FAILED, State.INTERRUPTED)


def notify_failed_runs(engine: Engine, config: Config, now: datetime) -> None:
    """Tell of runs that failed, or were interrupted and are not repeated, each once."""
    later = STARTS.alias()
    same = (later.c.schedule == STARTS.c.schedule) & (later.c.due == STARTS.c.due)
    repeated = select(later.c.id).where(same & (later.c.attempt > STARTS.c.attempt)).exists()
    recent = (STARTS.c.finished_at > now - _LOOK_BACK) & (STARTS.c.schedule != "")
    lost = STARTS.c.state.in_(_NEVER_RAN) & recent & ~repeated
    with engine.begin() as connection:
        for row in connection.execute(select(STARTS).where(lost).order_by(STARTS.c.id)).all():
            if not told.is_first(connection, row.schedule, f"start {row.id}", now):
                continue
            why = row.reason or row.state
            # Only what was scanned, and is not in the history, has a summary.
            came = "was scanned, but has failed" if row.summary else "gave no report"
            entry = Entry(f"The start of {row.due:%Y-%m-%d %H:%M} UTC {came}: {why}")
            section = Section("run-failed", Level.FAILURE, "The run failed", "the run failed", (entry,))
            notification = Notification(row.schedule, row.run_id or "", now, (section,))
            wanted = next((item.notify for item in config.schedules if item.name == row.schedule), [])
            _enqueue(connection, (item for item in config.receivers if item.name in wanted), notification, row.id)


def notify_silent_receivers(engine: Engine, config: Config, outbox: Outbox, now: datetime) -> None:
    """Tell the others of a receiver that has refused everything for a day."""
    for silent in outbox.silent(now):
        entry = Entry(
            f'The receiver "{silent.name}" has taken nothing since {silent.since:%Y-%m-%d %H:%M} UTC; '
            f"{counted(silent.waiting, 'message')} waiting. {silent.reason}"
        )
        section = Section("run-failed", Level.WARNING, "A receiver cannot be reached", "a receiver is silent", (entry,))
        others = [receiver for receiver in config.receivers if receiver.name != silent.name]
        with engine.begin() as connection:
            _enqueue(connection, others, Notification("notifications", "", now, (section,)))


def _enqueue(
    connection: Connection, receivers: Iterable[NotifyForm], notification: Notification, start_id: int | None = None
) -> None:
    for receiver in receivers:
        message = compose(notification, on=receiver.on, severity=Severity.INFO, attach=False)
        if message is not None:
            enqueue(connection, receiver.name, message, notification.moment, start_id)
