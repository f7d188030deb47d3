"""One attempt at one start, in a process of its own: what it loads and leaks ends with it, and it may be killed.

The steps are scan, history, second look, messages; reports are drawn beside the last two, in a process of their own.
Each leaves the state file saying how far it came, so that another process can take over from the last one that was
finished.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import psutil
from msgspec import structs
from sqlalchemy import Engine

from scanner import pipeline
from scanner.config import loading as configuration
from scanner.config.form import ScheduleForm
from scanner.config.form_scan import DEFAULT_FAIL_ON
from scanner.config.loading import Config
from scanner.config.values import parse_duration
from scanner.counting import counted
from scanner.errors import NightsealError, NotKeptError
from scanner.formats import DEFAULT_REPORTS
from scanner.history import History
from scanner.history.forgetting import forgotten
from scanner.jobs import exit_status
from scanner.jobs.destinations import ensure_writable
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.keeping import spared
from scanner.jobs.run import Order, RunOutcome, job_of
from scanner.jobs.selection import schedule_of
from scanner.jobs.session import Overrides
from scanner.jobs.site import output_folder
from scanner.jobs.summary import summary
from scanner.jobs.waiting_places import waiting_places
from scanner.jobs.waiting_runs import begin, keep
from scanner.notify import alarm_store, alarms
from scanner.notify.finished_run import FinishedRun, enqueue_missing_reports
from scanner.pipeline import Job
from scanner.service import logs
from scanner.service.children import birth_of
from scanner.service.finished_targets import FinishedTargets
from scanner.service.log_fields import log_error, log_trouble
from scanner.service.report_process import ReportProcess, report_paths
from scanner.service.report_worker import draw, lower_priority
from scanner.service.retention import tidy
from scanner.service.spelling import spelled
from scanner.state.database import open_state
from scanner.state.ledger import STOPPED, Ledger, Start, State
from scanner.verdict import RunRecord, Severity, Trigger

_LOG = logging.getLogger("nightseal.run")
Findings = dict[alarms.Key, alarms.CheckResult]


class StopRequests:
    """What the service says: `service` that it is being stopped (SIGTERM), `time` that the run's time is over (SIGINT).

    A scan in progress ends early then, and what was done by then is kept.
    """

    def __init__(self) -> None:
        self.service = False
        self.time = False
        self._woken = threading.Event()
        signal.signal(signal.SIGTERM, self._note)
        signal.signal(signal.SIGINT, self._note)
        # The service has it blocked while this process loads; one that came meanwhile is heard now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self.service = True
        else:
            self.time = True
        self._woken.set()

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until the service says something."""
        if not (self.service or self.time):
            self._woken.wait(seconds)

    def scan(self, job: Job) -> RunRecord:
        """Run a job that SIGINT may cut short."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return pipeline.run(job)
        finally:
            signal.signal(signal.SIGINT, self._note)


class RunAttempt:
    """One attempt, and what it needs at every step."""

    def __init__(self, engine: Engine, state: Path, start: Start, config: Config, stopping: StopRequests) -> None:
        self._engine = engine
        self._state = state
        self._ledger = Ledger(engine)
        self._start = start
        self._config = config
        self._stopping = stopping
        asked = start.asked or {}
        self._schedule = schedule_of(config, start.schedule) if start.schedule else None
        self._finished = FinishedTargets(state, start, config.digest)
        self._fail_on = Severity(asked.get("fail_on") or DEFAULT_FAIL_ON)
        self._overrides = Overrides(deadline=parse_duration(asked["deadline"]) if asked.get("deadline") else None)
        self._order = _order(start, self._schedule, config)
        self._troubles: list[str] = []
        self._lost: NotKeptError | None = None
        """Why the run is not in the history, where it is not."""

    def run(self, *, recover: bool) -> int:
        """Do it; with `recover`, what another process has left of it."""
        history_place = self._config.resolve(self._config.form.nightseal.history)
        job = self._job()
        if not recover:
            ensure_writable(Path(self._output()), outages=True)
        history, troubles = begin(history_place, waiting_places(self._config))
        for told in troubles:
            log_trouble(_LOG, logging.WARNING, told)
        if self._stopping.time and not recover:
            return self._out_of_time()
        record = self._recorded(history) if recover else self._scan(job, history)
        if record is None:
            self._ledger.end(self._start, State.INTERRUPTED, _now(), reason="its process was killed")
            return ExitStatus.INTERRUPTED
        if not record.run.complete and self._stopping.service:
            self._ledger.end(self._start, State.INCOMPLETE, _now(), reason=STOPPED)
            done = {"targets": len(record.targets), "expected": record.run.expected_targets}
            _LOG.warning("stopped: %(targets)d of %(expected)d targets done", done)
            return ExitStatus.INTERRUPTED
        if self._lost is not None:
            return self._unkept(record, self._lost)
        with self._drawing() as drawing:
            return self._report(job, history, record, drawing)

    def _out_of_time(self) -> int:
        """Its time was over before the scan began."""
        if self._stopping.service:
            self._ledger.end(self._start, State.INTERRUPTED, _now(), reason=STOPPED)
        else:
            self._ledger.end(self._start, State.FAILED, _now(), reason="its deadline passed before the scan began")
        return ExitStatus.INTERRUPTED

    def _job(self) -> Job:
        job = job_of(self._config, self._order, self._overrides)
        job = structs.replace(job, run_id=self._start.run_id)
        if self._schedule is None or self._schedule.interrupted != "resume":
            return job
        return structs.replace(job, known=self._finished.read(_now()), on_evidence=self._finished.add)

    def _output(self) -> str:
        return f"{self._config.resolve(self._config.form.nightseal.output).rstrip('/')}/"

    def _recorded(self, history: History) -> RunRecord | None:
        """The run, where the process that was killed had brought it into the history."""
        if not history.location.holds_history():
            return None
        known = {str(run_id) for run_id in history.runs(columns=["run_id"])["run_id"]}
        if self._start.run_id not in known:
            return None
        self._ledger.recorded(self._start.id)
        return history.record(str(self._start.run_id))

    def _scan(self, job: Job, history: History) -> RunRecord:
        _LOG.info("scanning")
        if job.known:
            _LOG.info("%(known)d targets were done by an earlier attempt", {"known": len(job.known)})
        record = self._stopping.scan(job)
        try:
            keep(history, record, waiting_places(self._config))
        except NotKeptError as error:
            log_error(_LOG, logging.ERROR, error)
            self._lost = error
            return record
        self._ledger.recorded(self._start.id)
        if record.run.complete:
            self._finished.remove()
        return record

    def _unkept(self, record: RunRecord, lost: NotKeptError) -> int:
        """Report what the history did not take, without what only that knows; the start has failed all the same.

        No other process could read it. The service tells receivers as soon as the start has ended.
        """
        reason = "; ".join((str(lost), *self._troubles))
        told = summary(RunOutcome(record, None))
        self._ledger.end(self._start, State.FAILED, _now(), exit_status=lost.exit_code, summary=told, reason=reason)
        lower_priority()
        missing = draw(self._config, None, record, self._order.formats, record.run.id).troubles
        if missing and self._schedule is not None:
            with self._spared("No receiver was notified of the missing reports"), self._engine.begin() as connection:
                enqueue_missing_reports(
                    connection, record, missing, self._config, self._schedule, start_id=self._start.id, now=_now()
                )
        return lost.exit_code

    def _report(self, job: Job, history: History, record: RunRecord, drawing: ReportProcess | None) -> int:
        if not record.run.complete and self._schedule is not None:
            self._troubles.append(f"It was told to end; its deadline is {spelled(self._schedule.deadline)}.")
        previous = self._previous(history, record)
        status = exit_status.of(record, self._fail_on)
        finished: FinishedRun | None = None
        if self._schedule is not None:
            found: Findings | None = alarms.results_of(record)
            if self._start.state is not State.TOLD:
                with self._spared("Endpoints that got worse were not scanned again"):
                    found = self._second_look(job, record, previous)
            if found is None:
                return ExitStatus.INTERRUPTED
            # What is not drawn is not announced either.
            reports = self._places(record) if drawing is not None else ()
            about = record, previous, found, reports, tuple(self._troubles)
            news = FinishedRun(self._config, self._schedule, self._start, *about)
            with self._spared("No receiver was notified of it"):
                news.tell(self._engine, _now())
                finished = news
        before = len(self._troubles)
        files = self._reports(record, drawing)
        told = summary(RunOutcome(record, previous, files))
        if finished is not None:
            with self._spared("No receiver was notified of it"):
                finished.end(self._engine, _now(), status, told, self._troubles[before:])
        # What nobody could be told of is done all the same; what changed is told after the next run.
        self._end(record, status, told)
        _LOG.info("done: %s", told.splitlines()[0])
        if not self._stopping.service:
            tidy(self._config, self._engine, _now())
        return status

    def _end(self, record: RunRecord, status: ExitStatus, told: str) -> None:
        """Say what has become of the attempt, if that has not been said with what follows from it."""
        state = State.DONE if record.run.complete else State.INCOMPLETE
        reason = "; ".join(self._troubles)
        self._ledger.end(self._start, state, _now(), exit_status=status, summary=told, reason=reason)

    def _previous(self, history: History, record: RunRecord) -> RunRecord | None:
        """The run that this one is compared with: the schedule's last, or one of the same environments."""
        earlier = self._ledger.previous_run(self._start.schedule, record.run.id) if self._schedule else None
        with self._spared("The previous run cannot be read"):
            known = history.order()
            if earlier not in known:  # it may have been forgotten since
                if earlier and len(known) == 1 and forgotten(history).empty:
                    self._troubles.append("The history holds no earlier run: it was removed, or is another one.")
                earlier = history.previous(record.run.id)
            return history.record(earlier) if earlier else None
        return None

    def _drawing(self) -> AbstractContextManager[ReportProcess | None]:
        """Begin to draw the reports of the run, which is in the history."""
        with self._spared("No report was written"):
            return ReportProcess(self._state, Path(self._config.source), self._start, self._order.formats)
        return nullcontext()

    def _reports(self, record: RunRecord, drawing: ReportProcess | None) -> Sequence[Path]:
        """Wait until they are drawn; which there are."""
        if drawing is None:
            return ()
        with self._spared("Not all reports were written"):
            written = drawing.written()
            self._troubles += written.troubles
            return written.files
        return [path for path in self._places(record) if path.is_file()]

    def _places(self, record: RunRecord) -> Sequence[Path]:
        return report_paths(output_folder(self._config), record.run.id, self._order.formats)

    def _spared(self, what: str) -> AbstractContextManager[None]:
        """Do what the run's outcome must not depend on; where it fails, that is logged, and told with the run."""
        return spared(what, self._troubles, log=logging.ERROR)

    def _second_look(self, job: Job, record: RunRecord, previous: RunRecord | None) -> Findings | None:
        """The run's findings, after another look at what got worse; None where the service is being stopped."""
        found = alarms.results_of(record)
        schedule = self._schedule
        if schedule is None or not schedule.confirm or previous is None or not record.run.complete:
            return found
        with self._engine.begin() as connection:
            known = alarm_store.load(connection, schedule.name)
        suspects = alarms.to_confirm(found, known, alarms.results_of(previous))
        if not suspects:
            return found
        words = f"{counted(len(suspects), 'endpoint')} got worse: looking again in {spelled(schedule.confirm_after)}"
        _LOG.info(words, {"endpoints": len(suspects), "again_in_s": schedule.confirm_after.total_seconds()})
        self._stopping.wait(schedule.confirm_after.total_seconds())
        if self._stopping.service:
            return None
        second = None if self._stopping.time else self._stopping.scan(_gentler(job, record, suspects))
        if second is None or not second.run.complete:
            # Out of time: told as it was seen, unless the service is to make up for it later.
            return None if self._stopping.service else found
        result = alarms.confirmed(found, alarms.results_of(second))
        passed = sum(item.condition is alarms.Condition.TRANSIENT for item in result.values())
        _LOG.info("scanned again: %(passed)d findings had passed", {"passed": passed})
        return result


