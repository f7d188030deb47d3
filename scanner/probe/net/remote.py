"""The budget's face for threads and for other processes: they ask over a socket, and are admitted as if they were here.

A handshake is made by a library that blocks, in a process that is ended when it is late. So what it holds is noted on
this side: when its connection to us ends, however it ended, all is given back. The talk is made of single bytes, after
the token of the budget that is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Budget, Place
from scanner.probe.net.limits import DeadlineError, SharedPort

_TOKEN_BYTES: Final = 16
_SECONDS: Final = struct.Struct("!d")
_ASK, _ASK_FIRST, _GIVE_BACK, _SLOW_DOWN = b"+", b"^", b"-", b"!"
_ADMITTED, _NO_TIME = b"1", b"0"
_PATIENCE_S: Final = 5.0
"""How long after its end an answer is waited for: whoever should give it is very busy, or gone."""


class Access(Struct, frozen=True):
    """How another process finds a budget; it crosses into it.

    `ends` is when nothing new is asked any more, in seconds of `time.monotonic`: the processes of a machine share it.
    """

    address: str
    token: bytes
    ends: float


class _Lent(Struct):
    """A budget that is lent, to end so many seconds later than the target's own, and who has come for it."""

    budget: Budget
    later_s: float
    borrowers: set[_Borrower]


class BudgetServer:
    """Admits the connections of other processes. To be used in the event loop whose budgets they are."""

    def __init__(self) -> None:
        self._lent: dict[bytes, _Lent] = {}
        self._server: asyncio.Server | None = None
        self._address = ""
        self._folder: Path | None = None

    async def start(self) -> None:
        """Begin to listen, where only who has a token is heard."""
        name = f"nightseal-{secrets.token_hex(8)}"
        if sys.platform == "linux":
            self._address = f"\0{name}"
        else:
            self._folder = Path(tempfile.mkdtemp(prefix="nightseal-"))
            self._address = str(self._folder / name)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Borrower(self._find), self._address)

    async def end(self) -> None:
        """Listen no more, and give back all that is lent."""
        if self._server is not None:
            self._server.close()
        for token in list(self._lent):
            self._end(token)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def lend(self, budget: Budget, later_s: float = 0.0) -> Iterator[Access]:
        """Lend a budget to whoever gets the access; what it holds is given back at the end.

        `later_s` is how long it was kept waiting by ourselves, which is not the target's time.
        """
        token = secrets.token_bytes(_TOKEN_BYTES)
        self._lent[token] = _Lent(budget, later_s, set())
        try:
            left_s = budget.ends + later_s - asyncio.get_running_loop().time()
            yield Access(self._address, token, time.monotonic() + left_s)
        finally:
            self._end(token)

    def _end(self, token: bytes) -> None:
        lent = self._lent.pop(token, None)
        for borrower in list(lent.borrowers) if lent else ():
            borrower.end()

    def _find(self, token: bytes) -> _Lent | None:
        return self._lent.get(token)


