"""The connections under HTTP: TCP to an address that is given as such, a proxy's tunnel, and TLS over either."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final, Protocol

from scanner.probe.http.tls import HandshakeNotes, watched_client
from scanner.probe.net.connection import CHUNK

_END: Final = "UNEXPECTED_EOF_WHILE_READING"
"""What OpenSSL says where a server ends the connection without saying so."""


class Connection(Protocol):
    """Bytes out, bytes in. The caller bounds the time of each call."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            OSError: the connection broke.
        """
        ...

    async def receive(self) -> bytes:
        """Some bytes; empty at the end of the connection.

        Raises:
            OSError: the connection broke.
        """
        ...

    def close(self) -> None:
        """Close it; safe to call again."""
        ...


class ClosedInHandshakeError(ConnectionError):
    """The server ended the connection before TLS was agreed on."""


class TlsConnection:
    """TLS over another connection. `notes` is where it is noted that the server asked for a client certificate."""

    def __init__(self, under: Connection, context: ssl.SSLContext, server_hostname: str, notes: HandshakeNotes) -> None:
        self._under = under
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = watched_client(context, self._incoming, self._outgoing, server_hostname, notes)

    async def handshake(self) -> str | None:
        """Make the handshake; tells the application protocol that was agreed on.

        Raises:
            OSError: that failed (`ssl.SSLError` where TLS says why).
        """
        if not await self._done(self._client.do_handshake):
            raise ClosedInHandshakeError
        return self._client.selected_alpn_protocol()

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        if not await self._done(lambda: self._client.write(data)):
            raise ConnectionResetError

    async def receive(self) -> bytes:
        """Some bytes; empty at the end of the connection."""
        read: list[bytes] = []
        await self._done(lambda: read.append(self._client.receive(CHUNK)))
        return b"".join(read)

    def close(self) -> None:
        """Close it; safe to call again."""
        self._under.close()

    async def _done(self, step: Callable[[], object]) -> bool:
        """Take one step, with what it has to send and to receive; false where the connection ends instead."""
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._under.receive()
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
            await self._under.send(self._outgoing.read())
