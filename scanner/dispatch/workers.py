"""The processes in which blocking work is done: forked from a small server that has loaded what they need.

A worker makes one piece of work at a time, and is ended when that is late: nothing else stops a thread that waits for a
silent server inside a library. It is replaced after some pieces, which returns the memory that the library keeps.
"""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from pebble import CONSTS, ProcessExpired, ProcessPool

from scanner import forkserver
from scanner.probe import WorkerError
from scanner.probe.net.budget import Budget, DeadlineError
from scanner.probe.net.remote import Access, BudgetServer, RemoteBudget, serving

T = TypeVar("T")
_GRACE_S: Final = 0.5
"""How long after its deadline a worker is ended: it ends by itself before."""

# How often, in seconds, a pool looks whether it is to end. A scan of one target waited a quarter of its time for that.
CONSTS.sleep_unit = 0.02

MOST_MEMORY: Final = 300 * 2**20
"""Bytes of memory of its own that a worker may have: a hostile server must not take the machine's."""
_STACK: Final = 2**20
"""Bytes that a thread of a worker may put on its stack. The kernel counts the whole of it as used, and an engine's
threads with the usual 8 MiB each would be all that a worker may have."""


@dataclass(slots=True)
class WorkerProcesses:
    """A number of processes. They start while the first targets are surveyed."""

    _pool: ProcessPool
    _started: asyncio.Future[Any]
    _free: asyncio.Semaphore
    _budgets: BudgetServer

    @classmethod
    @asynccontextmanager
    async def running(cls, count: int, *, tasks_each: int) -> AsyncIterator[Self]:
        """Start so many, and end them so that none outlives what is done with them.

        Args:
            count: how many.
            tasks_each: pieces of work after which a process is replaced.
        """
        forkserver.begin()
        async with serving() as budgets:
            # A pool starts with its first task, which counts, and keeps the caller waiting while it does: until the
            # server has loaded the engine, which is not of any target's time, nor of this loop's.
            pool = ProcessPool(max_workers=count, max_tasks=1 + tasks_each, context=forkserver.CONTEXT)
            started = asyncio.ensure_future(asyncio.to_thread(pool.schedule, _nothing))
            try:
                yield cls(pool, started, asyncio.Semaphore(count), budgets)
            finally:
                await asyncio.wait([started])
                await asyncio.to_thread(_end, pool)

    async def run(self, work: Callable[..., T], *arguments: object, budget: Budget) -> T:
        """Have a process do a piece of work, given the arguments and last of all its `RemoteBudget`.

        Waiting for a process costs the target none of its time.

        Raises:
            DeadlineError: it was late, and its process was ended.
            WorkerError: its process died.
        """
        async with budget.paused():
            await asyncio.shield(self._started)
            await self._free.acquire()
        try:
            with self._budgets.lend(budget, budget.put_off_s) as access:
                async with asyncio.timeout_at(budget.deadline + budget.put_off_s + _GRACE_S):
                    # Cancelled, which the timeout does, it ends the process.
                    return await asyncio.wrap_future(self._pool.schedule(_work, args=[work, access, arguments]))
        except TimeoutError:
            raise DeadlineError from None
        except ProcessExpired as error:
            raise WorkerError(str(error)) from error
        except MemoryError:
            raise WorkerError(f"it wanted more than {MOST_MEMORY // 2**20} MiB of memory") from None
        finally:
            self._free.release()


def _work(work: Callable[..., T], access: Access, arguments: Sequence[Any]) -> T:
    """Runs in a worker process."""
    bound_memory()
    with RemoteBudget.of(access) as budget:
        return work(*arguments, budget)


def bound_memory() -> None:
    """Hold this process to `MOST_MEMORY`: the kernel then refuses more, which raises MemoryError."""
    threading.stack_size(_STACK)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def start_forkserver() -> None:
    """Start the server from which workers are forked, and wait until it can; starting it twice does nothing."""
    forkserver.begin()
    first = forkserver.CONTEXT.Process(target=_nothing)
    first.start()
    first.join()


def _nothing() -> None:
    """What the first worker does."""


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
    pool.join()
