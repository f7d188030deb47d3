"""Real `nightseal daemon` processes on servers of the lab."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from scanner.errors import NightsealError
from scanner.lab import Lab
from scanner.service.children import birth_of
from scanner.state.database import read_state
from scanner.state.ledger import Ledger, Start
from tests.build.preloaded import Started, run
from tests.conftest import PYTHONPATH

Process = subprocess.Popen[bytes] | Started
PATIENCE_S = 200.0
_NEAR_S = 1.5


def wait_for(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait until something is true, and return it."""
    ends = time.monotonic() + patience_s
    while time.monotonic() < ends:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"in {patience_s:g} s not seen: {what}")


def _rows(state: Path) -> list[tuple[Any, ...]] | None:
    """The starts as they are stored; None where they cannot be read for now."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as raw:
            return raw.execute("SELECT * FROM starts").fetchall()
    except sqlite3.Error:
        return None


def _ledger(state: Path) -> list[Start]:
    """Read without writing: opened as the service does, the file would be another one after each question."""
    try:
        engine = read_state(state)
    except NightsealError:
        return []  # it is only just begun, and has no tables
    try:
        return Ledger(engine).recent(100_000)[::-1]
    finally:
        engine.dispose()


def _lines(log: Path) -> list[dict[str, Any]]:
    found = []
    for line in log.read_text().splitlines():
        with contextlib.suppress(ValueError):  # a line that was being written when its process was killed
            found.append(json.loads(line))
    return found


class Service:
    """A folder with a configuration, and the services that are started on it.

    `as_users_do`: by a command line that others on this machine see. Otherwise they are forked, and need not load. So are
    their runs, if not `real_runs`: by its command line another service knows a run that outlived the service before.
    """

    def __init__(self, folder: Path, lab: Lab, *names: str, schedule: str, more: str = "", daemon: str = "") -> None:
        self.folder = folder
        self.log = folder / "daemon.log"
        self.started: list[Process] = []
        self._lab = lab
        self._names = names
        self._more = more
        self._daemon = daemon
        self.as_users_do = False
        self.real_runs = False
        self._rows: list[tuple[Any, ...]] | None = None
        self._starts: list[Start] = []
        self._log_size = -1
        self._lines: list[dict[str, Any]] = []
        self.configure(schedule)

    def configure(self, schedule: str, *names: str) -> None:
        """Write the configuration."""
        hosts = [self._lab.servers[name] for name in names or self._names]
        endpoints = "\n".join(
            f'[[environment.endpoint]]\nhost = "{server.host}"\nport = {server.port}' for server in hosts
        )
        places = "\n".join(f'"{name}" = {json.dumps(to)}' for name, to in self._lab.connect_to.items())
        (self.folder / "config.toml").write_text(
            f'[scan]\ntimeout = "2s"\ndeadline = "15s"\ntrust_store = "{self._lab.ca_file}"\n'
            f"[scan.connect_to]\n{places}\n"
            f'[daemon]\nhttp = "127.0.0.1:0"\nlog = "json"\n{self._daemon}\n'
            f'[[environment]]\nname = "e"\nkind = "on-premises"\n{endpoints}\n'
            f"{schedule}\n{self._more}\n"
        )

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": PYTHONPATH, "NO_COLOR": "1"}

    def start(self, *, as_users_do: bool = False, **environ: str) -> Process:
        """Start a service; its log is appended to `daemon.log`."""
        there = {**self.environ, **environ}
        process: Process
        with self.log.open("ab") as log:
            if as_users_do or self.as_users_do:
                command = [sys.executable, "-m", "scanner.app.cli", "daemon"]
                process = subprocess.Popen(
                    command, cwd=self.folder, env=there, stdout=log, stderr=log, start_new_session=True
                )
            else:
                prepare = "" if self.real_runs else "tests.build.preloading:have_runs_forked"
                process = Started(["daemon"], cwd=self.folder, env=there, output=log, prepare=prepare)
        self.started.append(process)
        return process

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the command line beside it."""
        if not self.as_users_do:
            done = run(arguments, cwd=self.folder, env=self.environ, timeout=PATIENCE_S)
            out, err = done.stdout.decode(), done.stderr.decode()
            return subprocess.CompletedProcess(arguments, done.returncode, out, err)
        return subprocess.run(
            [sys.executable, "-m", "scanner.app.cli", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def starts(self) -> list[Start]:
        """Every start so far, the first one first."""
        state = self.folder / "nightseal.sqlite"
        rows = _rows(state)
        # Tests ask many times a second. Whether there is anything new the database alone can say: the time of its
        # write-ahead log is that of the write, and what was written is seen only when it is on the disk.
        if rows is None or rows != self._rows:
            self._starts = _ledger(state) if state.exists() else []
            self._rows = rows
        return list(self._starts)

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        size = self.log.stat().st_size if self.log.exists() else -1
        if size != self._log_size:  # it is only ever appended to
            self._lines, self._log_size = _lines(self.log), size
        return list(self._lines)

    def said(self, words: str) -> list[dict[str, Any]]:
        """The lines of the log that hold these words."""
        return [line for line in self.lines() if words in line["event"]]

    @property
    def address(self) -> str:
        """Where the last service is monitored."""
        event: str = wait_for(lambda: self.said("monitoring: http"), "the address of monitoring")[-1]["event"]
        return event.removeprefix("monitoring: ").partition("/healthz")[0]

    def account(self) -> str:
        """What a failed test needs to be understood afterwards: how the services ended, and what they said last."""
        ends = [process.poll() for process in self.started]
        last = self.log.read_text()[-6000:] if self.log.exists() else ""
        return f"services ended with {ends}; the log's end:\n{last}"

    def end(self) -> None:
        """Kill everything that was started here."""
        for process in self.started:
            if process.poll() is None:
                kill_tree(process.pid)
            process.wait()
        for start in self.starts():
            if _still_runs(start):
                kill_tree(start.pid or 0)


def kill_tree(pid: int) -> None:
    """SIGKILL a process and everything below it, all at once."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)


def _still_runs(start: Start) -> bool:
    """Whether its process is still there, and not another that has its number by now."""
    with contextlib.suppress(psutil.Error):
        return start.pid_started is not None and abs(birth_of(psutil.Process(start.pid)) - start.pid_started) < _NEAR_S
    return False


@contextlib.contextmanager
def service(folder: Path, lab: Lab, *names: str, schedule: str, more: str = "", daemon: str = "") -> Iterator[Service]:
    """Services on one configuration; whatever is left of them is killed in the end."""
    running = Service(folder, lab, *names, schedule=schedule, more=more, daemon=daemon)
    try:
        yield running
    except BaseException as error:
        error.add_note(running.account())
        raise
    finally:
        running.end()
