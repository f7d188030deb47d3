"""An event loop whose clock only moves when everybody waits: an hour of waiting takes no time, and is always the same.

It is asyncio's own loop. Only its clock and the wait for sockets are replaced: where the loop would wait, the clock
jumps to the next thing that is due. A test that waits for something that never comes fails at once.

Where servers take part, `run` is told how to see that one is `at_work`: while it is, its answer is waited for and no time
passes, however slow the machine; and when nobody is, silence takes none. So no test of a timeout depends on the machine.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_WORK_S = 3.0
"""How long a server that is at work is waited for, really: one that has not answered by then means to be silent."""
_ON_THE_WAY_S = 0.05
"""How long the machine may take to bring over loopback what has been sent."""


class NothingLeftError(AssertionError):
    """Everybody waits, and nothing is due that could wake anybody."""


class _Clock(selectors.SelectSelector):
    """Looks whether a socket is ready, and waits for it only where a server is to answer: time passes instead."""

    def __init__(self, at_work: Callable[[], bool] | None) -> None:
        super().__init__()
        self.now = 0.0
        self._at_work = at_work

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout != 0 and self._at_work is not None:
            ready = super().select(_WORK_S if self._at_work() else _ON_THE_WAY_S)
        if not ready and timeout is None:
            raise NothingLeftError
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time, which begins at 0."""

    def __init__(self, at_work: Callable[[], bool] | None = None) -> None:
        self._virtual = _Clock(at_work)
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._virtual.now


def run(main: Coroutine[Any, Any, T], *, at_work: Callable[[], bool] | None = None) -> T:
    """Run a coroutine in virtual time, as `asyncio.run` does in real time; `at_work` where servers take part."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(at_work)) as runner:
        return runner.run(main)


def run_with_servers(main: Coroutine[Any, Any, T]) -> T:
    """The same where servers are part of the coroutine: what they have to say, they say at once, or when it is due."""
    return run(main, at_work=lambda: False)
