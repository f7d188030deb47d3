"""The service: begins what is due, looks after the runs in progress, and takes up what another has left.

One loop, once a second, does everything that decides; what waits for others (receivers, people who ask, monitoring) has
threads of its own. Whatever it must not forget is in the state file before it is done.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from scanner.counting import counted
from scanner.errors import ConfigError, StateError
from scanner.jobs.keeping import reason_of
from scanner.notify.outbox import Outbox
from scanner.notify.service_problems import notify_failed_runs, notify_silent_receivers
from scanner.service import setup
from scanner.service.belongings import Belongings
from scanner.service.children import Children
from scanner.service.lock import ServiceLock
from scanner.service.log_fields import log_error, log_with, of_refusal, of_state
from scanner.service.planning import Planner
from scanner.service.setup import Setup
from scanner.service.spelling import spelled
from scanner.service.systemd import Supervisor
from scanner.service.watch import Watch
from scanner.state.clock_ahead import bring_back
from scanner.state.database import cannot_use
from scanner.state.ledger import LATE_AFTER, OPEN, Ledger, Start, State
from scanner.verdict import new_run_id

_LOG = logging.getLogger("nightseal.daemon")
_TICK_S = 1.0
_CLOCK_JUMP_S = 5.0
_RECOVERIES = 3
_RETRY = timedelta(seconds=30)
_UNREPEATED = timedelta(days=1)
"""A run that was interrupted longer ago than this is not begun again: the next has come instead."""
_ABANDON_BEFORE_END = 1 / 2
"""The share of `grace` that a run has left to write down what it has, when it was told to end."""


class Service:
    """The service of one configuration, whose lock is held."""

    def __init__(self, config_path: Path, current: Setup, engine: Engine, supervisor: Supervisor) -> None:
        self.setup = current
        self.ledger = Ledger(engine)
        self.last_tick = time.monotonic()
        self.last_delivery = time.monotonic()
        self.watch = Watch(config_path)
        self.watch.follow(current)
        self.state_problem = ""
        self.messages = threading.Event()
        """Set where there may be messages to deliver."""
        self._belongings = Belongings(current.state, ServiceLock(current.state).path)
        self._config_path = config_path
        self._engine = engine
        self._outbox = Outbox(engine)
        self._supervisor = supervisor
        self._planner = Planner(engine, self.ledger)
        self._children = Children(current.state, config_path.absolute())
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._clock = (datetime.now(UTC), time.monotonic())
        self._untold = ""

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT end the service, SIGHUP reads its configuration again."""

        def stop(number: int, _: FrameType | None) -> None:
            _LOG.info("%s: stopping", signal.Signals(number).name)
            self._stop.set()
            self._wake.set()

        def reload(_: int, __: FrameType | None) -> None:
            self._reload.set()
            self._wake.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGHUP, reload)
        # A process has ended: a run's, perhaps.
        signal.signal(signal.SIGCHLD, lambda _, __: self._wake.set())

    def wake(self) -> None:
        """Look at once: for what may begin, and for what waits to be delivered."""
        self._wake.set()
        self.messages.set()

    @property
    def stopping(self) -> threading.Event:
        """Set when the service ends."""
        return self._stop

    def next_starts(self) -> dict[str, datetime]:
        """When each schedule is due next."""
        return self._planner.next_starts()

    def run(self) -> None:
        """Serve until told to stop; the runs in progress have ended then.

        Raises:
            StateError: the state file cannot be written to begin with, or is another one since then.
        """
        now = datetime.now(UTC)
        try:
            self._keep_configuration(now)
            self._bring_back(now)
            self._take_up(now)
            self._planner.start(self.setup.triggers, now)
        except SQLAlchemyError as error:
            raise cannot_use(self.setup.state, error) from error
        for name, due in sorted(self.next_starts().items()):
            _LOG.info(
                "schedule %(schedule)s: next start %(next_start)s", {"schedule": name, "next_start": due.isoformat()}
            )
        self._supervisor.ready(self._status())
        lost = None
        while not self._stop.is_set() and lost is None:
            self._guarded_tick()
            self._wake.wait(_TICK_S)
            self._wake.clear()
            lost = self._belongings.lost()
        gone: StateError | None = None
        if lost is not None:
            gone = StateError(
                f"{lost} was removed or replaced while the service used it: the service must be restarted"
            )
            log_error(_LOG, logging.ERROR, gone, "stopping: ")
        self._supervisor.stopping()
        self._planner.stop()
        self._end_children()
        if gone is not None:
            raise gone

    def _guarded_tick(self) -> None:
        try:
            self._tick(datetime.now(UTC))
            self.state_problem = ""
        except SQLAlchemyError as error:
            fields = of_state(self.setup.state, error)
            if fields["reason"] != self.state_problem:
                log_with(
                    _LOG, logging.ERROR, f"{self.setup.state} cannot be used: {fields['reason']}; trying again", fields
                )
            self.state_problem = fields["reason"]
        self._look_around()
        self.last_tick = time.monotonic()
        self._supervisor.alive()

    def _look_around(self) -> None:
        """See what would keep it from its work tonight, and tell the log of what is new."""
        known, refused = set(map(str, self.watch.problems.values())), self.watch.config_problem
        self.watch.look(self.setup.config.files)
        for problem in self.watch.problems.values():
            if str(problem) not in known:
                fields = {"place": problem.name, **of_refusal(problem.folder, problem.error)}
                log_with(_LOG, logging.ERROR, str(problem), fields)
        if self.watch.refusal is not None and self.watch.config_problem != refused:
            log_error(_LOG, logging.ERROR, self.watch.refusal)

    def _tick(self, now: datetime) -> None:
        if self._reload.is_set():
            self._reload.clear()
            self._read_again(now)
        self._watch_clock(now)
        self._planner.tick()
        for start in self._children.reap():
            self._ended(self.ledger.get(start.id), now)
        for start in self._children.enforce_deadlines():
            _LOG.warning("%(about)s: past its deadline, told to stop", start.said())
        for start in self.ledger.waiting(now):
            self._consider(start, now)
        self._tell(now)

    def _tell(self, now: datetime) -> None:
        """Post what is told without a run. Nothing that goes wrong with it keeps the next start from beginning."""
        try:
            notify_failed_runs(self._engine, self.setup.config, now)
            notify_silent_receivers(self._engine, self.setup.config, self._outbox, now)
            self._untold = ""
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001  # the schedules do not depend on it
            if self._untold != reason_of(error):  # once, and not every second
                _LOG.exception("receivers could not be notified of failures; trying again")
            self._untold = reason_of(error)

    def _watch_clock(self, now: datetime) -> None:
        """A clock that was set back must not put off the next start until it has caught up."""
        wall, monotonic = self._clock
        self._clock = (now, time.monotonic())
        jump = (now - wall).total_seconds() - (self._clock[1] - monotonic)
        if abs(jump) > _CLOCK_JUMP_S:
            _LOG.warning("the clock jumped by %(jump_s)+.0f s", {"jump_s": round(jump, 3)})
            self._bring_back(now)
            self._planner.change(self.setup.triggers, now)

    def _bring_back(self, now: datetime) -> None:
        """What was entered by a clock that was ahead must not wait until it has caught up, either."""
        if entries := bring_back(self._engine, now):
            words = "the clock was ahead: %(entries)d entries of the state file are brought back to now"
            _LOG.warning(words, {"entries": entries})
            self.messages.set()

    def _consider(self, start: Start, now: datetime) -> None:
        """Begin a start that may begin, or say why not."""
        if start.asked is None and not self._may_begin(start, now):
            return
        if start.schedule and start.schedule not in self.setup.schedules:
            self._skip(start, "the schedule is no longer configured", now)
            return
        if start.schedule and self._children.has(start.schedule):
            return
        run_id = new_run_id(now)
        if not self.ledger.claim(start, run_id, self.setup.config.digest, now):
            return
        claimed = self.ledger.get(start.id)
        self._begin(claimed, now)

    def _may_begin(self, start: Start, now: datetime) -> bool:
        schedule = self.setup.schedules.get(start.schedule)
        if schedule is None:
            return True
        if start.attempt == 1 and self._children.has(start.schedule):
            self._skip(start, "the run before it was still in progress", now)
            return False
        if start.attempt == 1 and schedule.missed == "skip" and now - start.due > LATE_AFTER:
            self._skip(start, "it was missed while the service was down", now)
            return False
        until = self.setup.triggers[start.schedule].in_window_until(now)
        if until is not None:
            _LOG.info("%(about)s: in a maintenance window until %(until)s", start.said(until=until.isoformat()))
            self.ledger.put_off(start, until)
            return False
        return True

    def _begin(self, start: Start, now: datetime, *, recover: bool = False) -> None:
        try:
            pid = self._children.begin(start, self._allowed(start), recover=recover)
        except OSError as error:
            self.ledger.end(start, State.FAILED, now, reason=f"its process cannot be started: {error.strerror}")
            fields = start.said(reason=error.strerror, errno=errno.errorcode.get(error.errno or 0))
            _LOG.error("%(about)s: cannot be started: %(reason)s", fields)  # the reason is all that helps
            return
        verb = "taken up again" if recover else "begun"
        late_s = int((now - start.due).total_seconds()) if start.late else 0
        late = f", {spelled(now - start.due)} late" if start.late else ""
        words = f"%(about)s: {verb}{late} (process %(process)d)"
        _LOG.info(words, start.said(process=pid, late_s=late_s))
        self._supervisor.status(self._status())

    def _allowed(self, start: Start, used: timedelta = timedelta(0)) -> timedelta | None:
        """How long a run may still take."""
        schedule = self.setup.schedules.get(start.schedule)
        return schedule.deadline - used if schedule else None

    def _ended(self, start: Start, now: datetime) -> None:
        """Its process has ended: is the attempt at its end too?"""
        self.messages.set()
        self._supervisor.status(self._status())
        if start.state in OPEN:
            self._was_killed(start, now)
            return
        if start.went_wrong:
            self.watch.soon()
        log = _LOG.error if start.state is State.FAILED else _LOG.info
        words = "%(about)s: %(state)s: %(reason)s" if start.reason else "%(about)s: %(state)s"
        log(words, start.said(reason=start.reason, status=start.exit_status))
        if start.state is State.INTERRUPTED:
            self._repeat(start, now, now + _RETRY * 2 ** (start.attempt - 1) if start.recoveries == 0 else now)

    def _was_killed(self, start: Start, now: datetime) -> None:
        if start.pid is None:
            # It had not even begun; should its process live after all, it finds the attempt given up.
            if self.ledger.end(start, State.INTERRUPTED, now, reason="it was killed before it began"):
                self._repeat(start, now, now)
            return
        if start.recoveries >= _RECOVERIES:
            self.ledger.end(
                start, State.FAILED, now, reason=f"its process was killed {counted(start.recoveries + 1, 'time')}"
            )
            return
        _LOG.warning("%(about)s: its process was killed", start.said())
        self._begin(start, now, recover=True)

    def _repeat(self, start: Start, now: datetime, at: datetime) -> None:
        schedule = self.setup.schedules.get(start.schedule)
        if start.asked is not None or schedule is None or schedule.interrupted == "skip":
            return
        if start.attempt >= schedule.attempts:
            _LOG.error("%(about)s: given up after %(attempt)d attempts", start.said())
            return
        if self.ledger.again(start, at):
            words = f"%(about)s: interrupted, is repeated in {spelled(at - now)}"
            _LOG.warning(words, start.said(repeated_at=at.isoformat(timespec="seconds")))

    def _skip(self, start: Start, reason: str, now: datetime) -> None:
        _LOG.warning("%(about)s: the start of %(due)s is left out: %(reason)s", start.said(reason=reason))
        self.ledger.end(start, State.SKIPPED, now, reason=reason)

    def _take_up(self, now: datetime) -> None:
        """What was in progress when the last service ended: adopted, finished, or repeated."""
        for start in self.ledger.open():
            used = now - (start.started_at or now)
            if self._children.adopt(start, self._allowed(start, used)):
                _LOG.info("%(about)s: still in progress (process %(process)s)", start.said(process=start.pid))
            else:
                self._was_killed(start, now)
        for start in self.ledger.unrepeated(now - _UNREPEATED):
            self._repeat(start, now, now)

    def _read_again(self, now: datetime) -> None:
        self._supervisor.reloading()
        try:
            fresh = setup.load(self._config_path)
        except ConfigError as error:
            self.watch.refused(error)
            log_error(_LOG, logging.ERROR, error, "the configuration is refused, and the previous one stays in force: ")
        else:
            if (fresh.state, fresh.socket, fresh.config.form.daemon.http) != (
                self.setup.state, self.setup.socket, self.setup.config.form.daemon.http,
            ):  # fmt: skip
                _LOG.warning("changes to [daemon] state, socket and http take effect when the service is restarted")
            self.setup = fresh
            self.watch.follow(fresh)
            self._keep_configuration(now)
            self._planner.change(fresh.triggers, now)
            _LOG.info(
                "the configuration is read again: %(schedules)d schedules",
                {"schedules": len(fresh.schedules), "digest": fresh.config.digest},
            )
            fresh.warn()
        self._supervisor.ready(self._status())

    def _keep_configuration(self, now: datetime) -> None:
        self.ledger.keep_configuration(self.setup.config.digest, self.setup.config.text, now)

    def _end_children(self) -> None:
        """Let the runs end by themselves for a while, then have them write down what they have, then end them."""
        grace = self.setup.config.form.daemon.grace.total_seconds()
        begins = time.monotonic()
        self._children.tell(signal.SIGTERM)
        for number, until in ((signal.SIGINT, grace * (1 - _ABANDON_BEFORE_END)), (signal.SIGKILL, grace)):
            while len(self._children) and time.monotonic() - begins < until:
                for start in self._children.reap():
                    with contextlib.suppress(SQLAlchemyError):  # the state file may be what it ends for
                        _LOG.info("%(about)s: %(state)s", self.ledger.get(start.id).said())
                time.sleep(0.05)
            self._children.tell(number)

    def _status(self) -> str:
        return f"{counted(len(self._children), 'run')} in progress, {counted(len(self.setup.schedules), 'schedule')}"
