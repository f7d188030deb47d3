"""What the survey says: a ClientHello for each offer, built from tlslite-ng's message classes.

An `Offer` is all that a hello varies in; two equal offers ask the same question.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from msgspec import Struct, structs
from tlslite.constants import CertificateStatusType, ContentType, ExtensionType  # type: ignore[import-untyped]  # it ships no types
from tlslite.extensions import (  # type: ignore[import-untyped]  # it ships no types
    ALPNExtension,
    ClientKeyShareExtension,
    ECPointFormatsExtension,
    KeyShareEntry,
    PaddingExtension,
    RenegotiationInfoExtension,
    SignatureAlgorithmsExtension,
    SNIExtension,
    StatusRequestExtension,
    SupportedGroupsExtension,
    SupportedVersionsExtension,
    TLSExtension,
)
from tlslite.messages import ClientHello, RecordHeader2, RecordHeader3  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Protocol
from scanner.probe.iana import FALLBACK_SCSV

WIRE_VERSIONS: Final[Mapping[Protocol, tuple[int, int]]] = MappingProxyType(
    {
        Protocol.SSL2: (0, 2),
        Protocol.SSL3: (3, 0),
        Protocol.TLS1_0: (3, 1),
        Protocol.TLS1_1: (3, 2),
        Protocol.TLS1_2: (3, 3),
        Protocol.TLS1_3: (3, 4),
    }
)
"""The two bytes by which each protocol is named on the wire."""

SIGNED_CERTIFICATE_TIMESTAMP: Final = 18
"""Extension of RFC 6962, which tlslite-ng does not name."""

_EMPTY_RENEGOTIATION_INFO_SCSV: Final = 0x00FF  # RFC 5746: the extension's stand-in where there are no extensions
_DEFLATE: Final = 1  # RFC 3749
_PSK_KEY_EXCHANGE_MODES: Final = 45
_PSK_DHE_KE: Final = b"\x01\x01"
_RANDOM_BYTES: Final = 32
_RECORD_LENGTH: Final = slice(3, 5)
_MESSAGE_LENGTH: Final = slice(6, 9)
_RANDOM_AT: Final = 11  # behind the headers of record and message, and the version (RFC 8446 section 4.1.2)
_SESSION_ID_AT: Final = _RANDOM_AT + _RANDOM_BYTES + 1
_SSL2_CHALLENGE_BYTES: Final = 16

# The base point of P-256 (SEC 2 version 2, section 2.4.2): a public key that is valid, whose secret nobody needs here.
_P256_BASE_POINT: Final = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_X25519: Final = 29
_SECP256R1: Final = 23
_X25519MLKEM768: Final = 0x11EC
_MLKEM768_VECTOR_BYTES: Final = 1152  # of zeros: coefficients below the modulus, as FIPS 203 section 7.2 checks
KEY_SHARE_GROUPS: Final = (_X25519, _SECP256R1, _X25519MLKEM768)
"""The groups for which a well-formed public key can be sent without computing one."""


class Offer(Struct, frozen=True):
    """One hello: what it offers, and nothing else.

    `protocols` are the versions that may be chosen, highest first; a single older version is offered as such, without
    the supported_versions extension. `server_name` is None where none is to be sent. With `key_shares` a server may
    go on to its ServerHello in TLS 1.3; without, it has to answer with a HelloRetryRequest, which costs it less.
    `small` leaves out of a hello of TLS 1.3 what a server answers in secret anyway, so that it stays short, `without`
    the extensions of those numbers. `padding` bytes are added by an extension that means nothing (RFC 7685).
    """

    protocols: tuple[Protocol, ...]
    suites: tuple[int, ...]
    groups: tuple[int, ...] = ()
    schemes: tuple[int, ...] = ()
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    key_shares: tuple[int, ...] = ()
    fallback: bool = False
    small: bool = False
    without: frozenset[int] = frozenset()
    padding: int = 0

    @property
    def highest(self) -> Protocol:
        """The highest version that may be chosen."""
        return self.protocols[0]

    @property
    def ssl2(self) -> bool:
        """Whether it is a hello of SSL 2.0, which has a form of its own."""
        return self.highest is Protocol.SSL2


def to_wire(offer: Offer) -> bytes:
    """The hello as it goes over the wire, record header included."""
    if offer.ssl2:
        hello = ClientHello(ssl2=True).create(
            WIRE_VERSIONS[Protocol.SSL2],
            bytearray(os.urandom(_SSL2_CHALLENGE_BYTES)),
            bytearray(),
            list(offer.suites),
        )
        body = bytes(hello.write())
        return bytes(RecordHeader2().create(len(body)).write()) + body
    template, lengths_at = _template(offer if offer.server_name is None else structs.replace(offer, server_name=None))
    wire = bytearray(template)
    if offer.server_name is not None and lengths_at:
        name = _encoded_name(offer.server_name)
        wire[lengths_at[-1].stop : lengths_at[-1].stop] = name  # the first of the extensions
        for place in lengths_at:
            wire[place] = (int.from_bytes(wire[place]) + len(name)).to_bytes(place.stop - place.start)
    wire[_RANDOM_AT : _RANDOM_AT + _RANDOM_BYTES] = os.urandom(_RANDOM_BYTES)
    if offer.highest is Protocol.TLS1_3:
        wire[_SESSION_ID_AT : _SESSION_ID_AT + _RANDOM_BYTES] = os.urandom(_RANDOM_BYTES)
    return bytes(wire)


@lru_cache(maxsize=256)
def _template(nameless: Offer) -> tuple[bytes, tuple[slice, ...]]:
    """A hello without a server's name, and where it has the lengths that grow with one; nowhere without extensions.

    Thousands of servers are asked the same under as many names, and to write a hello takes ten times as long as to put
    a name into it.
    """
    written = _written(nameless)
    if nameless.highest is Protocol.SSL3:
        return written, ()
    end = _SESSION_ID_AT + written[_SESSION_ID_AT - 1]
    end += 2 + int.from_bytes(written[end : end + 2])  # the suites
    end += 1 + written[end]  # the compression methods
    return written, (_RECORD_LENGTH, _MESSAGE_LENGTH, slice(end, end + 2))


def _written(offer: Offer) -> bytes:
    """A hello without a server's name, whose random and session id are zeros.

    Its keys stay the same as well. Nobody has their secrets, and no handshake is completed with them.
    """
    suites = list(offer.suites)
    if offer.fallback:
        suites.append(FALLBACK_SCSV)
    if offer.highest is Protocol.SSL3:
        suites.append(_EMPTY_RENEGOTIATION_INFO_SCSV)
    legacy = min(WIRE_VERSIONS[offer.highest], WIRE_VERSIONS[Protocol.TLS1_2])
    # A session id makes middleboxes take TLS 1.3 for a resumption of TLS 1.2 (RFC 8446 appendix D.4).
    session_id = bytearray(_RANDOM_BYTES if offer.highest is Protocol.TLS1_3 else 0)
    hello = ClientHello().create(
        legacy,
        bytearray(_RANDOM_BYTES),
        session_id,
        suites,
        extensions=_extensions(offer),
    )
    if offer.highest is not Protocol.TLS1_3:
        hello.compression_methods = [_DEFLATE, 0]
    body = bytes(hello.write())
    record_version = min(legacy, WIRE_VERSIONS[Protocol.TLS1_0])
    return bytes(RecordHeader3().create(record_version, ContentType.handshake, len(body)).write()) + body


def _extensions(offer: Offer) -> list[_Encoded] | None:
    if offer.highest is Protocol.SSL3:
        return None
    usual = _encoded(offer.protocols, offer.groups, offer.schemes, offer.alpn, small=offer.small, without=offer.without)
    extensions = [usual]
    if offer.padding:
        extensions.append(_Encoded(bytes(PaddingExtension().create(offer.padding).write())))
    if offer.highest is Protocol.TLS1_3:
        shares = ClientKeyShareExtension().create([_key_share(group) for group in offer.key_shares])
        extensions.append(_Encoded(bytes(shares.write())))
    return extensions


class _Encoded:
    """Extensions that are on the wire's form already, which saves most of the time that a hello takes to make."""

    extType: Final = None  # noqa: N815  # the name by which tlslite-ng looks for extensions to remove

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded

    def write(self) -> bytes:
        """What tlslite-ng calls to put it into a message."""
        return self._encoded


