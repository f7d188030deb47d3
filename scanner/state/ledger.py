"""The ledger of starts: which runs were due, which began, and what became of each.

A start is named by its schedule and the moment at which it was due, and is entered once. A run belongs to one attempt
of one start. The process that scans takes its attempt in a transaction, which fails where the service has given it up:
so no start is run twice, whoever is killed when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import Engine, Row, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from scanner.confidential import without
from scanner.state.database import CONFIGURATIONS, FORGOTTEN, OUTBOX, STARTS

LATE_AFTER = timedelta(minutes=2)
"""A first attempt that begins later than this after it was due is marked late."""


class State(StrEnum):
    """What has become of a start."""

    WAITING = "waiting"
    """Due, or asked for; begins as soon as it may."""
    CLAIMED = "claimed"
    """Its process is being started."""
    RUNNING = "running"
    """Its process scans."""
    RECORDED = "recorded"
    """The run is in the history, and its reports are being drawn; what receivers are told is being found out."""
    TOLD = "told"
    """What receivers are told is in the outbox; the reports are still being drawn."""
    DONE = "done"
    """All of it is done."""
    INCOMPLETE = "incomplete"
    """The run is in the history, but was stopped before every target was done."""
    FAILED = "failed"
    """It could not be run; the reason says why."""
    INTERRUPTED = "interrupted"
    """Its process was killed, and the history has nothing of it."""
    SKIPPED = "skipped"
    """It was not begun; the reason says why."""


STOPPED = "the service was stopped"
"""The reason why a run is incomplete that is begun again with the service."""
OPEN = (State.CLAIMED, State.RUNNING, State.RECORDED, State.TOLD)
ENDED = (State.DONE, State.INCOMPLETE, State.FAILED, State.INTERRUPTED, State.SKIPPED)


class Start(Struct, frozen=True):
    """One attempt at one start. `asked` holds what a person asked for; None where the schedule did."""

    id: int
    schedule: str
    due: datetime
    attempt: int
    state: State
    asked: Mapping[str, Any] | None
    not_before: datetime
    late: bool
    run_id: str | None
    config: str | None
    pid: int | None
    pid_started: float | None
    recoveries: int
    started_at: datetime | None
    finished_at: datetime | None
    exit_status: int | None
    reason: str
    summary: str

    @property
    def went_wrong(self) -> bool:
        """Whether it ended without having looked at every target; one that was stopped with the service is repeated."""
        cut = self.state is State.INCOMPLETE and self.reason != STOPPED
        return cut or self.state in {State.FAILED, State.INTERRUPTED}

    def said(self, **more: Any) -> dict[str, Any]:
        """The named arguments of a log line about it, `about` among them, which names it in the sentence."""
        return {
            "about": self.label,
            "schedule": self.schedule or None,
            "run": self.run_id,
            "due": self.due.isoformat(timespec="seconds"),
            "attempt": self.attempt,
            "state": self.state.value,
            **more,
        }

    @property
    def label(self) -> str:
        """How log lines name it."""
        return f"schedule {self.schedule}" if self.schedule else "one-off run"


class Ledger:
    """The starts in the state file."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def place(self) -> Path:
        """The state file."""
        return Path(self._engine.url.database or "")

    def add_due(self, schedule: str, due: datetime) -> bool:
        """Enter a start; False where it was entered before."""
        values = {"schedule": schedule, "due": due, "state": State.WAITING, "not_before": due}
        with self._engine.begin() as connection:
            statement = upsert(STARTS).values(values).on_conflict_do_nothing()
            return connection.execute(statement).rowcount == 1

    def add_asked(self, asked: Mapping[str, Any], now: datetime) -> int:
        """Enter a run that a person asks for, and return its number."""
        values = {
            "schedule": asked.get("schedule") or "",
            "due": now,
            "state": State.WAITING,
            "not_before": now,
            "asked": dict(asked),
        }
        with self._engine.begin() as connection:
            result = connection.execute(insert(STARTS).values(values))
        return int(result.inserted_primary_key[0]) if result.inserted_primary_key else 0

    def again(self, start: Start, not_before: datetime) -> Start | None:
        """Enter the next attempt at a start; None where it was entered before."""
        values = {
            "schedule": start.schedule,
            "due": start.due,
            "attempt": start.attempt + 1,
            "state": State.WAITING,
            "not_before": not_before,
            "asked": start.asked,
        }
        with self._engine.begin() as connection:
            result = connection.execute(upsert(STARTS).values(values).on_conflict_do_nothing())
            if result.rowcount != 1 or not result.inserted_primary_key:
                return None
            number = result.inserted_primary_key[0]
        return self.get(number)

    def get(self, number: int) -> Start:
        """The start of that number."""
        with self._engine.begin() as connection:
            return _start(connection.execute(select(STARTS).where(STARTS.c.id == number)).one())

    def waiting(self, now: datetime) -> list[Start]:
        """Those that may begin now, in the order in which they were due."""
        condition = (STARTS.c.state == State.WAITING) & (STARTS.c.not_before <= now)
        return self._select(condition, STARTS.c.due, STARTS.c.attempt)

    def open(self) -> list[Start]:
        """Those that were begun and have not ended."""
        return self._select(STARTS.c.state.in_(OPEN), STARTS.c.id)

    def unrepeated(self, since: datetime) -> list[Start]:
        """Those that were interrupted or stopped since then, and were not begun again so far."""
        later = STARTS.alias()
        same = (later.c.schedule == STARTS.c.schedule) & (later.c.due == STARTS.c.due)
        repeated = select(later.c.id).where(same & (later.c.attempt > STARTS.c.attempt)).exists()
        stopped = (STARTS.c.state == State.INCOMPLETE) & (STARTS.c.reason == STOPPED)
        cut = (STARTS.c.state == State.INTERRUPTED) | stopped
        return self._select(cut & (STARTS.c.finished_at >= since) & ~repeated, STARTS.c.due)

    def recent(self, limit: int) -> list[Start]:
        """The last ones, newest first."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(STARTS).order_by(STARTS.c.id.desc()).limit(limit)).all()
        return [_start(row) for row in rows]

    def last_ended(self) -> dict[str, Start]:
        """What became of each schedule's last start, left out ones and those that are being repeated apart."""
        later = STARTS.alias()
        same = (later.c.schedule == STARTS.c.schedule) & (later.c.due == STARTS.c.due)
        repeated = select(later.c.id).where(same & (later.c.attempt > STARTS.c.attempt)).exists()
        ended = STARTS.c.state.in_(ENDED) & (STARTS.c.state != State.SKIPPED) & (STARTS.c.schedule != "")
        newest = select(func.max(STARTS.c.id)).where(ended).group_by(STARTS.c.schedule)
        return {start.schedule: start for start in self._select(STARTS.c.id.in_(newest) & ~repeated, STARTS.c.id)}

    def previous_run(self, schedule: str, run_id: str) -> str | None:
        """The run of the schedule before this one that was reported in full."""
        condition = (STARTS.c.schedule == schedule) & (STARTS.c.state == State.DONE) & (STARTS.c.run_id < run_id)
        with self._engine.begin() as connection:
            query = select(STARTS.c.run_id).where(condition).order_by(STARTS.c.run_id.desc()).limit(1)
            found: str | None = connection.scalar(query)
        return found

    def late_runs(self) -> dict[str, timedelta]:
        """The runs that began late, and how long after they were due."""
        query = select(STARTS.c.run_id, STARTS.c.started_at, STARTS.c.due)
        query = query.where(STARTS.c.late & STARTS.c.run_id.is_not(None) & STARTS.c.started_at.is_not(None))
        with self._engine.begin() as connection:
            return {run_id: started_at - due for run_id, started_at, due in connection.execute(query).all()}

    def earlier_attempts(self, start: Start) -> list[Start]:
        """What became of the attempts before this one."""
        same = (STARTS.c.schedule == start.schedule) & (STARTS.c.due == start.due)
        return self._select(same & (STARTS.c.attempt < start.attempt), STARTS.c.attempt)

    def claim(self, start: Start, run_id: str, config: str, now: datetime) -> bool:
        """Make the service's mind up to begin it; False where it is not waiting any more."""
        late = start.attempt == 1 and start.asked is None and now - start.due > LATE_AFTER
        values = {"run_id": run_id, "config": config, "started_at": now, "late": late, "state": State.CLAIMED}
        return self._move(start.id, (State.WAITING,), values)

    def take(self, number: int, pid: int, pid_started: float) -> bool:
        """Called by the process that is to run it: False where it has been given up, or another has it."""
        return self._move(number, (State.CLAIMED,), {"pid": pid, "pid_started": pid_started, "state": State.RUNNING})

    def take_over(self, start: Start, pid: int, pid_started: float) -> bool:
        """Called by the process that is to finish it after another was killed."""
        condition = (STARTS.c.id == start.id) & (STARTS.c.pid == start.pid) & STARTS.c.state.in_(OPEN)
        with self._engine.begin() as connection:
            values = {"pid": pid, "pid_started": pid_started, "recoveries": start.recoveries + 1}
            return connection.execute(update(STARTS).where(condition).values(values)).rowcount == 1

    def end(self, start: Start, state: State, now: datetime, **values: Any) -> bool:
        """Say what has become of it; False where that is known already. What is secret in a reason is not kept."""
        if "reason" in values:
            values["reason"] = without(values["reason"])
        condition = (STARTS.c.id == start.id) & STARTS.c.state.in_((State.WAITING, *OPEN))
        ending = {"state": state, "finished_at": now, **values}
        with self._engine.begin() as connection:
            ended = connection.execute(update(STARTS).where(condition).values(ending)).rowcount == 1
            # No report comes any more for which a message about it could wait.
            connection.execute(update(OUTBOX).where(OUTBOX.c.start_id == start.id).values(held_until=None))
        return ended

    def recorded(self, number: int, **values: Any) -> None:
        """The run is in the history."""
        self._move(number, (State.CLAIMED, State.RUNNING, State.RECORDED), {"state": State.RECORDED, **values})

    def put_off(self, start: Start, until: datetime) -> None:
        """It may not begin before then."""
        self._move(start.id, (State.WAITING,), {"not_before": until})

    def totals(self) -> dict[tuple[str, str], int]:
        """How many attempts ever ended, by schedule and state."""
        remembered = select(STARTS.c.schedule, STARTS.c.state, func.count()).where(STARTS.c.state.in_(ENDED))
        remembered = remembered.group_by(STARTS.c.schedule, STARTS.c.state)
        result: dict[tuple[str, str], int] = {}
        with self._engine.begin() as connection:
            for query in (remembered, select(FORGOTTEN)):
                for schedule, state, number in connection.execute(query).all():
                    result[schedule, state] = result.get((schedule, state), 0) + number
        return result

    def keep_configuration(self, digest: str, text: str, now: datetime) -> None:
        """Remember the text by which runs begin."""
        statement = upsert(CONFIGURATIONS).values(digest=digest, text=text, used_at=now)
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_={"used_at": now}))

    def configuration(self, digest: str) -> str:
        """A text that was remembered."""
        with self._engine.begin() as connection:
            query = select(CONFIGURATIONS.c.text).where(CONFIGURATIONS.c.digest == digest)
            return str(connection.execute(query).scalar_one())

    def forget(self, before: datetime) -> int:
        """Remove what ended before then, and configurations that nothing uses; return the number of starts."""
        with self._engine.begin() as connection:
            old = (STARTS.c.finished_at < before) & STARTS.c.state.in_(ENDED)
            # The last run that was reported is what the next is compared with.
            newest = select(STARTS.c.id).where(STARTS.c.state == State.DONE).order_by(STARTS.c.id.desc()).limit(100)
            going = old & STARTS.c.id.not_in(newest)
            counts = select(STARTS.c.schedule, STARTS.c.state, func.count()).where(going)
            for schedule, state, number in connection.execute(counts.group_by(STARTS.c.schedule, STARTS.c.state)).all():
                # Totals only ever grow, for whoever watches them.
                counted = upsert(FORGOTTEN).values(schedule=schedule, state=state, number=number)
                more = {"number": FORGOTTEN.c.number + counted.excluded.number}
                connection.execute(counted.on_conflict_do_update(index_elements=["schedule", "state"], set_=more))
            gone = connection.execute(delete(STARTS).where(going)).rowcount
            used = select(STARTS.c.config).where(STARTS.c.config.is_not(None))
            unused = (CONFIGURATIONS.c.used_at < before) & CONFIGURATIONS.c.digest.not_in(used)
            connection.execute(delete(CONFIGURATIONS).where(unused))
        return gone

    def _move(self, number: int, states: Sequence[State], values: Mapping[str, Any]) -> bool:
        condition = (STARTS.c.id == number) & STARTS.c.state.in_(states)
        with self._engine.begin() as connection:
            return connection.execute(update(STARTS).where(condition).values(**values)).rowcount == 1

    def _select(self, condition: Any, *order: Any) -> list[Start]:
        with self._engine.begin() as connection:
            return [_start(row) for row in connection.execute(select(STARTS).where(condition).order_by(*order)).all()]


def _start(row: Row[Any]) -> Start:
    values = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's documented way to a row's names
    return Start(**{**values, "state": State(values["state"])})
