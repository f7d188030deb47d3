"""The processes in which blocking work is done: forked from a small server that has loaded what they need.

A worker makes one piece of work at a time, and is ended when that is late: nothing else stops a thread that waits for a
silent server inside a library. It is replaced after some pieces, which returns the memory that the library keeps. None
is there before there is work for it: a scan of hosts that give no answer forks none.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import resource
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Self, TypeVar

from msgspec import Struct, field

from scanner import forkserver
from scanner.dispatch.talk import LARGEST, LENGTH, framed
from scanner.probe import WorkerError
from scanner.probe.net.budget import Budget, DeadlineError
from scanner.probe.net.remote import Access, BudgetServer, RemoteBudget, serving

T = TypeVar("T")
_GRACE_S: Final = 0.5
"""How long after its deadline a worker is ended: it ends by itself before."""
_TO_END_S: Final = 2.0
_READY: Final = b"\x01"

MOST_MEMORY: Final = 300 * 2**20
"""Bytes of memory of its own that a worker may have: a hostile server must not take the machine's."""
_STACK: Final = 2**20
"""Bytes that a thread of a worker may put on its stack. The kernel counts the whole of it as used, and an engine's
threads with the usual 8 MiB each would be all that a worker may have."""


class _Worker(Struct):
    """One process, as the one sees it that gives it work."""

    _child: forkserver.ForkedChild
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    served: int = 0
    free: bool = False
    """Whether it has brought back all that it was asked for: of one that has not, nothing more is asked."""

    @classmethod
    async def forked(cls) -> Self:
        """Have one forked, which takes a moment (`ready`)."""
        child = forkserver.spawn("scanner.dispatch.workers:serve")
        return cls(child, *await asyncio.open_connection(sock=child.channel))

    async def ready(self) -> None:
        """Wait until it is there.

        Raises:
            WorkerError: it is not to be had.
        """
        try:
            await self._reader.readexactly(len(_READY))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerError("the server from which workers are forked has ended") from error
        self.free = True

    async def do(self, piece: tuple[Any, ...]) -> Any:
        """Have it do a piece of work, and bring back what came of it.

        Raises:
            WorkerError: it died.
            Exception: what the work raised.
        """
        self.free = False
        try:
            self._writer.write(framed(piece))
            (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            if length > LARGEST:
                raise WorkerError(f"it brought back more than {LARGEST // 2**20} MiB")
            brought = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerError("its process ended in the middle of it") from error
        self.served += 1
        self.free = True
        failed, result = pickle.loads(brought)  # noqa: S301  # from a process of our own, by its own socket
        if failed:
            raise result
        return result

    async def end(self) -> None:
        """End it, and wait until it has ended."""
        self._child.end()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_TO_END_S):
                while await self._reader.read(LARGEST):
                    pass
        self._writer.close()


class WorkerProcesses(Struct):
    """At most so many processes, each forked when there is work for it and all others have some."""

    _tasks_each: int
    _budgets: BudgetServer
    _places: asyncio.Semaphore
    _idle: list[_Worker] = field(default_factory=list)
    _all: list[_Worker] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def running(cls, count: int, *, tasks_each: int) -> AsyncIterator[Self]:
        """Have at most so many, and end them so that none outlives what is done with them.

        Args:
            count: how many.
            tasks_each: pieces of work after which a process is replaced.
        """
        forkserver.begin()
        async with serving() as budgets:
            processes = cls(tasks_each, budgets, asyncio.Semaphore(count))
            try:
                yield processes
            finally:
                await asyncio.gather(*(worker.end() for worker in processes._all))

    async def run(self, work: Callable[..., T], *arguments: object, budget: Budget) -> T:
        """Have a process do a piece of work, given the arguments and last of all its `RemoteBudget`.

        Waiting for a process costs the target none of its time.

        Raises:
            DeadlineError: it was late, and its process was ended.
            WorkerError: its process died.
        """
        async with budget.paused():
            await self._places.acquire()
        try:
            worker = await self._free()
            try:
                async with budget.paused():
                    if not worker.free:
                        await worker.ready()
                with self._budgets.lend(budget, budget.put_off_s) as access:
                    async with asyncio.timeout_at(budget.deadline + budget.put_off_s + _GRACE_S):
                        result: T = await worker.do((work, access, arguments))
            except TimeoutError:
                raise DeadlineError from None
            except MemoryError:
                raise WorkerError(f"it wanted more than {MOST_MEMORY // 2**20} MiB of memory") from None
            finally:
                await self._give_back(worker)
            return result
        finally:
            self._places.release()

    async def _free(self) -> _Worker:
        """One that has nothing to do: the one that had last, whose memory is still at hand; or one that is forked."""
        if self._idle:
            return self._idle.pop()
        worker = await _Worker.forked()
        self._all.append(worker)
        return worker

    async def _give_back(self, worker: _Worker) -> None:
        if worker.free and worker.served < self._tasks_each:
            self._idle.append(worker)
        else:
            self._all.remove(worker)
            await worker.end()


def serve(channel: socket.socket) -> None:
    """Be a worker: do what is asked until nobody asks any more."""
    bound_memory()
    with channel, channel.makefile("rb") as asked:
        channel.sendall(_READY)
        while head := asked.read(LENGTH.size):
            work, access, arguments = pickle.loads(asked.read(*LENGTH.unpack(head)))  # noqa: S301  # from who forked us
            channel.sendall(_done(work, access, arguments))


def _done(work: Callable[..., Any], access: Access, arguments: tuple[Any, ...]) -> bytes:
    try:
        with RemoteBudget.of(access) as budget:
            return framed((False, work(*arguments, budget)))
    except MemoryError:
        # The error itself holds on to what took it.
        return framed((True, MemoryError()))
    except Exception as error:  # noqa: BLE001  # it is raised where the work was asked for
        error.__traceback__ = error.__context__ = error.__cause__ = None
        with contextlib.suppress(Exception):
            pickle.loads(pickle.dumps(error))  # noqa: S301  # whether it can be read where it goes
            return framed((True, error))
        return framed((True, WorkerError(f"{type(error).__name__}: {error}")))


def bound_memory() -> None:
    """Hold this process to `MOST_MEMORY`: the kernel then refuses more, which raises MemoryError."""
    threading.stack_size(_STACK)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def start_forkserver() -> None:
    """Start the server from which workers are forked, and wait until it can; starting it twice does nothing."""
    child = forkserver.spawn("scanner.dispatch.workers:serve")
    with child.channel:
        child.channel.recv(len(_READY))
        child.end()