@lru_cache(maxsize=512)
def _encoded_name(server_name: str) -> bytes:
    return bytes(SNIExtension().create(bytearray(server_name.encode("ascii"))).write())


@lru_cache(maxsize=512)
def _encoded(  # noqa: PLR0913  # the key of the cache: all that these extensions vary in
    protocols: tuple[Protocol, ...],
    groups: tuple[int, ...],
    schemes: tuple[int, ...],
    alpn: tuple[str, ...],
    *,
    small: bool,
    without: frozenset[int],
) -> _Encoded:
    """All but the server's name, which differs from target to target where all else is the same."""
    extensions: list[TLSExtension] = []
    if groups:
        extensions.append(SupportedGroupsExtension().create(list(groups)))
        extensions.append(ECPointFormatsExtension().create([0]))
    if schemes:
        extensions.append(SignatureAlgorithmsExtension().create([(code >> 8, code & 0xFF) for code in schemes]))
    extensions.append(RenegotiationInfoExtension().create(bytearray()))
    if not small or protocols[0] is not Protocol.TLS1_3:
        # Even a small hello asks for these: what was not asked for could not be told to be missing.
        extensions += [
            _empty(ExtensionType.extended_master_secret),
            _empty(ExtensionType.encrypt_then_mac),
            _empty(ExtensionType.session_ticket),
            StatusRequestExtension().create(CertificateStatusType.ocsp),
            _empty(SIGNED_CERTIFICATE_TIMESTAMP),
        ]
    if alpn:
        extensions.append(ALPNExtension().create([bytearray(name.encode("ascii")) for name in alpn]))
    if protocols[0] is Protocol.TLS1_3:
        extensions += [
            SupportedVersionsExtension().create([WIRE_VERSIONS[protocol] for protocol in protocols]),
            TLSExtension(extType=_PSK_KEY_EXCHANGE_MODES).create(bytearray(_PSK_DHE_KE)),
        ]
    return _Encoded(b"".join(bytes(item.write()) for item in extensions if item.extType not in without))


def _empty(extension_type: int) -> TLSExtension:
    return TLSExtension(extType=extension_type).create(bytearray())


def _key_share(group: int) -> KeyShareEntry:
    keys = {
        _X25519: lambda: os.urandom(32),
        _SECP256R1: lambda: _P256_BASE_POINT,
        _X25519MLKEM768: lambda: bytes(_MLKEM768_VECTOR_BYTES) + os.urandom(64),
    }
    return KeyShareEntry().create(group, bytearray(keys[group]()))
