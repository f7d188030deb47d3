"""The command line in a process of its own that has nothing to load: it is forked from one that has loaded everything.

A command loads for one to three seconds before it does anything. What is forked is a process as any other: with an
own process id, arguments, environment, folder, streams, signals and exit status, and an own end, by its own interpreter.
What it is not is a child of the test's process. Where the start itself is what is tested, or an environment changes how
Python starts, commands are started as users do: `tests/acceptance/test_start.py` and others.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import gc
import importlib
import io
import os
import pickle
import pkgutil
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, NoReturn

from scanner.app import cli

_BEGIN: Final = "import sys; from tests.build.preloaded import serve; serve(int(sys.argv[1]))()"
_REPOSITORY: Final = Path(__file__).parents[2]
_LONGEST_ORDER: Final = 1 << 17
_LOADED: Final = (
    "scanner.app.cli",
    "scanner.app.commands",
    "scanner.app.handlers",
    "reports.render",
    "scanner.service.loop",
    "scanner.fleet.worker",
    "tests.build.same_run",
)
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TOLD: Final = struct.Struct("!ci")
_BEGUN, _ENDED = b"b", b"e"


@dataclasses.dataclass(frozen=True)
class _Order:
    """What a process is to be."""

    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    umask: int
    ignored: Sequence[int]
    prepare: str


class Started:
    """A command in a process and a session of its own, used as `subprocess.Popen` is.

    What it prints is read, or goes into a file. `prepare` is a function, as `module:name`, that is called in that process first.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        output: IO[bytes] | None = None,
        prepare: str = "",
    ) -> None:
        self.args = ("nightseal", *arguments)
        self.returncode: int | None = None
        umask = os.umask(0)
        os.umask(umask)
        ignored = [int(number) for number in _ENDING if signal.getsignal(number) == signal.SIG_IGN]
        order = _Order(tuple(arguments), str(cwd), dict(env), umask, ignored, prepare)
        with contextlib.ExitStack() as passed:
            self._channel, there = socket.socketpair()
            passed.enter_context(there)
            stdin = passed.enter_context(Path(os.devnull).open("rb"))
            self.stdout, out = _stream(output, passed)
            self.stderr, err = _stream(output, passed)
            descriptors = [there.fileno(), stdin.fileno(), out, err]
            with _LOCK:
                socket.send_fds(_server(), [pickle.dumps(order)], descriptors)
        what, self.pid = self._told()
        assert what == _BEGUN, f"it has not begun, and ended with {self.pid}"

    def poll(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None where it still runs."""
        return self._heard(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        status = self._heard(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return status

    def _heard(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._channel.settimeout(timeout)
            with contextlib.suppress(TimeoutError, BlockingIOError):
                _, self.returncode = self._told()
                # From now on its number may be another's.
                self._channel.close()
        return self.returncode

    def _told(self) -> tuple[bytes, int]:
        told = self._channel.recv(_TOLD.size)  # what is so short comes at once
        assert len(told) == _TOLD.size, "what forks has ended"
        what, number = _TOLD.unpack(told)
        return what, number

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Read its streams to their end, and wait for its own."""
        ends = None if timeout is None else time.monotonic() + timeout
        read = {stream: _Reading(stream) for stream in (self.stdout, self.stderr) if stream is not None}
        for reading in read.values():
            reading.join(None if ends is None else max(0.0, ends - time.monotonic()))
            if reading.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.wait(None if ends is None else max(0.0, ends - time.monotonic()))
        out, err = (read[stream].data if stream else b"" for stream in (self.stdout, self.stderr))
        return out, err


class _Reading(threading.Thread):
    """A stream that is read to its end."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.data = b""
        self.start()

    def run(self) -> None:
        with self._stream:
            self.data = self._stream.read()


def _stream(given: IO[bytes] | None, passed: contextlib.ExitStack) -> tuple[IO[bytes] | None, int]:
    """What is read here, and the descriptor that is passed on."""
    if given is not None:
        return None, given.fileno()
    reading, writing = os.pipe()
    passed.callback(os.close, writing)
    return os.fdopen(reading, "rb"), writing


def run(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float, prepare: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end."""
    process = Started(arguments, cwd=cwd, env=env, prepare=prepare)
    try:
        out, err = process.communicate(timeout)
    except BaseException:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.wait(), out, err)


