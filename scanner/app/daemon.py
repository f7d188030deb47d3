"""`nightseal daemon`: the configured schedules, until SIGTERM.

A run is a process of its own (`nightseal run --schedule S`): what it loads and leaks ends with it, and a run that is
killed takes nobody along.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

import click
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from scanner import config as configuration
from scanner.app import options
from scanner.app.exit_status import ExitStatus
from scanner.app.policies import policies_of
from scanner.config_form import ScheduleForm
from scanner.errors import ConfigError, Problem

_LOG = logging.getLogger("nightseal.daemon")
_MISFIRE_S = 3600
"""A start that was missed by less than this, because the machine slept, is made up for."""
_STOP_S = 20.0
"""How long a run may take to end after it was told to."""


class Runs:
    """The runs in progress: started by the scheduler, ended with the daemon."""

    def __init__(self, config_path: Path) -> None:
        self._config_path = config_path
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopping = False

    def start(self, schedule: str) -> None:
        """Run a schedule to its end."""
        command = [sys.executable, "-m", "scanner.app.cli", "run", "--config", str(self._config_path)]
        with self._lock:
            if self._stopping:
                return
            process = subprocess.Popen([*command, "--schedule", schedule, "--quiet"])
            self._processes.add(process)
        _LOG.info("schedule %s: run started (process %d)", schedule, process.pid)
        status = process.wait()
        with self._lock:
            self._processes.discard(process)
        level = logging.ERROR if status in {ExitStatus.USAGE, ExitStatus.INTERNAL} else logging.INFO
        _LOG.log(level, "schedule %s: run ended with status %d", schedule, status)

    def stop(self) -> None:
        """Interrupt the runs in progress, which keep what they have finished, and wait for them."""
        with self._lock:
            self._stopping = True
            processes = list(self._processes)
        for process in processes:
            process.send_signal(signal.SIGINT)
        for process in processes:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


@click.command("daemon")
@options.config_option
def command(config_path: Path) -> int:
    """Run the configured schedules until told to stop.

    \b
    Examples:
      nightseal daemon --config /etc/nightseal/config.toml
    """
    logging.getLogger().setLevel(min(logging.getLogger().level, logging.INFO))
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    config = configuration.load(config_path)
    policies_of(config)
    if not config.schedules:
        problem = Problem("schedule", "nothing is scheduled", "`nightseal config init` shows a [[schedule]]")
        raise ConfigError(config.source, [problem])
    runs = Runs(config_path)
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(max(1, len(config.schedules)))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": _MISFIRE_S},
    )
    for schedule in config.schedules:
        scheduler.add_job(runs.start, trigger_of(schedule, config.source), args=[schedule.name], id=schedule.name)
    told = threading.Event()

    def stop(number: int, _: FrameType | None) -> None:
        _LOG.info("%s: stopping", signal.Signals(number).name)
        told.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    scheduler.start()
    for job in scheduler.get_jobs():
        _LOG.info("schedule %s: next run %s", job.id, job.next_run_time)
    told.wait()
    scheduler.pause()
    runs.stop()
    scheduler.shutdown(wait=True)
    return ExitStatus.OK


def trigger_of(schedule: ScheduleForm, source: str) -> CronTrigger:
    """The schedule's cron expression as a trigger.

    Raises:
        ConfigError: it is none.
    """
    try:
        return CronTrigger.from_crontab(schedule.cron, timezone=schedule.timezone)
    except ValueError as error:
        problem = Problem(f"schedule[{schedule.name}].cron", f"{error}, not {schedule.cron!r}", 'for 2:00: "0 2 * * *"')
        raise ConfigError(source, [problem]) from error