class _Borrower(asyncio.Protocol):
    """One connection of another process, or of a thread, that asks in a budget's name."""

    def __init__(self, find: Callable[[bytes], _Lent | None]) -> None:
        self._find = find
        self._lent: _Lent | None = None
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._held: list[Place] = []
        self._asking: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # a stream's is one
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._lent is None and not self._introduced():
            return
        while self._received and self._take():
            pass

    def _introduced(self) -> bool:
        """Whether it has told whose budget it comes for, by a token that was given."""
        if len(self._received) < _TOKEN_BYTES:
            return False
        token, self._received = self._received[:_TOKEN_BYTES], self._received[_TOKEN_BYTES:]
        self._lent = self._find(token)
        if self._lent is None:
            self.end()
            return False
        self._lent.borrowers.add(self)
        return True

    def _take(self) -> bool:
        """Do what was asked first; false where the rest of it has yet to come."""
        command, rest = self._received[:1], self._received[1:]
        if command in {_ASK, _ASK_FIRST}:
            if self._admitted_at_once():
                self._received = rest
                return True
            task = asyncio.get_running_loop().create_task(self._admit(first=command == _ASK_FIRST))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        elif command == _GIVE_BACK:
            if self._held:
                self._held.pop().give_back()
        elif command == _SLOW_DOWN:
            if len(rest) < _SECONDS.size:
                return False
            (pause_s,) = _SECONDS.unpack_from(rest)
            rest = rest[_SECONDS.size :]
            if self._lent is not None:
                self._lent.budget.slow_down(pause_s)
        else:
            self.end()
            return False
        self._received = rest
        return True

    def _admitted_at_once(self) -> bool:
        """Whether one is admitted for which nothing is waited for, as most are: a task would cost more than that."""
        assert self._lent is not None  # noqa: S101  # nothing is asked before the token
        place = self._lent.budget.place_at_once(later_s=self._lent.later_s)
        if place is None:
            return False
        self._held.append(place)
        self._say(_ADMITTED)
        return True

    async def _admit(self, *, first: bool) -> None:
        assert self._lent is not None  # noqa: S101  # nothing is asked before the token
        try:
            self._held.append(await self._lent.budget.admit(first=first, later_s=self._lent.later_s))
        except DeadlineError:
            self._say(_NO_TIME)
        else:
            self._say(_ADMITTED)

    def _say(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.end()

    def end(self) -> None:
        """Give back all that is held, and hang up; safe to call again."""
        if self._lent is not None:
            self._lent.borrowers.discard(self)
        for task in self._asking:
            task.cancel()
        while self._held:
            self._held.pop().give_back()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


class RemoteBudget:
    """A budget that is asked from a thread or from another process. Its methods block, and any thread may call them.

    `ends` is when nothing new is asked any more, in seconds of `time.monotonic`.
    """

    def __init__(self, connected: socket.socket, access: Access) -> None:
        self._socket = connected
        self._sending, self._receiving = threading.Lock(), threading.Lock()
        self._introduction = access.token
        self.ends = access.ends

    @classmethod
    @contextmanager
    def of(cls, access: Access) -> Iterator[Self]:
        """The budget that was lent."""
        with socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(_PATIENCE_S)
            connected.connect(access.address)
            yield cls(connected, access)

    @classmethod
    @contextmanager
    def alone(cls, settings: ProbeSettings, ip: str) -> Iterator[Self]:
        """The budget of a probe that runs by itself, beside nothing else, with its settings' limits."""
        ready: threading.Event = threading.Event()
        ended: list[Callable[[], object]] = []
        access: list[Access] = []

        async def serve() -> None:
            async with serving() as server:
                with server.lend(Budget.alone(settings, ip)) as lent:
                    access.append(lent)
                    over, loop = asyncio.Event(), asyncio.get_running_loop()
                    ended.append(lambda: loop.call_soon_threadsafe(over.set))
                    ready.set()
                    await over.wait()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="budget", daemon=True)
        thread.start()
        ready.wait()
        try:
            with cls.of(access[0]) as budget:
                yield budget
        finally:
            ended[0]()
            thread.join()

    @property
    def left(self) -> float:
        """Seconds until nothing new is asked any more; never negative."""
        return max(0.0, self.ends - time.monotonic())

    def admit(self, *, first: bool = False) -> None:
        """Wait until a connection may begin; it is to be given back (`give_back`).

        Raises:
            DeadlineError: there is no time for one more.
        """
        try:
            self._send(_ASK_FIRST if first else _ASK)
            with self._receiving:
                self._socket.settimeout(self.left + _PATIENCE_S)
                # All who wait here wait for the same, so it does not matter which of them an answer was meant for.
                answer = self._socket.recv(1)
        except OSError:
            raise DeadlineError from None
        if answer != _ADMITTED:
            raise DeadlineError

    def give_back(self) -> None:
        """A connection is closed."""
        with contextlib.suppress(OSError):
            self._send(_GIVE_BACK)

    def slow_down(self, pause_s: float) -> None:
        """Tell that the target's address showed a sign of load."""
        with contextlib.suppress(OSError):
            self._send(_SLOW_DOWN + _SECONDS.pack(pause_s))

    def end(self) -> None:
        """Ask nothing any more; who waits for an answer is told that there is no time."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _send(self, data: bytes) -> None:
        with self._sending:
            introduction, self._introduction = self._introduction, b""
            self._socket.sendall(introduction + data)

    def in_a_loop(self, ip: str) -> Budget:
        """The same budget for a probe that runs in an event loop of this process."""
        # Without a deadline of its own it has no last word to say before it: that has been taken off already.
        return Budget(_Remote(self), ip, asyncio.get_running_loop().time() + self.left, 0.0)


class _Remote:
    """Admits what a loop of this process asks for, by asking the budget's own process."""

    def __init__(self, budget: RemoteBudget) -> None:
        self._budget = budget

    async def admit(self, _ip: str, _ends: float, _service: SharedPort | None, *, first: bool = False) -> None:
        waiting = asyncio.ensure_future(asyncio.to_thread(self._budget.admit, first=first))
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            waiting.add_done_callback(self._not_wanted)
            raise

    def _not_wanted(self, waiting: asyncio.Future[None]) -> None:
        if not waiting.cancelled() and waiting.exception() is None:
            self._budget.give_back()

    def admit_at_once(self, _ip: str, _ends: float, _service: SharedPort | None) -> bool:
        return False

    def give_back(self, _ip: str, _service: SharedPort | None) -> None:
        self._budget.give_back()

    def slow_down(self, _ip: str, _service: SharedPort | None, pause_s: float) -> None:
        self._budget.slow_down(pause_s)


@asynccontextmanager
async def serving() -> AsyncIterator[BudgetServer]:
    """A server of budgets, for as long as it is needed."""
    server = BudgetServer()
    await server.start()
    try:
        yield server
    finally:
        await server.end()
