"""The command line in a process of its own that has nothing to load: it is forked from one that has loaded everything.

A command loads for one to three seconds before it does anything. What is forked is a process as any other: with an
own process id, arguments, environment, folder, streams, signals and exit status, and an own end, by its own interpreter.
What it is not is a child of the test's process. Where the start itself is what is tested, or an environment changes how
Python starts, commands are started as users do: `tests/acceptance/test_start.py` and others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Self

_BEGIN: Final = "import sys; from tests.build.preloading import serve; serve(int(sys.argv[1]))()"
_REPOSITORY: Final = Path(__file__).parents[2]
LONGEST_ORDER: Final = 1 << 17
_COMMAND: Final = "scanner.app.cli:main"
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TOLD: Final = struct.Struct("!ci")
BEGUN, ENDED = b"b", b"e"


@dataclasses.dataclass(frozen=True)
class Order:
    """What a process is to be."""

    entry: str
    arguments: Sequence[str]
    folder: str
    environment: Mapping[str, str]
    umask: int
    ignored: Sequence[int]
    blocked: Sequence[int]
    prepare: str = ""

    @classmethod
    def of(
        cls, entry: str, arguments: Sequence[str], *, folder: str, environment: Mapping[str, str], prepare: str = ""
    ) -> Self:
        """With what a process hands on to those that it starts."""
        umask = os.umask(0)
        os.umask(umask)
        ignored = [int(number) for number in _ENDING if signal.getsignal(number) == signal.SIG_IGN]
        blocked = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
        return cls(entry, tuple(arguments), folder, dict(environment), umask, ignored, blocked, prepare)


class Forked:
    """A process that was forked elsewhere: what it is called by, and how it ended."""

    def __init__(self, control: socket.socket, order: Order, *descriptors: int) -> None:
        self.args = ("nightseal", *order.arguments)
        self.returncode: int | None = None
        self._channel, there = socket.socketpair()
        with there:
            socket.send_fds(control, [pickle.dumps(order)], [there.fileno(), *descriptors])
        what, self.pid = self._told()
        assert what == BEGUN, f"it has not begun, and ended with {self.pid}"

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
        told = self._channel.recv(TOLD.size)  # what is so short comes at once
        assert len(told) == TOLD.size, "what forks has ended"
        what, number = TOLD.unpack(told)
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


class Started(Forked):
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
        order = Order.of(_COMMAND, arguments, folder=str(cwd), environment=env, prepare=prepare)
        with contextlib.ExitStack() as passed:
            stdin = passed.enter_context(Path(os.devnull).open("rb"))
            self.stdout, out = _stream(output, passed)
            self.stderr, err = _stream(output, passed)
            super().__init__(_server(), order, stdin.fileno(), out, err)

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
_BEGUN_HERE: Final[list[subprocess.Popen[bytes]]] = []
"""Another worker may still need it when this one ends, so nobody waits for its end."""
_control: socket.socket | None = None


def _server() -> socket.socket:
    """Begin it, once for all workers of the tests; or again, where somebody killed it."""
    global _control  # noqa: PLW0603  # a process has one
    with _LOCK:
        if _control is not None and _ended(_control):
            _control.close()
            _control = None
        if _control is None:
            _control = _connected()
        return _control


def _ended(control: socket.socket) -> bool:
    """Whether nobody takes orders any more: what does says nothing."""
    return bool(select.select([control], [], [], 0)[0])


def _connected() -> socket.socket:
    """Connect to it; whoever comes first begins it. It ends with the last that is connected."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    place = Path(tempfile.gettempdir()) / f"nightseal-tests-{run[:16]}"
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONGEST_ORDER)
    with alone():
        try:
            control.connect(str(place))
        except (FileNotFoundError, ConnectionRefusedError):
            place.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
                listening.bind(str(place))
                listening.listen(100)
                begun = subprocess.Popen(
                    [sys.executable, "-c", _BEGIN, str(listening.fileno())],
                    cwd=_REPOSITORY,
                    stdin=subprocess.DEVNULL,
                    pass_fds=(listening.fileno(),),
                    start_new_session=True,
                )
                _BEGUN_HERE.append(begun)
            control.connect(str(place))
    return control


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """While somebody connects, it does not end."""
    with (Path(tempfile.gettempdir()) / f"nightseal-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pair() -> tuple[socket.socket, socket.socket]:
    """To give orders by, and to take them by."""
    giving, taking = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    giving.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONGEST_ORDER)
    return giving, taking