def _gentler(job: Job, record: RunRecord, suspects: set[str]) -> Job:
    """The same job for some targets alone, the last first, with one connection at a time; the rest is known."""
    # All addresses of a name are looked at again, because some rules compare them.
    again = {(target.environment, target.address) for target in record.targets if target.endpoint in suspects}
    known = {
        target.id: evidence
        for target in record.targets
        if (target.environment, target.address) not in again and (evidence := target.evidence) is not None
    }
    settings = dataclasses.replace(job.settings, connections_per_target=1)
    return structs.replace(
        job, run_id=None, known=known, on_evidence=None, backwards=True, settings=settings, concurrency=4
    )


def _order(start: Start, schedule: ScheduleForm | None, config: Config) -> Order:
    asked = start.asked or {}
    policy = asked.get("policy") or (schedule.policy if schedule else None)
    if policy and (config.folder / policy).is_file():
        policy = str(config.folder / policy)
    return Order(
        environments=asked.get("environments") or (schedule.environments if schedule else ()),
        schedule=schedule,
        policy=policy,
        formats=asked.get("formats") or (schedule.reports if schedule else DEFAULT_REPORTS),
        trigger=Trigger.MANUAL if start.asked is not None else Trigger.SCHEDULE,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def run(*, state: Path, config: Path, start: int, recover: bool) -> int:
    """Run the attempt that the service has claimed; its exit status is the run's."""
    stopping = StopRequests()
    engine = open_state(state)
    ledger = Ledger(engine)
    claimed = ledger.get(start)
    pid = os.getpid()
    born = birth_of(psutil.Process(pid))
    if not (ledger.take_over(claimed, pid, born) if recover else ledger.take(start, pid, born)):
        # The service that started this process was killed, and the next one has given the attempt up.
        return ExitStatus.OK
    try:
        text = ledger.configuration(str(claimed.config))
        configured = configuration.parse(text, source=str(config), folder=config.parent)
        about = {"run": str(claimed.run_id), **({"schedule": claimed.schedule} if claimed.schedule else {})}
        logs.configure(configured.form.daemon.log, about=about)
        return RunAttempt(engine, state, claimed, configured, stopping).run(recover=recover)
    except NightsealError as error:
        log_error(_LOG, logging.ERROR, error)
        ledger.end(claimed, State.FAILED, _now(), exit_status=error.exit_code, reason=str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # whatever it was, the service must know
        _LOG.exception("Nightseal itself failed")
        reason = f"Nightseal itself failed: {type(error).__name__}: {error}"
        ledger.end(claimed, State.FAILED, _now(), exit_status=ExitStatus.INTERNAL, reason=reason)
        return ExitStatus.INTERNAL
