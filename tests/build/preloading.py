"""What commands are forked from: it loads everything once, and forks whenever that is asked for (`tests.build.preloaded`).

What a command starts has nothing to load either. The server of its workers is forked from a process that has loaded what
that server does, and no more: a worker may not have much memory of its own. The runs of a service are forked like commands
(`have_runs_forked`), where their command line is not the point: another service knows a run by that.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import io
import os
import pickle
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn, Self

from scanner import forkserver
from tests.build.preloaded import BEGUN, ENDED, LONGEST_ORDER, TOLD, Forked, Order, alone, pair

_LOADED: Final = (
    "scanner.app.cli",
    "scanner.app.commands",
    "scanner.app.handlers",
    "reports.render",
    "scanner.service.loop",
    "scanner.service.worker",
    "scanner.service.attempt",
    "scanner.service.report_worker",
    "scanner.fleet.worker",
    "tests.build.same_run",
)
_RUN: Final = "scanner.service.worker:main"
_REPORTS: Final = "scanner.service.report_worker:main"
_OF_WORKERS: Final = "scanner.forkserver:serve"
_HIGH: Final = 500
"""Descriptors of our own are numbered from here on: a command tells by their numbers which ones it was given."""
_STREAMS: Final = 3
_MOST: Final = 1 + _STREAMS + 2


def serve(number: int) -> Callable[[], NoReturn]:
    """Load everything, and fork whenever that is asked for. Returns in what was forked: what it is to do."""
    listening = socket.socket(fileno=number)
    begun = _of_workers(listening)
    if begun is not None:
        return begun
    _load()
    _Here.commands, own = map(_out_of_the_way, pair())
    return _Loop(own, listening=listening).forked()


def _out_of_the_way(sock: socket.socket) -> socket.socket:
    """The same with a high number."""
    with sock:
        return socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, _HIGH))


def _of_workers(listening: socket.socket) -> Callable[[], NoReturn] | None:
    """Fork what the servers of workers are forked from: it loads what those load, and is small. Returns None here."""
    forkserver._load_all((*forkserver._SHARED, forkserver._ENGINE))
    gc.freeze()
    _Here.servers, own = map(_out_of_the_way, pair())
    if os.fork():
        own.close()
        return None
    listening.close()
    _Here.servers.close()
    return _Loop(own).forked()


class _Here:
    """By what a process that was forked has others forked."""

    commands: socket.socket
    servers: socket.socket


def _load() -> None:
    for name in _LOADED:
        module = importlib.import_module(name)
        for inner in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
            importlib.import_module(inner.name)
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, "what another thread holds would be held for ever"


class _Loop:
    """Whom it waits for: whoever gives orders, and what it has forked."""

    def __init__(self, control: socket.socket, listening: socket.socket | None = None) -> None:
        self._controls = {control}
        self._listening = listening
        self._own = control
        self._selector = selectors.DefaultSelector()
        for sock in filter(None, (control, listening)):
            self._selector.register(sock, selectors.EVENT_READ)
        self._channels: dict[int, tuple[int, socket.socket]] = {}

    def forked(self) -> Callable[[], NoReturn]:
        """Do what is asked, until nobody asks any more; in what was forked: what that is to do."""
        while True:
            for key, _ in self._selector.select():
                if not isinstance(key.fileobj, socket.socket):
                    self._ended(key.fd)
                elif key.fileobj is self._listening:
                    self._accept(key.fileobj)
                elif (found := self._ordered(key.fileobj)) is not None:
                    return found

    def _ordered(self, control: socket.socket) -> Callable[[], NoReturn] | None:
        message, descriptors, _, _ = socket.recv_fds(control, LONGEST_ORDER, _MOST)
        if not message:
            self._left(control)
            return None
        order: Order = pickle.loads(message)  # noqa: S301  # of our own
        pid = os.fork()
        if pid == 0:
            self._forget()
            return lambda: _become(order, *descriptors)
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        channel = socket.socket(fileno=descriptors[0])
        watched = os.pidfd_open(pid)
        self._channels[watched] = pid, channel
        self._selector.register(watched, selectors.EVENT_READ)
        return None

    def _accept(self, listening: socket.socket) -> None:
        control, _ = listening.accept()
        self._controls.add(control)
        self._selector.register(control, selectors.EVENT_READ)

    def _left(self, control: socket.socket) -> None:
        """One is gone who gave orders: end with the last."""
        if self._listening is None:
            os._exit(0)
        self._selector.unregister(control)
        self._controls.remove(control)
        control.close()
        if self._controls != {self._own}:
            return
        place = Path(self._listening.getsockname())
        with alone():
            if not select.select([self._listening], [], [], 0)[0]:
                place.unlink(missing_ok=True)
                os._exit(0)

    def _ended(self, watched: int) -> None:
        self._selector.unregister(watched)
        os.close(watched)
        pid, channel = self._channels.pop(watched)
        _, status = os.waitpid(pid, 0)
        with channel, contextlib.suppress(OSError):
            channel.send(TOLD.pack(ENDED, os.waitstatus_to_exitcode(status)))

    def _forget(self) -> None:
        """What was forked has nothing to do with the others, and holds nothing of theirs open."""
        self._selector.close()
        for control in filter(None, (*self._controls, self._listening)):
            control.close()
        for watched, (_, channel) in self._channels.items():
            os.close(watched)
            channel.close()


def _become(order: Order, channel: int, *descriptors: int) -> NoReturn:
    os.setsid()
    os.umask(order.umask)
    os.chdir(order.folder)
    for number, descriptor in enumerate(descriptors[:_STREAMS]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in order.ignored:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, order.blocked)
    # Whoever knows it may send it a signal, or its group.
    with socket.socket(fileno=channel) as told:
        told.send(TOLD.pack(BEGUN, os.getpid()))
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    sys.argv = ["nightseal", *order.arguments]
    sys.path[0] = order.folder
    sys.stdin = sys.__stdin__ = _text(0, "r")
    sys.stdout = sys.__stdout__ = _text(1, "w")
    sys.stderr = sys.__stderr__ = _text(2, "w", "backslashreplace")
    forkserver._executed = _server_of_workers  # type: ignore[assignment]  # it has as much of Popen's face as is used
    if order.prepare:
        _named(order.prepare)()
    sys.exit(_named(order.entry)(*map(str, descriptors[_STREAMS:])))


def _named(reference: str) -> Callable[..., Any]:
    module, _, name = reference.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _text(number: int, mode: str, errors: str = "strict") -> io.TextIOWrapper:
    stream = os.fdopen(number, mode, encoding="utf-8", errors=errors, closefd=False)
    assert isinstance(stream, io.TextIOWrapper)
    stream.reconfigure(line_buffering=number == 2 or stream.isatty())  # as Python does
    return stream


# --- What a command starts --------------------------------------------------------------------------------------------


def _server_of_workers(control: int, alive: int) -> Forked:
    """In the place of a program that would load what it is forked with."""
    order = Order.of(_OF_WORKERS, (), folder=str(Path.cwd()), environment=os.environ)
    with Path(os.devnull).open("rb") as stdin:
        return Forked(_Here.servers, order, stdin.fileno(), 1, 2, control, alive)


def have_runs_forked() -> None:
    """For a service: have its runs forked, which then need not load."""
    children: Any = importlib.import_module("scanner.service.children")
    children.subprocess = SimpleNamespace(Popen=_run, DEVNULL=subprocess.DEVNULL)


def _run(command: Sequence[str], *, stdin: int, start_new_session: bool) -> Forked:
    program, option, module, *arguments = command
    assert (program, option, module) == (sys.executable, "-m", "scanner.service.worker")
    assert stdin == subprocess.DEVNULL
    assert start_new_session
    more = {"prepare": f"{__name__}:have_reports_forked"}
    order = Order.of(_RUN, arguments, folder=str(Path.cwd()), environment=os.environ, **more)
    with Path(os.devnull).open("rb") as nothing:
        return Forked(_Here.commands, order, nothing.fileno(), 1, 2)


def have_reports_forked() -> None:
    """For a run: have the process forked that draws its reports."""
    reports: Any = importlib.import_module("scanner.service.report_process")
    reports.subprocess = SimpleNamespace(Popen=_Reports, PIPE=subprocess.PIPE)


class _Reports(Forked):
    """The process that draws, with pipes to it and from it."""

    def __init__(self, command: Sequence[str], *, stdin: int, stdout: int) -> None:
        program, option, module, *arguments = command
        assert (program, option, module) == (sys.executable, "-m", "scanner.service.report_worker")
        assert (stdin, stdout) == (subprocess.PIPE, subprocess.PIPE)
        order = Order.of(_REPORTS, arguments, folder=str(Path.cwd()), environment=os.environ)
        (taken, given), (read, written) = os.pipe(), os.pipe()
        super().__init__(_Here.commands, order, taken, written, 2)
        os.close(taken)
        os.close(written)
        self.stdin, self.stdout = os.fdopen(given, "wb"), os.fdopen(read, "rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdin.close()
        self.stdout.close()
        self.wait()
