"""The plain-text preludes after which a connection is upgraded to TLS, for every protocol of `StartTls`.

Each speaks only as much as is needed to get there, reads bounded answers, and fails with `PreludeError`, whose failure
says what the server did instead. `Link` is the connection under it: bytes out, bytes in, nothing unbounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Self
from xml.sax.saxutils import quoteattr

from scanner.evidence import Failure, FailureReason
from scanner.inventory import StartTls

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


class Link:
    """A TCP connection. The caller bounds its time with `asyncio.timeout`; what it holds is bounded here.

    It waits for its socket itself: the event loop's own calls look at the address again, and ask for an answer that
    cannot have come yet, which took a third of the time that a question of the survey's takes.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._pending = bytearray()

    @classmethod
    async def open(cls, ip: str, port: int) -> Self:
        """Connect to an address, given as a literal: no name is resolved.

        Raises:
            OSError: the connection was refused, is unreachable, …
        """
        family, kind, protocol, address = _socket_address(ip, port)
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)  # noqa: FBT003  # the standard library's signature
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = cls(opened)
            code = opened.connect_ex(address)
            if code in _UNDER_WAY:
                await link._writable()
                code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except BaseException:
            opened.close()
            raise
        if code:
            opened.close()
            raise OSError(code, os.strerror(code))
        return link

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
        while (end := self._pending.find(b"\n")) < 0:
            if len(self._pending) > LINE_LIMIT:
                raise PreludeError(FailureReason.TOO_LARGE, f"a line of more than {LINE_LIMIT} bytes")
            await self._fill()
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

    def close(self) -> None:
        """Close it; safe to call again."""
        self._socket.close()

    async def _fill(self) -> None:
        data = await self._more()
        if not data:
            reason = FailureReason.STARTTLS_REFUSED if self._pending else FailureReason.RESET
            raise PreludeError(reason, "closed before the upgrade to TLS")
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


async def upgrade(link: Link, protocol: StartTls, host: str) -> None:
    """Bring a fresh connection to the point at which a ClientHello is expected. `host` is the name asked for.

    Raises:
        PreludeError: the server refuses, speaks something else, or says more than is reasonable.
        OSError: the connection broke.
    """
    await _PRELUDES[protocol](link, host)


async def _smtp(link: Link, _: str) -> None:
    await _reply(link, b"220")
    await link.send(b"EHLO scanner.invalid\r\n")
    await _reply(link, b"250")
    await link.send(b"STARTTLS\r\n")
    await _reply(link, b"220")


async def _ftp(link: Link, _: str) -> None:
    await _reply(link, b"220")
    await link.send(b"AUTH TLS\r\n")
    await _reply(link, b"234")


async def _reply(link: Link, code: bytes) -> None:
    """Read a reply of one or several lines (RFC 5321 section 4.2.1, RFC 959 section 4.2) that has to have `code`."""
    first = await link.line()
    line = first
    for _ in range(LINES_LIMIT):
        if line[:3] == first[:3] and line[3:4] != b"-":
            break
        line = await link.line()
    else:
        raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")
    if first[:3] != code:
        raise _refused(first)


async def _pop3(link: Link, _: str) -> None:
    _expect(await link.line(), b"+OK")
    await link.send(b"STLS\r\n")
    _expect(await link.line(), b"+OK")


async def _imap(link: Link, _: str) -> None:
    _expect(await link.line(), b"* OK")
    await link.send(b"a1 STARTTLS\r\n")
    for _line in range(LINES_LIMIT):
        line = await link.line()
        if not line.startswith(b"*"):
            _expect(line, b"a1 OK")
            return
    raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")


async def _xmpp(link: Link, host: str) -> None:
    await _xmpp_stream(link, host, "jabber:client")


async def _xmpp_server(link: Link, host: str) -> None:
    await _xmpp_stream(link, host, "jabber:server")


