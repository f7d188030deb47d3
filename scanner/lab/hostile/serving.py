"""Serves the hostile behaviours, each at a loopback address of its own, so that what limits one limits no other."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import ssl
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct, structs

from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from scanner.lab.hostile.behaviour import READ, Behaviour, Setting, Visit
from scanner.lab.hostile.certificates import certificates
from scanner.lab.hostile.http import HTTP, bomb
from scanner.lab.hostile.starttls import STARTTLS
from scanner.lab.hostile.tcp import TCP
from scanner.lab.hostile.tls import TLS

HOST: Final = "hostile.lab.example"
GOOD: Final = "good"
"""The name under which a good server stands among them."""
_FIRST_ADDRESS: Final = ipaddress.IPv4Address("127.66.0.1")
_PAGE: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nStrict-Transport-Security: max-age=31536000\r\n"
    b"Content-Length: 4\r\nConnection: close\r\n\r\nfine"
)


class HostileServer(Struct, frozen=True):
    """Where a behaviour can be met."""

    name: str
    host: str
    address: str
    port: int
    starttls: str | None


def behaviours() -> tuple[Behaviour, ...]:
    """Every behaviour, in the order of the stages."""
    return (*TCP, *TLS, *certificates(HOST), *STARTTLS, *HTTP)


class _Good:
    """The TLS of the good server, and the page that it shows."""

    def __init__(self, folder: Path) -> None:
        authority = CertificateAuthority(datetime.now(UTC).replace(microsecond=0))
        names = (HOST, f"*.{HOST}")
        identity = authority.issue(CertificateRecipe(key="ecdsa", names=names), HOST)
        (folder / "ca.pem").write_bytes(authority.root.chain_pem)
        pem = folder / "good.pem"
        pem.write_bytes(identity.pem)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.chain = tuple(one.public_bytes(Encoding.DER) for one in identity.chain)

    @staticmethod
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_PAGE)
            await writer.drain()
        writer.close()


class _Hostile:
    """One behaviour, and the connections to it."""

    def __init__(self, behaviour: Behaviour, setting: Setting) -> None:
        self._behaviour, self._setting = behaviour, setting
        self._seen = self._open = 0

    async def visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._seen += 1
        visit = Visit(self._seen, self._open, reader, writer, self._setting)
        self._open += 1
        try:
            await self._behaviour.serve(visit)
        except (OSError, ssl.SSLError):
            pass  # the client left
        finally:
            self._open -= 1
            writer.close()


async def serve(folder: Path, only: Sequence[str] = ()) -> None:
    """Serve them until standard input ends; where they are is told in one line of JSON on standard output."""
    good = _Good(folder)
    chosen = [item for item in behaviours() if not only or item.name in only]
    bomb()
    async with contextlib.AsyncExitStack() as stack:
        behind = await asyncio.start_server(good.page, "127.0.0.1", 0, ssl=good.context, limit=READ, backlog=512)
        await stack.enter_async_context(behind)
        setting = Setting(HOST, good.context, good.chain, behind.sockets[0].getsockname()[1])
        already = [HostileServer(GOOD, f"{GOOD}.{HOST}", "127.0.0.1", setting.good_port, None)]
        for number, item in enumerate(chosen):
            address = str(_FIRST_ADDRESS + number)
            server = await asyncio.start_server(
                _Hostile(item, setting).visited,
                address,
                0,
                ssl=good.context if item.tls else None,
                limit=READ,
                backlog=512,
            )
            await stack.enter_async_context(server)
            port = server.sockets[0].getsockname()[1]
            already.append(HostileServer(item.name, f"{item.name}.{HOST}", address, port, item.starttls))
        sys.stdout.write(json.dumps([structs.asdict(item) for item in already]) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
