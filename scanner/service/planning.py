"""Enters into the ledger what is due, by APScheduler with its jobs in the state file.

APScheduler is asked once a second rather than left to sleep until a start: so a clock that is set, or a machine that
slept, is noticed at once, and a full disk ends no thread that nobody misses.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.base import BaseScheduler
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from scanner.service.cron import ScheduleTrigger
from scanner.service.log_fields import log_with, of_state
from scanner.state.ledger import Ledger

_LOG = logging.getLogger("nightseal.daemon")


def due() -> None:
    """What APScheduler believes that it calls: a job must have a function. Entering the start is all there is to do."""


class Planner:
    """Knows when each schedule is due, across restarts."""

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        self._engine = engine
        self._entering = _Entering(ledger, engine.url.database)
        self._jobs = SQLAlchemyJobStore(engine=engine)
        self._scheduler = _Paced(
            jobstores={"default": self._jobs},
            executors={"default": self._entering},
            job_defaults={"coalesce": True, "misfire_grace_time": None},
            timezone=UTC,
        )

    def start(self, triggers: Mapping[str, ScheduleTrigger], now: datetime) -> None:
        """Begin, with what was missed while nobody was here."""
        stored = self._stored()
        self._scheduler.start(paused=True)
        self._plan(triggers, stored, now)
        self._scheduler.resume()

    def change(self, triggers: Mapping[str, ScheduleTrigger], now: datetime) -> None:
        """Follow other schedules from now on, or the same ones by a clock that was set."""
        self._plan(triggers, self._stored(), now)

    def tick(self) -> None:
        """Enter what is due by now."""
        self._entering.enter_owed()
        try:
            self._scheduler.tick()
        except SQLAlchemyError as error:
            fields = of_state(self._engine.url.database, error)
            log_with(_LOG, logging.ERROR, f"the state file cannot be written: {fields['reason']}", fields)

    def stop(self) -> None:
        """Enter nothing more."""
        self._scheduler.shutdown(wait=False)

    def next_starts(self) -> dict[str, datetime]:
        """When each schedule is due next."""
        return {job.id: job.next_run_time for job in self._scheduler.get_jobs() if job.next_run_time}

    def _plan(self, triggers: Mapping[str, ScheduleTrigger], stored: Mapping[str, datetime], now: datetime) -> None:
        # Jobs that cannot be read any more, after an upgrade perhaps, are removed by this.
        jobs = {job.id: job for job in self._scheduler.get_jobs()}
        for name, trigger in triggers.items():
            upcoming = trigger.get_next_fire_time(None, now)
            if upcoming is None:
                continue
            planned = stored.get(name)
            if planned is not None and planned <= now:
                # Missed while the service was down; once is enough, however long that was.
                self._entering.enter(name, planned)
            job = jobs.get(name)
            if job is not None and job.trigger == trigger and planned is not None and now < planned <= upcoming:
                continue
            # A schedule that is new or other than it was, or one that was planned by a clock which was ahead.
            self._scheduler.add_job(due, trigger, id=name, next_run_time=upcoming, replace_existing=True)
        for name in set(jobs) - set(triggers):
            self._scheduler.remove_job(name)

    def _stored(self) -> dict[str, datetime]:
        """When each schedule was to start next, also where the rest of its job cannot be read any more."""
        table = self._jobs.jobs_t
        table.create(self._engine, checkfirst=True)
        with self._engine.begin() as connection:
            rows = connection.execute(select(table.c.id, table.c.next_run_time)).all()
        return {name: datetime.fromtimestamp(seconds, UTC) for name, seconds in rows if seconds is not None}


class _Paced(BaseScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """A scheduler without a thread: it works when it is ticked."""

    def wakeup(self) -> None:
        """Nobody sleeps."""

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002  # APScheduler's signature
        """Close the job store."""
        super().shutdown(wait)

    def tick(self) -> None:
        """Submit the jobs that are due."""
        self._process_jobs()


class _Entering(BaseExecutor):  # type: ignore[misc]  # the same
    """Enters a start into the ledger, whence the service begins it."""

    def __init__(self, ledger: Ledger, state: str | None) -> None:
        super().__init__()
        self._ledger = ledger
        self._state = state
        self._owed: list[tuple[str, datetime]] = []

    def submit_job(self, job: Any, run_times: Iterable[datetime]) -> None:
        """Enter the last of these times: those before it are made up for by it."""
        self.enter(job.id, max(run_times))

    def _do_submit_job(self, job: Any, run_times: Iterable[datetime]) -> None:
        self.submit_job(job, run_times)

    def enter(self, name: str, moment: datetime) -> None:
        """Enter a start; where the file cannot be written, with the next tick."""
        self._owed.append((name, moment))
        self.enter_owed()

    def enter_owed(self) -> None:
        """Enter what could not be entered before."""
        while self._owed:
            name, moment = self._owed[0]
            try:
                self._ledger.add_due(name, moment)
            except SQLAlchemyError as error:
                fields = {"schedule": name, "due": moment.isoformat(timespec="seconds"), **of_state(self._state, error)}
                log_with(_LOG, logging.ERROR, f"schedule {name}: cannot be entered: {fields['reason']}", fields)
                return
            del self._owed[0]
