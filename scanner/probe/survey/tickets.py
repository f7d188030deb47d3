"""Session tickets, asked for where a policy judges them: under which key they are made, and Ticketbleed.

A ticket is the server's secret, and is not opened. Its form tells under which key it was made: the usual ones begin
with the key's name (RFC 5077 section 4), and end with a MAC that anybody can make whose key is zeros.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from tlslite.api import HandshakeSettings, TLSConnection  # type: ignore[import-untyped]  # it ships no types
from tlslite.constants import ContentType, ExtensionType, HandshakeType  # type: ignore[import-untyped]  # no types
from tlslite.extensions import SessionTicketExtension  # type: ignore[import-untyped]  # it ships no types
from tlslite.messages import ClientHello, RecordHeader3  # type: ignore[import-untyped]  # it ships no types
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, Ticketbleed, TicketKey
from scanner.probe import iana
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.flight_reader import TOTAL_LIMIT
from scanner.probe.survey.full_handshake import (
    CIPHERS,
    Buffers,
    OtherwiseError,
    completed,
    speakable,
    speakable_groups,
    tickets_of_tls13,
)
from scanner.probe.survey.hello import WIRE_VERSIONS, Offer, to_wire

_EXCHANGES: Final = {
    "RSA": "rsa", "DHE_RSA": "dhe_rsa", "ECDHE_RSA": "ecdhe_rsa", "ECDHE_ECDSA": "ecdhe_ecdsa",
}  # fmt: skip
_SMALLEST_KEY, _LARGEST_KEY = 512, 4096
_NAME_BYTES: Final = 16
_MACS: Final = (("sha256", 32), ("sha1", 20))
"""The MACs at the end of tickets: of OpenSSL's form, and of GnuTLS's older one."""
_SHORT_ID: Final = 16
"""Bytes of the session id that is sent: any number will do that is no 32."""
_ID_AT: Final = 43
"""Where a ServerHello has the length of its session id, behind the headers, the version and the random."""
_LOOKS: Final = 2
_HEADER: Final = 5


async def ticket_before_tls13(
    client: HelloClient, protocol: Protocol, suites: Iterable[str], server_name: str | None
) -> bytes | Failure:
    """A ticket of a version up to TLS 1.2, by a handshake of its own; empty where none is issued."""
    return await _asked(client, partial(_ticket, protocol=protocol, suites=tuple(suites), server_name=server_name))


async def ticket_of_tls13(
    client: HelloClient, suites: Iterable[int], groups: Iterable[int], server_name: str | None
) -> bytes | Failure:
    """A ticket of TLS 1.3, by a handshake of its own; empty where none is issued."""
    ciphers, usable = speakable(Protocol.TLS1_3, tuple(suites)), speakable_groups(tuple(groups))
    if not ciphers or not usable:
        return Failure.of(FailureReason.UNSUPPORTED, "no handshake that the library could make is accepted")

    async def talk(stream: TcpStream) -> bytes:
        tickets = await tickets_of_tls13(stream, server_name, ciphers, usable[0])
        return bytes(tickets[0].ticket) if tickets else b""

    return await _asked(client, talk)


async def _asked(client: HelloClient, talk: Any) -> bytes | Failure:
    try:
        found: bytes | Failure = await client.converse(talk)
    except OtherwiseError as error:
        return Failure.of(FailureReason.HANDSHAKE_FAILED, f"no handshake was completed: {error}")
    return found


def key_of(first: bytes, second: bytes) -> str:
    """What two tickets of two connections tell of their key: its name, or a `TicketKey`."""
    if not first or not second:
        return TicketKey.NO_TICKETS
    if made_with_zeros(first) and made_with_zeros(second):
        return TicketKey.ZEROS
    alike = first[:_NAME_BYTES] == second[:_NAME_BYTES] and first != second
    return first[:_NAME_BYTES].hex() if alike and len(first) > _NAME_BYTES else TicketKey.NAMELESS


def made_with_zeros(ticket: bytes) -> bool:
    """Whether a ticket's MAC is the one that a key of zeros makes, whatever its length (RFC 2104 section 2)."""
    return any(
        len(ticket) > size + _NAME_BYTES
        and hmac.compare_digest(hmac.digest(bytes(size), ticket[:-size], hashing), ticket[-size:])
        for hashing, size in _MACS
    )


