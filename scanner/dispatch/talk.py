"""Messages between a process and those that it had forked, over their socket. Both ends are ours, of one version."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any, Final, Self

LENGTH: Final = struct.Struct("!I")
"""What comes before each message: its length."""
LARGEST: Final = 2**26
"""Bytes of one message. What hostile servers send is bounded long before."""


def framed(message: tuple[Any, ...]) -> bytes:
    """A message as it goes over the socket."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(data)) + data


class Talk:
    """One end of the talk, in an event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, channel: socket.socket) -> Self:
        """Begin."""
        return cls(*await asyncio.open_connection(sock=channel))

    def say(self, *message: Any) -> None:
        """Send a message. To an end that is gone nothing is sent, which `heard` tells."""
        if not self._writer.is_closing():
            self._writer.write(framed(message))

    async def sent(self) -> None:
        """Wait until the other end takes what was said."""
        await self._writer.drain()

    async def heard(self) -> AsyncIterator[tuple[Any, ...]]:
        """Each message of the other end, until that is gone."""
        try:
            while True:
                (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
                if length > LARGEST:
                    return
                yield pickle.loads(await self._reader.readexactly(length))  # noqa: S301  # from a process of our own
        except (asyncio.IncompleteReadError, OSError):
            return

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
