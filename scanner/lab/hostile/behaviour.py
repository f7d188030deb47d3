"""What a hostile server is: a name, what it does with each connection, and what must be said of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from msgspec import Struct

Status = Literal["assessed", "partial", "unreachable"]
_NO_LINGER: Final = struct.pack("ii", 1, 0)
READ: Final = 65_536


class Setting(Struct, frozen=True):
    """What all of them have at hand: the name that they are asked for, and a good server's context, chain and port."""

    host: str
    context: ssl.SSLContext
    chain: tuple[bytes, ...]
    good_port: int


class Visit(Struct, frozen=True):
    """One connection: which it is (from 1), how many others are open, and its two ends."""

    number: int
    others: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    setting: Setting

    async def say(self, data: bytes) -> None:
        """Send, and wait until there is room for more."""
        self.writer.write(data)
        await self.writer.drain()

    async def repeat(self, data: bytes, pause_s: float = 0.002) -> None:
        """Send the same without end, as fast as leaves others of this process their turn."""
        while True:
            await self.say(data)
            await asyncio.sleep(pause_s)

    async def drip(self, data: bytes, pause_s: float = 0.2) -> None:
        """Send one byte at a time."""
        for value in data:
            await self.say(bytes([value]))
            await asyncio.sleep(pause_s)

    async def hear(self) -> bytes:
        """What the client says next."""
        return await self.reader.read(READ)

    async def hear_request(self) -> bytes:
        """The head of a request of HTTP/1."""
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return await self.reader.readuntil(b"\r\n\r\n")
        return b""

    async def silence(self) -> None:
        """Say nothing until the client leaves."""
        while await self.reader.read(READ):
            pass

    def reset(self) -> None:
        """End the connection by a reset."""
        end: socket.socket = self.writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.writer.transport.abort()

    async def pass_on(self) -> None:
        """Be a good server: TLS, and a page."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.setting.good_port)

        async def along(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(READ):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        try:
            await asyncio.gather(along(self.reader, writer), along(reader, self.writer))
        finally:
            writer.close()


Serve = Callable[[Visit], Awaitable[None]]


class Behaviour(Struct, frozen=True, kw_only=True):
    """One hostile server.

    `serve` is what it does with each connection, after the TLS handshake where `tls` is set. `told` is a regular
    expression for what must be said of it somewhere: the reason of its failures, or an observation. `passes` are the
    first parts of the ids of rules that may pass, because what they rest on is seen.
    """

    name: str
    description: str
    serve: Serve
    told: str
    statuses: tuple[Status, ...]
    passes: tuple[str, ...] = ()
    tls: bool = False
    starttls: str | None = None


_TLS_RULES: Final = ("comp", "proto", "cipher", "kex", "vuln", "cert", "integrity", "dns")


def http(name: str, description: str, serve: Serve, told: str, *, more: tuple[str, ...] = ()) -> Behaviour:
    """One whose TLS is good, and whose HTTP is not."""
    return Behaviour(
        name=f"http-{name}",
        description=description,
        serve=serve,
        told=told,
        statuses=("assessed", "partial"),
        passes=(*_TLS_RULES, "https", *more),
        tls=True,
    )
