"""A TCP connection: bytes out, bytes in, nothing unbounded."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from functools import lru_cache
from typing import Any, Final, Self, TypeVar

from scanner.evidence import Failure, FailureReason

S = TypeVar("S", bound="TcpStream")

CHUNK: Final = 16_384
"""Bytes asked of the system at once."""
LINE_LIMIT: Final = 2_048
"""Bytes in a line of a plain-text protocol."""
LINES_LIMIT: Final = 100
"""Lines in one reply."""
BLOCK_LIMIT: Final = 16_384
"""Bytes in a reply that has no lines."""
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})
"""What connecting answers while it is going on."""


class PreludeError(Exception):
    """The connection did not get as far as TLS."""

    def __init__(self, reason: FailureReason, detail: object = "") -> None:
        self.failure = Failure.of(reason, detail)
        super().__init__(str(self.failure))


class TcpStream:
    """A TCP connection. The caller bounds its time with `asyncio.timeout`; what it holds is bounded here.

    It waits for its socket itself: the event loop's own calls look at the address again, and ask for an answer that
    cannot have come yet, which took a third of the time that a question of the survey's takes.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._pending = bytearray()

    @classmethod
    async def open(cls, ip: str, port: int, source: str | None = None) -> Self:
        """Connect to an address, given as a literal: no name is resolved. `source` is the address to connect from.

        Raises:
            OSError: the connection was refused, is unreachable, …
        """
        family, kind, protocol, address = _socket_address(ip, port)
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)  # noqa: FBT003  # the standard library's signature
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source is not None:
                opened.bind((source, 0))
            stream = cls(opened)
            code = opened.connect_ex(address)
            if code in _UNDER_WAY:
                await stream._writable()
                code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except BaseException:
            opened.close()
            raise
        if code:
            opened.close()
            raise OSError(code, os.strerror(code))
        return stream

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await self._writable()

    async def receive(self, most: int = CHUNK) -> bytes:
        """Some bytes, at most `most`; empty at the end of the connection."""
        if self._pending:
            data = bytes(self._pending[:most])
            del self._pending[:most]
            return data
        return await self._more(most)

    async def _more(self, most: int = CHUNK) -> bytes:
        while True:
            await self._readable()
            with contextlib.suppress(BlockingIOError):
                return self._socket.recv(most)

    async def _writable(self) -> None:
        ready, number = self._loop.create_future(), self._socket.fileno()
        self._loop.add_writer(number, _wake, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(number)

    async def _readable(self) -> None:
        ready, number = self._loop.create_future(), self._socket.fileno()
        self._loop.add_reader(number, _wake, ready)
        try:
            await ready
        finally:
            self._loop.remove_reader(number)

    async def line(self) -> bytes:
        """One line, without its end."""
        while (end := self._pending.find(b"\n")) < 0 and len(self._pending) <= LINE_LIMIT:
            await self._fill()
        if not 0 <= end <= LINE_LIMIT:  # whether its end has come already is chance
            raise PreludeError(FailureReason.TOO_LARGE, f"a line of more than {LINE_LIMIT} bytes")
        line = bytes(self._pending[:end]).rstrip(b"\r")
        del self._pending[: end + 1]
        return line

    async def exactly(self, size: int) -> bytes:
        """That many bytes."""
        if size > BLOCK_LIMIT:
            raise PreludeError(FailureReason.TOO_LARGE, f"a reply of {size} bytes")
        while len(self._pending) < size:
            await self._fill()
        data = bytes(self._pending[:size])
        del self._pending[:size]
        return data

    async def through(self, *marks: bytes) -> bytes:
        """Everything up to and with whichever of `marks` comes first."""
        while True:
            ends = [found + len(mark) for mark in marks if (found := self._pending.find(mark)) >= 0]
            if ends:
                return await self.exactly(min(ends))
            if len(self._pending) > BLOCK_LIMIT:
                raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {BLOCK_LIMIT} bytes")
            await self._fill()

    async def only(self, size: int) -> bytes:
        """That many bytes, and no byte more is read: what follows is somebody else's to read."""
        taken = b""
        while len(taken) < size:
            data = await self._more(size - len(taken))
            if not data:
                raise PreludeError(FailureReason.RESET, "closed within a reply")
            taken += data
        return taken

    async def head(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`, and no byte more is read."""
        taken = bytearray()
        while not taken.endswith(mark):
            if len(taken) > BLOCK_LIMIT:
                raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {BLOCK_LIMIT} bytes")
            await self._readable()
            with contextlib.suppress(BlockingIOError):
                ahead = self._socket.recv(CHUNK, socket.MSG_PEEK)
                if not ahead:
                    raise PreludeError(FailureReason.RESET, "closed within a reply")
                found = (taken + ahead).find(mark)
                taken += self._socket.recv(len(ahead) if found < 0 else found + len(mark) - len(taken))
        return bytes(taken)

    @property
    def own_address(self) -> str:
        """The IP address of this end."""
        return str(self._socket.getsockname()[0])

    def become(self, kind: type[S]) -> S:
        """The same connection, which goes on as another kind of stream; nothing may have been read ahead."""
        assert not self._pending  # noqa: S101  # what was read would be lost
        return kind(self._socket)

    def detach(self) -> socket.socket:
        """Give the socket away, to somebody who waits for it; nothing may have been read ahead."""
        assert not self._pending  # noqa: S101  # what was read would be lost
        self._socket.setblocking(True)  # noqa: FBT003  # the standard library's signature
        return self._socket

    def close(self) -> None:
        """Close it; safe to call again."""
        self._socket.close()

    async def _fill(self) -> None:
        data = await self._more()
        if not data:
            raise PreludeError(FailureReason.RESET, "closed before the upgrade to TLS")
        self._pending += data


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


@lru_cache(maxsize=1024)
def _socket_address(ip: str, port: int) -> tuple[int, int, int, tuple[Any, ...]]:
    """What the socket needs to be told: family, type, protocol and address."""
    [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
        ip, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )
    return family, kind, protocol, address


def own_address_towards(ip: str) -> str:
    """The address that this machine would connect from; nothing is sent to find out."""
    family, _, _, address = _socket_address(ip, 9)
    with socket.socket(family, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(address)
        except OSError:  # there is no way there: whoever connects will say so
            return "127.0.0.1"
        return str(unsent.getsockname()[0])
