"""What a TLS server says, put together byte by byte so that anything in it may be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tlslite.constants import ContentType, ExtensionType, HandshakeType  # type: ignore[import-untyped]  # it ships no types
from tlslite.messages import ClientHello  # type: ignore[import-untyped]  # it ships no types
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]  # it ships no types

_HEADER: Final = 5
_TLS1_2: Final = (3, 3)
_USUAL: Final = (0x009C, 0x002F, 0xC02F)
"""Suites by RSA key transport first: a flight with them ends with the certificate."""


def record(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    """A record, whose length may be told otherwise."""
    return bytes([kind, 3, 3]) + (len(body) if length is None else length).to_bytes(2) + body


def message(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    """A handshake message, whose length may be told otherwise."""
    return bytes([kind]) + (len(body) if length is None else length).to_bytes(3) + body


def alert(description: int, level: int = 2) -> bytes:
    """An alert."""
    return record(ContentType.alert, bytes([level, description]))


def server_hello(
    suite: int, *, version: bytes = b"\x03\x03", random: bytes = bytes(32), extensions: bytes = b""
) -> bytes:
    """A ServerHello, as a message."""
    tail = len(extensions).to_bytes(2) + extensions if extensions else b""
    return message(HandshakeType.server_hello, version + random + b"\x00" + suite.to_bytes(2) + b"\x00" + tail)


def certificate(chain: Sequence[bytes]) -> bytes:
    """A Certificate message of TLS 1.2."""
    entries = b"".join(len(one).to_bytes(3) + one for one in chain)
    return message(HandshakeType.certificate, len(entries).to_bytes(3) + entries)


def handshake(*messages: bytes) -> bytes:
    """Messages in as many records as they need."""
    data = b"".join(messages)
    return b"".join(record(ContentType.handshake, data[at : at + 16_384]) for at in range(0, len(data), 16_384))


def flight(suite: int, chain: Sequence[bytes]) -> bytes:
    """A whole first flight of TLS 1.2 by RSA key transport."""
    return handshake(server_hello(suite), certificate(chain), message(HandshakeType.server_hello_done, b""))


def suites_of(hello: bytes) -> list[int]:
    """The suites that a hello offers; none where it offers no TLS 1.2, or cannot be read."""
    try:
        read = ClientHello().parse(Parser(bytearray(hello[_HEADER + 1 :])))
        versions = read.getExtension(ExtensionType.supported_versions)
    except (SyntaxError, IndexError, ValueError):
        return []
    speaks = _TLS1_2 in versions.versions if versions else tuple(read.client_version) == _TLS1_2
    return list(read.cipher_suites) if speaks else []


def offers_tls13(hello: bytes) -> bool:
    """Whether a hello offers TLS 1.3."""
    try:
        versions = (
            ClientHello().parse(Parser(bytearray(hello[_HEADER + 1 :]))).getExtension(ExtensionType.supported_versions)
        )
    except (SyntaxError, IndexError, ValueError):
        return False
    return versions is not None and (3, 4) in versions.versions


def usual(hello: bytes) -> int | None:
    """A suite out of a hello that a server of TLS 1.2 would choose; None where it has to refuse."""
    return next((suite for suite in _USUAL if suite in suites_of(hello)), None)
