"""The processes of the runs in progress: started, adopted from a service that was killed, told to end, and ended."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
from msgspec import Struct

from scanner.state.ledger import Start

_WORKER = "scanner.service.worker"
_SAME_BIRTH_S = 1.5
"""Two readings of when a process began may differ by this much: the machine's start is told in whole seconds."""
_KILL_AFTER_S = 45.0
"""How long a run may take to write down what it has, after it was told to end at its deadline."""


class Child(Struct):
    """One run's process. `popen` is None where it was started by an earlier service."""

    start: Start
    process: psutil.Process
    popen: subprocess.Popen[bytes] | None
    deadline_s: float | None
    """By the monotonic clock: setting the other one ends no run."""
    interrupted_s: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        if self.popen is not None:
            return self.popen.poll() is not None
        try:
            return not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def tell(self, number: signal.Signals) -> None:
        """Send a signal; to the whole group where it must not survive."""
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


class Children:
    """All of them."""

    def __init__(self, state: Path, config_path: Path) -> None:
        self._command = [
            sys.executable, "-m", _WORKER, "--state", str(state), "--config", str(config_path),
        ]  # fmt: skip
        self._children: list[Child] = []

    def __len__(self) -> int:
        return len(self._children)

    def has(self, schedule: str) -> bool:
        """Whether a run of the schedule is in progress; one-off runs belong to none."""
        return any(child.start.schedule == schedule for child in self._children)

    def begin(self, start: Start, remaining: timedelta | None, *, recover: bool = False) -> int:
        """Start the process of an attempt, which has so long for its run, and return its id.

        It leads a group of its own: a terminal's Ctrl-C is for the service, which then decides.

        Raises:
            OSError: it cannot be started.
        """
        command = [*self._command, "--start", str(start.id), *(["--recover"] if recover else [])]
        # It inherits the mask: its deadline may be over while it still loads, and SIGINT waits until it can say so.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603  # this interpreter, our own module
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._children.append(Child(start, psutil.Process(popen.pid), popen, _deadline(remaining)))
        return popen.pid

    def adopt(self, start: Start, remaining: timedelta | None) -> bool:
        """Take care of a process that outlived the service that started it; False where it is gone."""
        if start.pid is None or start.pid_started is None:
            return False
        try:
            process = psutil.Process(start.pid)
            same = abs(birth_of(process) - start.pid_started) <= _SAME_BIRTH_S and _runs(process, start)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        if not same:
            return False
        child = Child(start, process, None, _deadline(remaining))
        if child.ended:
            return False
        self._children.append(child)
        return True

    def reap(self) -> list[Start]:
        """The attempts whose processes have ended since the last call."""
        ended = [child for child in self._children if child.ended]
        self._children = [child for child in self._children if child not in ended]
        return [child.start for child in ended]

    def enforce_deadlines(self) -> list[Start]:
        """Tell those to end that are past their deadline, and end those that do not; return those that were told."""
        told = []
        now = time.monotonic()
        for child in self._children:
            if child.deadline_s is None or now < child.deadline_s:
                continue
            if child.interrupted_s is None:
                child.interrupted_s = now
                child.tell(signal.SIGINT)
                told.append(child.start)
            elif now - child.interrupted_s > _KILL_AFTER_S:
                child.tell(signal.SIGKILL)
        return told

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to all."""
        for child in self._children:
            child.tell(number)


def birth_of(process: psutil.Process) -> float:
    """When a process began, in seconds since the machine did: whoever sets the clock changes nothing of it."""
    return float(process.create_time() - psutil.boot_time())


def _runs(process: psutil.Process, start: Start) -> bool:
    """Whether it is the process of that attempt, and not one that has its number and age since the machine started."""
    command = process.cmdline()
    return _WORKER in command and ("--start", str(start.id)) in itertools.pairwise(command)


def _deadline(remaining: timedelta | None) -> float | None:
    return None if remaining is None else time.monotonic() + remaining.total_seconds()
