"""One handshake to its end, by tlslite-ng over a connection that the survey opened.

It is for what a ServerHello does not show: whether suites are completed that a server chose, and the certificates of
servers that take nothing which the handshake engine's OpenSSL can do. The library works on buffers; no socket is its.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec import Struct
from tlslite.api import HandshakeSettings, TLSConnection  # type: ignore[import-untyped]  # it ships no types
from tlslite.constants import (  # type: ignore[import-untyped]  # it ships no types
    CertificateStatusType,
    ContentType,
    ExtensionType,
    GroupName,
    HandshakeType,
)
from tlslite.errors import TLSAbruptCloseError, TLSRemoteAlert  # type: ignore[import-untyped]  # it ships no types
from tlslite.extensions import StatusRequestExtension, TLSExtension  # type: ignore[import-untyped]  # it ships no types
from tlslite.messages import ClientHello, NewSessionTicket  # type: ignore[import-untyped]  # it ships no types
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.flight_reader import TOTAL_LIMIT
from scanner.probe.survey.hello import SIGNED_CERTIFICATE_TIMESTAMP, WIRE_VERSIONS
from scanner.probe.survey.server_flight import CHAIN_LIMIT, ServerFlight, count_scts

CIPHERS: Final = {
    "_AES_256_GCM_": "aes256gcm",
    "_AES_128_GCM_": "aes128gcm",
    "_CHACHA20_POLY1305_": "chacha20-poly1305",
    "_AES_128_CCM_8": "aes128ccm_8",
    "_AES_256_CCM_8": "aes256ccm_8",
    "_AES_128_CCM": "aes128ccm",
    "_AES_256_CCM": "aes256ccm",
    "_AES_256_CBC_": "aes256",
    "_AES_128_CBC_": "aes128",
    "_3DES_EDE_CBC_": "3des",
    "_RC4_128_": "rc4",
}
"""The ciphers that tlslite-ng can do, by what suites with them are called."""
_SMALLEST_KEY: Final = 512
_LARGEST_KEY: Final = 4096
"""Bits of a key that is computed with: what a hostile server's key may take of the time of all targets."""
_WAITS_FOR_BYTES: Final = 0
_CERTIFICATE_HEAD: Final = 4
_EARLY_DATA: Final = 42
_TICKET_S: Final = 1.0
"""How long to wait for a session ticket, before something is said and again afterwards."""


class OtherwiseError(Exception):
    """A handshake was not completed; the argument says why."""


class Handshake(Struct, frozen=True):
    """How a handshake came out. `flight` is what the server showed of itself, as far as it came.

    `failure` is None where the handshake was completed; `refused` tells that it was the server that broke it off.
    `asked` is whether a client certificate was asked for, without which it may have done so.
    """

    flight: ServerFlight
    failure: Failure | None = None
    refused: bool = False
    asked: bool = False


def speakable(protocol: Protocol, suites: Sequence[int]) -> tuple[str, ...]:
    """The ciphers, by the library's names, of those suites that it can complete by RSA key transport, or in TLS 1.3."""
    names = [iana.cipher_suites()[code] for code in suites if code in iana.cipher_suites()]
    wanted = [suite.name for suite in names if protocol is Protocol.TLS1_3 or suite.key_exchange == "RSA"]
    found = (next((ours for mark, ours in CIPHERS.items() if mark in name), None) for name in wanted)
    return tuple(dict.fromkeys(cipher for cipher in found if cipher is not None))


def speakable_groups(groups: Sequence[int]) -> tuple[int, ...]:
    """The groups of TLS 1.3, in the order given, that the library can do."""
    known = {*GroupName.allEC, *GroupName.allFF, *GroupName.allKEM}
    return tuple(code for code in groups if code in known)


async def handshake(
    stream: TcpStream, protocol: Protocol, server_name: str | None, ciphers: Sequence[str], group: int | None = None
) -> Handshake:
    """Make a handshake over `stream`: by RSA key transport up to TLS 1.2, in TLS 1.3 with that group.

    Raises:
        OSError: the connection broke.
    """
    buffers = Buffers()
    connection = _Connection(buffers)
    steps = connection.handshakeClientCert(
        settings=_settings(protocol, ciphers, group), serverName=server_name, async_=True
    )
    failure, refused = None, False
    received = 0
    while True:
        try:
            step = next(steps)
        except StopIteration:
            connection.close()
            break
        except Exception as error:  # noqa: BLE001  # the library is fed by a hostile host, and raises many types
            failure = Failure.of(FailureReason.HANDSHAKE_FAILED, str(error) or type(error).__name__)
            refused = isinstance(error, TLSRemoteAlert | TLSAbruptCloseError)
            break
        await stream.send(buffers.taken())
        if step == _WAITS_FOR_BYTES:
            data = await stream.receive()
            received += len(data)
            if received > TOTAL_LIMIT:
                failure = Failure.of(FailureReason.TOO_LARGE, f"more than {TOTAL_LIMIT} bytes without an end")
                break
            buffers.give(data)
    # What is left to send is an alert: a peer that resets a connection right after the handshake has completed it.
    with contextlib.suppress(OSError):
        await stream.send(buffers.taken())
    return Handshake(connection.flight(protocol), failure, refused=refused, asked=connection.asked)