# --- What they are forked from ----------------------------------------------------------------------------------------

_LOCK: Final = threading.Lock()
_running: tuple[socket.socket, subprocess.Popen[bytes]] | None = None


def _server() -> socket.socket:
    """Begin it, once for each process of the tests; or again, where somebody killed it."""
    global _running  # noqa: PLW0603  # a process has one
    if _running is None or _running[1].poll() is not None:
        control, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LONGEST_ORDER)
        with there:
            process = subprocess.Popen(
                [sys.executable, "-c", _BEGIN, str(there.fileno())],
                cwd=_REPOSITORY,
                stdin=subprocess.DEVNULL,
                pass_fds=(there.fileno(),),
                start_new_session=True,
            )
        atexit.register(_end, control, process)
        _running = control, process
    return _running[0]


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    process.wait(60)


def serve(control: int) -> Callable[[], NoReturn]:
    """Load everything, and fork whenever that is asked for. Returns in what was forked: what it is to do."""
    _load()
    loop = _Loop(socket.socket(fileno=control))
    while True:
        found = loop.forked()
        if found is not None:
            return found


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

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._channels: dict[int, tuple[int, socket.socket]] = {}

    def forked(self) -> Callable[[], NoReturn] | None:
        """Wait for something, and do it; in what was forked: what that is to do."""
        for key, _ in self._selector.select():
            if key.fileobj is not self._control:
                self._ended(key.fd)
                continue
            message, descriptors, _, _ = socket.recv_fds(self._control, _LONGEST_ORDER, 4)
            if not message:
                os._exit(0)
            order: _Order = pickle.loads(message)  # noqa: S301  # of our own
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

    def _ended(self, watched: int) -> None:
        self._selector.unregister(watched)
        os.close(watched)
        pid, channel = self._channels.pop(watched)
        _, status = os.waitpid(pid, 0)
        with channel, contextlib.suppress(OSError):
            channel.send(_TOLD.pack(_ENDED, os.waitstatus_to_exitcode(status)))

    def _forget(self) -> None:
        """What was forked has nothing to do with the others, and holds nothing of theirs open."""
        self._selector.close()
        self._control.close()
        for watched, (_, channel) in self._channels.items():
            os.close(watched)
            channel.close()


def _become(order: _Order, channel: int, *descriptors: int) -> NoReturn:
    os.setsid()
    os.umask(order.umask)
    os.chdir(order.folder)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in order.ignored:
        signal.signal(number, signal.SIG_IGN)
    # Whoever knows it may send it a signal, or its group.
    with socket.socket(fileno=channel) as told:
        told.send(_TOLD.pack(_BEGUN, os.getpid()))
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    sys.argv = ["nightseal", *order.arguments]
    sys.path[0] = order.folder
    sys.stdin = sys.__stdin__ = _text(0, "r")
    sys.stdout = sys.__stdout__ = _text(1, "w")
    sys.stderr = sys.__stderr__ = _text(2, "w", "backslashreplace")
    if order.prepare:
        module, _, name = order.prepare.partition(":")
        getattr(importlib.import_module(module), name)()
    cli.main()
    raise AssertionError("it exits by itself")


def _text(number: int, mode: str, errors: str = "strict") -> io.TextIOWrapper:
    stream = os.fdopen(number, mode, encoding="utf-8", errors=errors, closefd=False)
    assert isinstance(stream, io.TextIOWrapper)
    stream.reconfigure(line_buffering=number == 2 or stream.isatty())  # as Python does
    return stream
