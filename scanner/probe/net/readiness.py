"""When a socket can be read from or written to.

An event loop registers a socket for each wait, and takes it back afterwards: for one question and its answer that is
four calls of the system, and the objects around them, a fifth of what the survey's question takes. Where the system has
epoll, a socket is registered here once, for as long as it is open, and the loop watches the epoll. Elsewhere the loop
does it all.

It is told once that something has changed (edge-triggered): that there may be something to read is believed until
reading finds nothing.
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import Final, Protocol
from weakref import WeakKeyDictionary

_MOST: Final = 256
"""Sockets that are heard of at once; of others the loop tells in its next round."""


class Readiness(Protocol):
    """One socket's. One task at a time may wait for each of the two."""

    async def readable(self) -> None:
        """Wait until there may be something to read, be it the end or an error."""
        ...

    async def writable(self) -> None:
        """Wait until it may be written to, or is connected, or has failed to be."""
        ...

    def read_all(self) -> None:
        """Reading found nothing."""
        ...

    def written_full(self) -> None:
        """Writing found no room."""
        ...

    def end(self) -> None:
        """The socket is about to be closed or given away; safe to call again."""
        ...


class _ByEpoll:
    """By an epoll that it shares with others of its loop."""

    __slots__ = ("_number", "_reading", "_to_read", "_to_write", "_watch", "_writing")

    def __init__(self, watch: _Watch, number: int) -> None:
        self._watch: _Watch | None = watch
        self._number = number
        self._to_read = self._to_write = False
        self._reading: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None

    async def readable(self) -> None:
        if self._to_read:
            # Who sends without end would keep the loop from all others, and from the clock.
            await asyncio.sleep(0)
        while not self._to_read:
            self._reading = asyncio.get_running_loop().create_future()
            await self._reading

    async def writable(self) -> None:
        while not self._to_write:
            self._writing = asyncio.get_running_loop().create_future()
            await self._writing

    def read_all(self) -> None:
        self._to_read = False

    def written_full(self) -> None:
        self._to_write = False

    def told(self, events: int) -> None:
        """Something has changed. An end or an error is both: whoever reads or writes finds out."""
        if events & ~select.EPOLLOUT:
            self._to_read = True
            _wake(self._reading)
        if events & ~(select.EPOLLIN | select.EPOLLRDHUP):
            self._to_write = True
            _wake(self._writing)

    def end(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.ended(self._number)


class _Watch:
    """The epoll of a loop. It knows nothing of the loop, which would else be kept by the table of all."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, _ByEpoll] = {}

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop look."""
        loop.add_reader(self._epoll.fileno(), self._look)

    def begun(self, number: int) -> _ByEpoll:
        """Watch one more."""
        self._epoll.register(number, select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET)
        watched = self._watched[number] = _ByEpoll(self, number)
        return watched

    def ended(self, number: int) -> None:
        """Watch it no more."""
        del self._watched[number]
        self._epoll.unregister(number)

    def _look(self) -> None:
        for number, events in self._epoll.poll(0, _MOST):
            watched = self._watched.get(number)
            if watched is not None:
                watched.told(events)


class _ByLoop:
    """By the event loop itself."""

    def __init__(self, number: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._number = number

    async def readable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_reader(self._number, _wake, ready)
        try:
            await ready
        finally:
            self._loop.remove_reader(self._number)

    async def writable(self) -> None:
        ready = self._loop.create_future()
        self._loop.add_writer(self._number, _wake, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._number)

    def read_all(self) -> None:
        """Each wait asks anew."""

    def written_full(self) -> None:
        """The same."""

    def end(self) -> None:
        """Nothing is watched between two waits."""


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)


_HAS_EPOLL: Final = hasattr(select, "epoll")
_watches: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch]] = WeakKeyDictionary()


def readiness_of(connected: socket.socket) -> Readiness:
    """What tells of a socket, in the loop that runs: one that is connected, or has begun to be.

    It has to be ended before the socket is closed.
    """
    if not _HAS_EPOLL:
        return _ByLoop(connected.fileno())
    loop = asyncio.get_running_loop()
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = _Watch()
        watch.begin(loop)
    return watch.begun(connected.fileno())