async def early_data_in_ticket(
    stream: TcpStream, server_name: str | None, ciphers: Sequence[str], group: int
) -> int | None:
    """Make a handshake of TLS 1.3, and read what its session ticket allows of early data, in bytes; None without any.

    Raises:
        OSError: the connection broke.
    """
    sizes = [_early_data_of(ticket) for ticket in await tickets_of_tls13(stream, server_name, ciphers, group)]
    return max(sizes) if sizes else None


async def tickets_of_tls13(
    stream: TcpStream, server_name: str | None, ciphers: Sequence[str], group: int
) -> list[NewSessionTicket]:
    """Make a handshake of TLS 1.3, and wait for session tickets; none where none come in time, or it fails.

    Raises:
        OSError: the connection broke.
    """
    buffers = Buffers()
    connection = _Connection(buffers)
    settings = _settings(Protocol.TLS1_3, ciphers, group)
    asked, received, ends = False, 0, 0.0
    steps = connection.handshakeClientCert(settings=settings, serverName=server_name, async_=True)
    loop = asyncio.get_running_loop()
    while not connection.tickets and received <= TOTAL_LIMIT:
        try:
            step = next(steps)
        except StopIteration:
            # The handshake is done: tickets are read along with application data, of which there need not be any.
            steps, step = connection.readAsync(max=1, min=1), None
            ends = ends or loop.time() + 2 * _TICKET_S
        except Exception:  # noqa: BLE001  # the library is fed by a hostile host, and raises many types
            break
        await stream.send(buffers.taken())
        if step != _WAITS_FOR_BYTES:
            continue
        try:
            async with asyncio.timeout_at(ends - (0 if asked else _TICKET_S) if ends else None):
                data = await stream.receive()
        except TimeoutError:
            if not ends or asked:
                break
            # Some send tickets with the first bytes after the handshake alone.
            for _ in connection.writeAsync(b"\r\n"):
                pass
            asked = True
            continue
        received += len(data)
        buffers.give(data)
    return list(connection.tickets)


def _early_data_of(ticket: NewSessionTicket) -> int:
    """Its max_early_data_size (RFC 8446 section 4.6.1), 0 where it has none."""
    found = next((item for item in ticket.extensions if item.extType == _EARLY_DATA), None)
    return int.from_bytes(found.extData) if found is not None else 0


def _settings(protocol: Protocol, ciphers: Sequence[str], group: int | None) -> HandshakeSettings:
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = WIRE_VERSIONS[protocol]
    settings.versions = [WIRE_VERSIONS[protocol]]
    settings.cipherNames = list(ciphers)
    settings.macNames = ["sha", "sha256", "sha384", "aead", "md5"]
    settings.minKeySize, settings.maxKeySize = _SMALLEST_KEY, _LARGEST_KEY
    settings.certificate_compression_receive = []
    settings.use_heartbeat_extension = False
    settings.useExperimentalTackExtension = False
    if protocol is not Protocol.TLS1_3:
        settings.keyExchangeNames = ["rsa"]
    if group is not None:
        name = GroupName.toRepr(group)
        settings.keyShares = [name]
        settings.dhGroups = [name] if group in GroupName.allFF else []
        settings.eccCurves = [] if settings.dhGroups else [name]
    return settings


async def completed(steps: Any, stream: TcpStream, buffers: Buffers) -> None:
    """Run a handshake of the library's to its end.

    Raises:
        OSError: the connection broke.
        OtherwiseError: the handshake was not completed.
    """
    try:
        await driven(steps, stream, buffers)
    except OSError:
        raise
    except Exception as error:  # the library is fed by a hostile host, and raises many types
        raise OtherwiseError(str(error) or type(error).__name__) from error