async def _xmpp_stream(link: Link, host: str, namespace: str) -> None:
    opening = (
        f"<?xml version='1.0'?><stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams' "
        f"to={quoteattr(host)} version='1.0'>"
    )
    await link.send(opening.encode())
    features = await link.through(b"</stream:features>", b"<stream:features/>", b"</stream:error>", b"</stream:stream>")
    if b"urn:ietf:params:xml:ns:xmpp-tls" not in features:
        raise _refused(features[-LINE_LIMIT:])
    await link.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = await link.through(b">")
    if b"<proceed" not in answer:
        raise _refused(answer)
    if not answer.endswith(b"/>"):
        await link.through(b"</proceed>")


# RFC 4511 section 4.14.1: LDAPMessage 1 with an ExtendedRequest for 1.3.6.1.4.1.1466.20037.
_LDAP_OID: Final = b"1.3.6.1.4.1.1466.20037"
_LDAP_REQUEST: Final = (
    bytes([0x30, 7 + len(_LDAP_OID), 0x02, 1, 1, 0x77, 2 + len(_LDAP_OID), 0x80, len(_LDAP_OID)]) + _LDAP_OID
)
_LDAP_EXTENDED_RESPONSE: Final = b"\x78"
_LDAP_SUCCESS: Final = b"\x0a\x01\x00"
_BER_LONG: Final = 0x80
_BER_SEQUENCE: Final = 0x30


async def _ldap(link: Link, _: str) -> None:
    await link.send(_LDAP_REQUEST)
    tag, length = await link.exactly(2)
    if tag != _BER_SEQUENCE:
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the answer is no LDAP message")
    if length >= _BER_LONG:
        length = int.from_bytes(await link.exactly(length - _BER_LONG), "big")
    message = await link.exactly(length)
    # After the message number comes the response with its length, then the result code.
    response = message[3:]
    start = 2 if response[1:2] < bytes([_BER_LONG]) else 2 + response[1] - _BER_LONG
    if response[:1] != _LDAP_EXTENDED_RESPONSE or response[start : start + 3] != _LDAP_SUCCESS:
        code = response[start + 2] if len(response) > start + 2 else "none"
        raise PreludeError(FailureReason.STARTTLS_REFUSED, f"LDAP result code {code}")


# MS-RDPBCGR section 2.2.1.1: TPKT, X.224 connection request, negotiation request for TLS and for CredSSP over TLS.
_RDP_REQUEST: Final = bytes.fromhex("030000130ee000000000000100080003000000")
_TPKT_BYTES: Final = 4
_TPKT_VERSION: Final = 3
_RDP_NEGOTIATION: Final = 7  # offset of the negotiation response behind the X.224 connection confirm
_RDP_RESPONSE: Final = 2


async def _rdp(link: Link, _: str) -> None:
    await link.send(_RDP_REQUEST)
    header = await link.exactly(_TPKT_BYTES)
    if header[0] != _TPKT_VERSION:
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the answer is no RDP connection confirm")
    body = await link.exactly(max(0, int.from_bytes(header[2:4], "big") - _TPKT_BYTES))
    if body[_RDP_NEGOTIATION : _RDP_NEGOTIATION + 1] != bytes([_RDP_RESPONSE]) or not any(body[_RDP_NEGOTIATION + 4 :]):
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the server chose RDP's own security")


_POSTGRES_REQUEST: Final = bytes.fromhex("0000000804d2162f")  # SSLRequest of PostgreSQL's frontend protocol


async def _postgres(link: Link, _: str) -> None:
    await link.send(_POSTGRES_REQUEST)
    answer = await link.exactly(1)
    if answer != b"S":
        raise _refused(answer)


def _expect(line: bytes, beginning: bytes) -> None:
    if not line.startswith(beginning):
        raise _refused(line)


def _refused(answer: bytes) -> PreludeError:
    return PreludeError(FailureReason.STARTTLS_REFUSED, f"the server answered {answer.decode('utf-8', 'replace')}")


_PRELUDES: Final[Mapping[StartTls, Callable[[Link, str], Awaitable[None]]]] = MappingProxyType(
    {
        StartTls.SMTP: _smtp,
        StartTls.FTP: _ftp,
        StartTls.POP3: _pop3,
        StartTls.IMAP: _imap,
        StartTls.XMPP: _xmpp,
        StartTls.XMPP_SERVER: _xmpp_server,
        StartTls.LDAP: _ldap,
        StartTls.RDP: _rdp,
        StartTls.POSTGRES: _postgres,
    }
)
