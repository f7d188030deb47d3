"""The server from which processes are forked, started before anything that takes long to load.

What a scan itself needs and what its workers need takes half a second each to load. A command that is going to scan
starts the server first of all, so that both load side by side. This module is imported before all others, and so it
imports none of them: what the server loads is named here and imported there.

`multiprocessing` has such a server too. It loads the caller's `__main__`, which ends in a fork bomb or an error where a
script has no main guard; each process forked from it would start one of its own; and what was forked outlives a parent
that is killed by seconds. Here nothing of the caller's is loaded, a process may hand the server on to those that it
starts, and the kernel itself ends a process when whoever started it is gone (ADR 9).
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

_LOADED: Final = (
    "scanner.dispatch.workers",
    "scanner.probe.tls.probe",
    "scanner.probe.handshake.preload",
)
"""What the server loads, so that no worker has to."""
_BEGIN: Final = "import sys; sys.path[:] = sys.argv[3:]; from scanner.forkserver import serve; serve(*sys.argv[1:3])"
_LONGEST_ENTRY: Final = 256
_DESCRIPTORS: Final = 3
_TO_END_S: Final = 5.0


@dataclass(slots=True)
class ForkedChild:
    """A process that was forked for this one: a socket to talk to it, and what keeps it alive."""

    channel: socket.socket
    _alive: int

    def end(self) -> None:
        """End the process, whatever it does; safe to call again. `channel` stays open, and tells when it has ended."""
        alive, self._alive = self._alive, -1
        if alive >= 0:
            os.close(alive)


@dataclass(slots=True)
class _Server:
    """The server, as those see it who have processes forked. `process` is None where another one started it."""

    control: socket.socket
    alive: int = -1
    process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        return self.process is None or self.process.poll() is None


_LOCK: Final = threading.Lock()
_server: _Server | None = None


def begin() -> None:
    """Start the server, and do not wait until it has loaded; where it runs already, nothing is done.

    Ctrl-C is kept from it and from what is forked from it, for which it is not meant: they end when whoever started
    them does. One that came while the server loads would end it in the middle of an import, and print where.
    """
    global _server  # noqa: PLW0603  # a process has one server, as it has one interpreter
    with _LOCK:
        if _server is not None and _server.runs:
            return
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ends, alive = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(  # noqa: S603  # this very interpreter
                [sys.executable, "-P", "-c", _BEGIN, str(there.fileno()), str(ends), *sys.path],
                stdin=subprocess.DEVNULL,
                pass_fds=(there.fileno(), ends),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            there.close()
            os.close(ends)
        _server = _Server(here, alive, process)


def spawn(entry: str, *, handing_on: bool = False) -> ForkedChild:
    """Have a process forked, which calls a function with its socket and ends when that returns. Nothing is waited for.

    Args:
        entry: the function, as `module:name`.
        handing_on: whether that process may have others forked by the same server (`adopt`).
    """
    begin()
    server = _server
    assert server is not None  # noqa: S101  # it has just begun
    here, there = socket.socketpair()
    ends, alive = os.pipe()
    passed = [there.fileno(), ends, *([server.control.fileno()] if handing_on else [])]
    try:
        # A server that has just died takes nothing; the socket then ends at once, which says it.
        with contextlib.suppress(OSError):
            socket.send_fds(server.control, [entry.encode()], passed)
    finally:
        there.close()
        os.close(ends)
    return ForkedChild(here, alive)


def running() -> int | None:
    """The process id of the server that this process started; None where there is none."""
    process = _server.process if _server is not None else None
    return process.pid if process is not None and process.poll() is None else None


@atexit.register
def _end() -> None:
    """End the server with this process, and leave no zombie."""
    if _server is None or _server.process is None:
        return
    _server.control.close()
    os.close(_server.alive)
    with contextlib.suppress(subprocess.TimeoutExpired):
        _server.process.wait(_TO_END_S)


def serve(control: str, alive: str) -> NoReturn:
    """Be the server: load, and fork whenever that is asked for, until nobody is left who could ask."""
    end_with(int(alive))
    # Meant for whoever started all this, who ends it then; to a group, to a service, such a signal goes to everybody.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    asked = socket.socket(fileno=int(control))
    for name in _LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    # What was forked is nobody's child to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        entry, descriptors, _, _ = socket.recv_fds(asked, _LONGEST_ENTRY, _DESCRIPTORS)
        if not entry:
            os._exit(0)
        try:
            function = _load(entry.decode())
            if os.fork() == 0:
                os.close(int(alive))
                asked.close()
                _become(function, descriptors)
        except (OSError, ImportError):
            # Whoever asked sees the socket end, and this process goes on for the others.
            traceback.print_exc()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _load(entry: str) -> Callable[[socket.socket], Any]:
    module, _, name = entry.partition(":")
    function: Callable[[socket.socket], Any] = getattr(importlib.import_module(module), name)
    return function


def _become(function: Callable[[socket.socket], Any], descriptors: Sequence[int]) -> NoReturn:
    """Be a process that was forked."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        channel, alive, *control = descriptors
        end_with(alive)
        if control:
            _adopt(control[0])
        function(socket.socket(fileno=channel))
        status = 0
    except BaseException:  # noqa: BLE001  # nothing may come back into the server's own loop
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _adopt(control: int) -> None:
    """Have this process's own processes forked by the server from which it was forked itself."""
    global _server  # noqa: PLW0603  # a process has one server
    _server = _Server(socket.socket(fileno=control))


def end_with(alive: int) -> None:
    """Have the kernel end this process when the other end of a pipe is closed, however that happens.

    No thread has to look, and nothing that holds the interpreter can put it off: SIGIO ends a process that has said
    nothing else, and is sent when the last writer goes away.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGIO})
    fcntl.fcntl(alive, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(alive, fcntl.F_SETFL, fcntl.fcntl(alive, fcntl.F_GETFL) | os.O_ASYNC)
    # It may have been closed before anybody could be told.
    gone = select.poll()
    gone.register(alive, 0)
    if gone.poll(0):
        os._exit(0)
