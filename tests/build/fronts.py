"""What stands in front of servers and looks at each hello before it decides who answers it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from tlslite.constants import ExtensionType
from tlslite.messages import ClientHello
from tlslite.utils.codec import Parser

Route = Callable[[bytes], int | bytes]
"""The port of who answers a hello, or the bytes that are said in place of an answer."""
_HEADER = 6


class Front:
    """Passes each connection on to who should answer its hello."""

    def __init__(self, route: Route) -> None:
        self._route = route

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[int]:
        """Stand on a port of loopback."""
        async with await asyncio.start_server(self._pass_on, "127.0.0.1", 0) as listening:
            yield listening.sockets[0].getsockname()[1]

    async def _pass_on(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        hello = await client.read(65_536)
        route = self._route(hello)
        if isinstance(route, bytes):
            back.write(route)
            back.close()
            return
        server, on = await asyncio.open_connection("127.0.0.1", route)
        on.write(hello)
        await asyncio.gather(_along(client, on), _along(server, back))


async def _along(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


def read_hello(record: bytes) -> ClientHello | None:
    """The ClientHello of one record; None where it is none."""
    with contextlib.suppress(SyntaxError, ValueError, IndexError):
        return ClientHello().parse(Parser(bytearray(record[_HEADER : 5 + int.from_bytes(record[3:5])])))
    return None


def offers_tls13(record: bytes) -> bool:
    """Whether a hello offers TLS 1.3."""
    hello = read_hello(record)
    versions = hello.getExtension(ExtensionType.supported_versions) if hello is not None else None
    return versions is not None and (3, 4) in versions.versions


def names_a_server(record: bytes) -> bool:
    """Whether a hello has a server name."""
    hello = read_hello(record)
    return hello is not None and hello.getExtension(ExtensionType.server_name) is not None


def offers_heartbeats(record: bytes) -> bool:
    """Whether a hello has the extension of RFC 6520."""
    hello = read_hello(record)
    return hello is not None and hello.getExtension(ExtensionType.heartbeat) is not None


def asks_for_a_staple(record: bytes) -> bool:
    """Whether a hello asks for the certificate's status (RFC 6066 section 8)."""
    hello = read_hello(record)
    return hello is not None and hello.getExtension(ExtensionType.status_request) is not None


def takes_signatures_by_ecdsa(record: bytes) -> bool:
    """Whether a hello says that certificates may be signed by ECDSA with SHA-256."""
    hello = read_hello(record)
    schemes = hello.getExtension(ExtensionType.signature_algorithms) if hello is not None else None
    return schemes is not None and (4, 3) in schemes.sigalgs
