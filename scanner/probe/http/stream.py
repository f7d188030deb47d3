"""The connections under HTTP: TCP to an address that is given as such, and TLS over any connection.

httpcore's own go through a library that fits any event loop, which took half of the time that a request takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpcore

from scanner.probe.net.starttls import CHUNK, Link

_END: Final = "UNEXPECTED_EOF_WHILE_READING"
"""What OpenSSL says where a server ends the connection without saying so."""


@contextlib.contextmanager
def _told_as(timed_out: type[Exception], failed: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise timed_out from error
    except OSError as error:
        raise failed from error


class TcpStream(httpcore.AsyncNetworkStream):
    """A plain connection."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    async def open(
        cls,
        ip: str,
        port: int,
        timeout: float | None,  # noqa: ASYNC109  # as httpcore has it
    ) -> TcpStream:
        """Connect to an address, given as a literal.

        Raises:
            httpcore.ConnectTimeout, httpcore.ConnectError: that failed; the cause says why.
        """
        with _told_as(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                return cls(await Link.open(ip, port))

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
    ) -> bytes:
        """Some bytes; empty at the end of the connection."""
        with _told_as(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                return await self._link.receive(min(max_bytes, CHUNK))

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
    ) -> None:
        """Send all of `buffer`."""
        with _told_as(httpcore.WriteTimeout, httpcore.WriteError):
            async with asyncio.timeout(timeout):
                await self._link.send(buffer)

    async def aclose(self) -> None:
        """Close it."""
        self._link.close()

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002  # there is nothing that is asked for
        """What httpcore asks a connection for."""
        return None


class TlsStream(httpcore.AsyncNetworkStream):
    """A TLS connection over another one."""

    def __init__(
        self, under: httpcore.AsyncNetworkStream, client: Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]
    ) -> None:
        self._under = under
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = client(self._incoming, self._outgoing)

    @classmethod
    async def over(
        cls,
        under: httpcore.AsyncNetworkStream,
        client: Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject],
        timeout: float | None,  # noqa: ASYNC109  # as httpcore has it
    ) -> TlsStream:
        """Make the handshake of the client that is given, which reads and writes by the two buffers.

        Raises:
            httpcore.ConnectTimeout, httpcore.NetworkError: that failed; the cause says why, where there is one.
        """
        stream = cls(under, client)
        try:
            with _told_as(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    whole = await stream._done(stream._client.do_handshake)
        except BaseException:
            await under.aclose()
            raise
        if not whole:
            await under.aclose()
            raise httpcore.ConnectError
        return stream

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
    ) -> bytes:
        """Some bytes; empty at the end of the connection."""
        read: list[bytes] = []
        with _told_as(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                await self._done(lambda: read.append(self._client.read(max_bytes)))
        return b"".join(read)

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
    ) -> None:
        """Send all of `buffer`."""
        with _told_as(httpcore.WriteTimeout, httpcore.WriteError):
            async with asyncio.timeout(timeout):
                if not await self._done(lambda: self._client.write(buffer)):
                    raise httpcore.WriteError

    async def _done(self, step: Callable[[], object]) -> bool:
        """Take one step, with what it has to send and to receive; false where the connection ends instead."""
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._under.read(CHUNK)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError as error:
                if isinstance(error, ssl.SSLEOFError) or _END in (error.strerror or ""):
                    return False
                raise
            else:
                await self._flush()
                return True

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._under.write(self._outgoing.read())

    async def aclose(self) -> None:
        """Close it."""
        await self._under.aclose()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks a connection for."""
        return self._client if info == "ssl_object" else None
