"""The server from which processes are forked, started before anything that takes long to load.

What a scan itself needs and what its workers need takes half a second each to load. A command that is going to scan,
and a run of the service, starts the server first of all, so that both load side by side. This module is imported before
almost all others, and so it imports none that takes long: what the server loads is named here and imported there.

Where the process is the program's own, and nothing but the program is in it (`scanner.inherited`), the server is forked
from it as soon as what both need is loaded, which then is loaded once. Elsewhere, in a script or a test, there may be
threads, and there may be anything: the server begins as a program of its own.

`multiprocessing` has such a server too. It loads the caller's `__main__`, which ends in a fork bomb or an error where a
script has no main guard; each process forked from it would start one of its own; and what was forked outlives a parent
that is killed by seconds. Here nothing of the caller's is loaded, a process may hand the server on to those that it
starts, and the kernel itself ends a process when whoever started it is gone (ADR 9).
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from msgspec import Struct

from scanner import inherited
from scanner.loading import everything_kept

_SHARED: Final = ("scanner.dispatch.workers", "scanner.probe.tls.probe")
"""What the server loads, so that no worker has to, and what a scan loads as well."""
_ENGINE: Final = "scanner.probe.handshake.preload"
"""What it loads for its workers alone."""
_BEGIN: Final = "import sys; sys.path[:] = sys.argv[3:]; from scanner.forkserver import serve; serve(*sys.argv[1:3])"
_LONGEST_ENTRY: Final = 256
_DESCRIPTORS: Final = 3
_TO_END_S: Final = 5.0
_LOOK_S: Final = 0.001
_STANDARD: Final = 3


class ForkedChild(Struct):
    """A process that was forked for this one: a socket to talk to it, and what keeps it alive."""

    channel: socket.socket
    _alive: int

    def end(self) -> None:
        """End the process, whatever it does; safe to call again. `channel` stays open, and tells when it has ended."""
        alive, self._alive = self._alive, -1
        if alive >= 0:
            os.close(alive)


class _Forked(Struct):
    """A child of this process, with as much of Popen's face as is needed of it."""

    pid: int
    _ended: bool = False

    def poll(self) -> int | None:
        """None as long as it runs."""
        return self._reaped(os.WNOHANG)

    def wait(self, timeout: float) -> int:
        """Wait for its end.

        Raises:
            TimeoutExpired: it goes on.
        """
        deadline = time.monotonic() + timeout
        while self._reaped(os.WNOHANG) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("the server of workers", timeout)
            time.sleep(_LOOK_S)
        return 0

    def _reaped(self, options: int) -> int | None:
        if not self._ended:
            try:
                self._ended = os.waitpid(self.pid, options)[0] == self.pid
            except ChildProcessError:
                self._ended = True
        return 0 if self._ended else None


class _Server(Struct):
    """The server, as those see it who have processes forked. `process` is None where another one started it."""

    control: socket.socket
    alive: int = -1
    process: subprocess.Popen[bytes] | _Forked | None = None

    @property
    def runs(self) -> bool:
        return self.process is None or self.process.poll() is None


_LOCK: Final = threading.Lock()
_server: _Server | None = None


def begin(*, first: bool = False) -> None:
    """Start the server, and do not wait until it has loaded; where it runs already, nothing is done.

    Ctrl-C is kept from it and from what is forked from it, for which it is not meant: they end when whoever started
    them does. One that came while the server loads would end it in the middle of an import, and print where.

    Args:
        first: nothing has been done in this process yet, no file is open and no event loop runs. If it is the program's
            own, the server is forked from it.
    """
    global _server  # noqa: PLW0603  # a process has one server, as it has one interpreter
    with _LOCK:
        if _server is not None and _server.runs:
            return
        begun = threading.active_count() > 1 or any(name in sys.modules for name in _SHARED)
        fork = first and inherited.is_own_process() and not begun
        if fork:
            _load_all(_SHARED)
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ends, alive = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = (_forked if fork else _executed)(there.fileno(), ends)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            there.close()
            os.close(ends)
        _server = _Server(here, alive, process)


def _executed(control: int, alive: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # this very interpreter
        [sys.executable, "-P", "-c", _BEGIN, str(control), str(alive), *sys.path],
        stdin=subprocess.DEVNULL,
        pass_fds=(control, alive),
    )


def _forked(control: int, alive: int) -> _Forked:
    for stream in (sys.stdout, sys.stderr):
        # What is still to be written is this process's to write, and nobody else's.
        stream.flush()
    if pid := os.fork():
        return _Forked(pid)
    try:
        # The other process holds it, and gives it back; here, and in what is forked from here, nobody would.
        _LOCK.release()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        low, high = sorted((control, alive))
        for first, after in ((_STANDARD, low), (low + 1, high), (high + 1, os.sysconf("SC_OPEN_MAX"))):
            os.closerange(first, after)
        serve(str(control), str(alive))
    except BaseException:  # noqa: BLE001  # nothing may come back into the program, of which there is one already
        traceback.print_exc()
    finally:
        os._exit(1)


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
    _load_all((*_SHARED, _ENGINE))
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


def _load_all(names: Sequence[str]) -> None:
    """Load modules."""
    with everything_kept():
        for name in names:
            importlib.import_module(name)


def _load(entry: str) -> Callable[[socket.socket], Any]:
    module, _, name = entry.partition(":")
    if module not in sys.modules:
        _load_all([module])
    function: Callable[[socket.socket], Any] = getattr(sys.modules[module], name)
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
