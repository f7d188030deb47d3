"""Through a proxy: what is said to it before a server is reached (RFC 1928, RFC 9110 section 9.3.6)."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import h11
from msgspec import Struct

from scanner.evidence import Failure, FailureReason
from scanner.formats import load
from scanner.probe.http.connection import Connection, TlsConnection
from scanner.probe.http.failure import failure_of
from scanner.probe.http.messages import ProtocolError
from scanner.probe.http.tls import HandshakeNotes, verifying_context
from scanner.probe.net.connection import PreludeError, TcpStream

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_END_OF_HEAD: Final = b"\r\n\r\n"
WANTS_LOGIN: Final = "it wants a user name and password, or others than were given"
_SUCCESS: Final = range(200, 300)


class Proxy(Struct, frozen=True):
    """A proxy of the configuration. `host` may be a name."""

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read the configuration's URL, which has been checked."""
        parts = urlsplit(url)
        username = unquote(parts.username) if parts.username else None
        port = parts.port or _PORTS.get(parts.scheme, 0)
        return cls(parts.scheme, parts.hostname or "", port, username, unquote(parts.password or ""))

    @property
    def speaks_http(self) -> bool:
        """Whether it is a proxy of HTTP, which forwards plain requests itself."""
        return self.scheme in {"http", "https"}

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What a proxy of HTTP is told with each request."""
        if self.username is None:
            return ()
        credentials = base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")
        return (("Proxy-Authorization", f"Basic {credentials}"),)

    def unreachable(self, why: Failure | Exception) -> Failure:
        """That the proxy itself cannot be reached, at which address, and why: nothing is known of any server."""
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        failure = why if isinstance(why, Failure) else failure_of(why)
        detail = f"{self.scheme}://{place}: {failure.detail or failure.reason}"
        return Failure.of(FailureReason.PROXY_UNREACHABLE, detail)

    async def reached(self, stream: TcpStream) -> Connection:
        """What is to be spoken over: the connection to the proxy itself, inside TLS where its URL says so.

        Raises:
            OSError: the connection to it broke.
        """
        if self.scheme != "https":
            return stream
        secured = TlsConnection(stream, verifying_context(), self.host, HandshakeNotes())
        await secured.handshake()
        return secured

    async def tunnel(self, connection: Connection, host: str, port: int) -> None:
        """Have the proxy connect to a host, given by its name, over what `reached` gave.

        Raises:
            ProtocolError: it does not.
            OSError: the connection to it broke.
        """
        if isinstance(connection, TcpStream) and not self.speaks_http:
            await load("scanner.probe.http.socks:tunnel")(self, connection, host, port)
        else:
            await self._connect(connection, host, port)

    async def _connect(self, connection: Connection, host: str, port: int) -> None:
        machine = h11.Connection(h11.CLIENT)
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        request = h11.Request(method="CONNECT", target=authority, headers=[("Host", authority), *self.headers])
        await connection.send((machine.send(request) or b"") + (machine.send(h11.EndOfMessage()) or b""))
        try:
            while not isinstance(event := machine.next_event(), h11.Response):
                if event is h11.NEED_DATA:
                    machine.receive_data(await _answer(connection))
        except (h11.RemoteProtocolError, PreludeError) as error:
            raise refused() from error
        if event.status_code not in _SUCCESS:
            wants = f", {WANTS_LOGIN}" if event.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED else ""
            raise refused(f": {event.status_code}{wants}")


async def _answer(connection: Connection) -> bytes:
    """What the proxy answers, and nothing of the server's: one that greets first may do so in the same packet."""
    if isinstance(connection, TcpStream):
        return await connection.head(_END_OF_HEAD)
    return await connection.receive()


def refused(why: str = "") -> ProtocolError:
    """What is raised where a proxy does not connect."""
    return ProtocolError(Failure.of(FailureReason.UNREACHABLE, f"the proxy does not connect{why}"))