async def ticketbleed(
    client: HelloClient, offer: Offer, suites: Iterable[str], server_name: str | None
) -> Attempt[Ticketbleed]:
    """Whether a short session id, sent with a ticket, comes back with bytes of the server's behind it, twice."""
    seen: list[bool] = []
    for _ in range(_LOOKS):
        ticket = await ticket_before_tls13(client, offer.highest, suites, server_name)
        if isinstance(ticket, Failure):
            return Attempt(failure=ticket)
        if not ticket:
            return Attempt.ok(Ticketbleed.NO_TICKETS)
        sent = os.urandom(_SHORT_ID)
        echoed = await client.converse(partial(_echo, hello=resuming(offer, sent, ticket)))
        if isinstance(echoed, Failure):
            return Attempt(failure=echoed)
        if echoed == sent:
            return Attempt.ok(Ticketbleed.NOT_VULNERABLE)
        seen.append(echoed.startswith(sent))
    return _judged(seen)


def _judged(leaked: Sequence[bool]) -> Attempt[Ticketbleed]:
    if all(leaked):
        return Attempt.ok(Ticketbleed.VULNERABLE)
    if any(leaked):
        return Attempt.failed(FailureReason.INCONSISTENT, "one of two session ids came back longer than it was sent")
    return Attempt.failed(FailureReason.HANDSHAKE_FAILED, "no session was resumed by its ticket")


def resuming(offer: Offer, session_id: bytes, ticket: bytes) -> bytes:
    """The hello of an offer, with a session id and a ticket."""
    hello = ClientHello().parse(Parser(bytearray(to_wire(offer)[_HEADER + 1 :])))
    hello.session_id = bytearray(session_id)
    others = [item for item in hello.extensions or () if item.extType != ExtensionType.session_ticket]
    hello.extensions = [*others, SessionTicketExtension().create(bytearray(ticket))]
    body = bytes(hello.write())
    version = WIRE_VERSIONS[Protocol.TLS1_0]
    return bytes(RecordHeader3().create(version, ContentType.handshake, len(body)).write()) + body


async def _echo(stream: TcpStream, *, hello: bytes) -> bytes:
    """The session id of the ServerHello; empty where there is none, or the server refuses."""
    await stream.send(hello)
    heard = b""
    while len(heard) <= _ID_AT or len(heard) <= _ID_AT + heard[_ID_AT]:
        data = await stream.receive()
        heard += data
        if not data or heard[0] != ContentType.handshake or len(heard) > TOTAL_LIMIT:
            return b""
    return heard[_ID_AT + 1 : _ID_AT + 1 + heard[_ID_AT]] if heard[_HEADER] == HandshakeType.server_hello else b""


async def _ticket(stream: TcpStream, *, protocol: Protocol, suites: tuple[str, ...], server_name: str | None) -> bytes:
    buffers = Buffers()
    connection = TLSConnection(buffers)
    settings = _settings(protocol, suites)
    steps = connection.handshakeClientCert(settings=settings, serverName=server_name, async_=True)
    await completed(steps, stream, buffers)
    return bytes(connection.tls_1_0_tickets[0].ticket) if connection.tls_1_0_tickets else b""


def doable(suites: Iterable[str]) -> tuple[str, ...]:
    """Those of the suites with which the library can make a handshake up to TLS 1.2."""
    found = [(name, *name.removeprefix("TLS_").partition("_WITH_")[::2]) for name in suites]
    return tuple(
        name
        for name, exchange, cipher in found
        if exchange in _EXCHANGES and any(mark in f"_{cipher}_" for mark in CIPHERS)
    )


def codes_of(suites: Iterable[str]) -> list[int]:
    """The code points of suites."""
    known = {item.name: code for code, item in iana.cipher_suites().items()}
    return [known[name] for name in suites if name in known]


def _settings(protocol: Protocol, suites: Iterable[str]) -> Any:
    parts = [name.removeprefix("TLS_").partition("_WITH_")[::2] for name in suites]
    settings = HandshakeSettings()
    settings.minVersion = settings.maxVersion = WIRE_VERSIONS[protocol]
    settings.versions = [WIRE_VERSIONS[protocol]]
    found = (next((ours for mark, ours in CIPHERS.items() if mark in f"_{cipher}_"), None) for _, cipher in parts)
    settings.cipherNames = list(dict.fromkeys(cipher for cipher in found if cipher))
    settings.keyExchangeNames = list(dict.fromkeys(_EXCHANGES[exchange] for exchange, _ in parts))
    settings.macNames = ["sha", "sha256", "sha384", "aead", "md5"]
    settings.minKeySize, settings.maxKeySize = _SMALLEST_KEY, _LARGEST_KEY
    settings.use_heartbeat_extension = False
    settings.useExperimentalTackExtension = False
    settings.certificate_compression_receive = []
    return settings