async def driven(steps: Any, stream: TcpStream, buffers: Buffers) -> Any:
    """Run a generator of the library's to its end, or to its first result, over the stream.

    Raises:
        OSError: the connection broke.
        OtherwiseError: the server sends without an end.
    """
    received = 0
    for step in steps:
        await stream.send(buffers.taken())
        if step not in {0, 1}:
            return step
        if step == _WAITS_FOR_BYTES:
            data = await stream.receive()
            received += len(data)
            if received > TOTAL_LIMIT:
                text = f"more than {TOTAL_LIMIT} bytes without an end"
                raise OtherwiseError(text)
            buffers.give(data)
    await stream.send(buffers.taken())
    return None


class Buffers:
    """What the library takes for a socket: bytes in, bytes out."""

    def __init__(self) -> None:
        self._incoming, self._outgoing = bytearray(), bytearray()
        self._ended = False

    def give(self, data: bytes) -> None:
        """Bytes that arrived; none is the end of the connection."""
        self._incoming += data
        self._ended = not data

    def taken(self) -> bytes:
        """What is to be sent."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def recv(self, most: int) -> bytes:
        """As of a socket that does not block."""
        if not self._incoming and not self._ended:
            raise BlockingIOError(errno.EWOULDBLOCK, "nothing has arrived")
        data = bytes(self._incoming[:most])
        del self._incoming[:most]
        return data

    def send(self, data: bytes) -> int:
        """As of a socket whose buffer is never full."""
        self._outgoing += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        """As of a socket."""
        self._outgoing += data

    def close(self) -> None:
        """The connection is closed by whoever opened it."""


class _Connection(TLSConnection):  # type: ignore[misc]
    """A client that asks for a staple and timestamps, and keeps the Certificate message even if it cannot read it."""

    def __init__(self, buffers: Buffers) -> None:
        super().__init__(buffers)
        self.asked = False
        self._certificate = b""
        self._suite = 0

    def flight(self, protocol: Protocol) -> ServerFlight:
        """What the server showed; certificates of TLS 1.3 only."""
        suites = (self.session.cipherSuite,) if self.session is not None and self.session.cipherSuite else ()
        if protocol is not Protocol.TLS1_3 or not self._certificate:
            return ServerFlight(protocol, suites)
        try:
            chain, staple, sct_list = _certificate_message(self._certificate)
        except SyntaxError:  # the library's word for bytes that are not in their form
            return ServerFlight(protocol, suites)
        scts = count_scts(sct_list)
        return ServerFlight(protocol, suites, chain=chain, staple=staple, scts=scts, sct_list=sct_list)

    def _sendMsg(self, message: Any, *arguments: Any, **options: Any) -> Iterator[Any]:  # noqa: N802
        if isinstance(message, ClientHello) and message.getExtension(ExtensionType.status_request) is None:
            extras = [
                StatusRequestExtension().create(CertificateStatusType.ocsp),
                TLSExtension(extType=SIGNED_CERTIFICATE_TIMESTAMP).create(bytearray()),
            ]
            message.extensions = [*extras, *(message.extensions or [])]
        yield from super()._sendMsg(message, *arguments, **options)

    def _getNextRecord(self) -> Iterator[Any]:  # noqa: N802
        for result in super()._getNextRecord():
            if result not in (0, 1):
                header, parser = result
                kind = parser.bytes[0] if header.type == ContentType.handshake and parser.bytes else None
                if kind == HandshakeType.certificate and not self._certificate:
                    self._certificate = bytes(parser.bytes[_CERTIFICATE_HEAD:])
                self.asked = self.asked or kind == HandshakeType.certificate_request
            yield result


def _certificate_message(body: bytes) -> tuple[tuple[bytes, ...], bytes | None, bytes]:
    """The chain of a Certificate message of TLS 1.3 (RFC 8446 section 4.4.2), and the leaf's staple and timestamps."""
    message = Parser(bytearray(body))
    message.getVarBytes(1)
    entries = Parser(message.getVarBytes(3))
    chain: list[bytes] = []
    staple, sct_list = None, b""
    while entries.getRemainingLength() and len(chain) < CHAIN_LIMIT:
        chain.append(bytes(entries.getVarBytes(3)))
        extensions = Parser(entries.getVarBytes(2))
        while extensions.getRemainingLength():
            kind, data = extensions.get(2), extensions.getVarBytes(2)
            if len(chain) == 1 and kind == ExtensionType.status_request:
                status = Parser(data)
                if status.get(1) == CertificateStatusType.ocsp:
                    staple = bytes(status.getVarBytes(3))
            elif len(chain) == 1 and kind == SIGNED_CERTIFICATE_TIMESTAMP:
                sct_list = bytes(data)
    return tuple(chain), staple, sct_list
