"""Being told to end: SIGTERM and SIGHUP do what Ctrl-C does, and the exit status says which it was.

`timeout`, CI, containers and service managers send SIGTERM; a terminal that is closed sends SIGHUP. Told once, a scan
ends early, and what was finished is kept and reported. Told again, the process ends where it is, but not while the
results of a run are being kept.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self, TypeVar

from scanner.errors import ExitStatus, Interrupted

T = TypeVar("T")
_Handler = Callable[[int, FrameType | None], Any] | int | None
_STATUSES: Final = {
    signal.SIGINT: ExitStatus.INTERRUPTED,
    signal.SIGTERM: ExitStatus.TERMINATED,
    signal.SIGHUP: ExitStatus.HUNG_UP,
}
_TOLD_ONCE_S: Final = 1.0
"""`timeout` sends its signal to a command and then to its group, so that it comes twice though it was meant once."""


class Stopping:
    """What the process was told, from the beginning of a scan to the end of its reports.

    As a context it listens. A signal that the process was started to ignore, as `nohup` has it, stays ignored.
    """

    def __init__(self) -> None:
        self._told: signal.Signals | None = None
        self._told_at = float("-inf")
        self._before: dict[signal.Signals, _Handler] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in _heeded()}
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def run(self, scan: Coroutine[Any, Any, T]) -> T:
        """Run a scan that is cancelled when the process is told to end, and answers for what it has done by then."""
        return asyncio.run(self._cancellable(scan))

    def status(self, judged: ExitStatus, *, complete: bool) -> ExitStatus:
        """The exit status of a run that would be `judged`: one that was cut short says by what."""
        return judged if complete or self._told is None else _STATUSES[self._told]

    async def _cancellable(self, scan: Coroutine[Any, Any, T]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(scan)

        def between_steps(number: int, _: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._end, number, task)

        # Called by the loop between two steps of it, so that what follows the scan is not cut in two. The loop's own
        # handlers would do, but leave the default behind, which ends the process, until the loop has closed.
        for number in _heeded():
            signal.signal(number, between_steps)
        if self._told is not None:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            # Before it had begun: there is nothing yet that it could answer for.
            raise Interrupted(_STATUSES[self._told or signal.SIGINT]) from None
        finally:
            self._listen()

    def _end(self, number: int, task: asyncio.Future[Any]) -> None:
        self._note(number, None)
        task.cancel()

    def _listen(self) -> None:
        """After the scan its reports are written: that is finished, unless the process is told again or by Ctrl-C."""
        for number in self._before:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else self._note)

    def _note(self, number: int, _: FrameType | None) -> None:
        now, number = time.monotonic(), signal.Signals(number)
        if number is self._told and number is not signal.SIGINT and now - self._told_at < _TOLD_ONCE_S:
            return
        again, self._told, self._told_at = self._told is not None, number, now
        if again:
            raise Interrupted(_STATUSES[self._told])


def _heeded() -> Sequence[signal.Signals]:
    """The signals that the process was not started to ignore; none outside of the main thread, which alone has them."""
    if threading.current_thread() is not threading.main_thread():
        return ()
    return [number for number in _STATUSES if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def telling(kept: Callable[[], str]) -> Iterator[None]:
    """Have whatever interrupts this say what was kept by then."""
    try:
        yield
    except KeyboardInterrupt as error:
        status = error.status if isinstance(error, Interrupted) else ExitStatus.INTERRUPTED
        raise Interrupted(status, kept()) from error


@contextmanager
def held() -> Iterator[None]:
    """A time in which nothing that the process is told ends it: results are being kept. It is told afterwards."""
    before = {number: signal.getsignal(number) for number in _heeded()}
    late = list[int]()
    for number in before:
        signal.signal(number, lambda number, _: late.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for told in dict.fromkeys(late):
        signal.raise_signal(told)


@contextmanager
def ended_at_once() -> Iterator[None]:
    """A time of waiting for somebody else: whatever the process is told ends it, also where it would finish first."""
    before = {number: signal.getsignal(number) for number in _heeded()}
    ours = [number for number, handler in before.items() if handler is not signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _leave(number: int, _: FrameType | None) -> None:
    raise Interrupted(_STATUSES[signal.Signals(number)])
