"""What a server says to a hello before it needs another message, and how its messages are read.

Not a byte of it is trusted: `flight_reader` makes messages of bytes, within limits, and catches what a parser raises.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from msgspec import Struct, structs
from tlslite.constants import (  # type: ignore[import-untyped]  # it ships no types
    TLS_1_3_HRR,
    AlertDescription,
    CipherSuite,
    ExtensionType,
)
from tlslite.messages import ServerHello, ServerKeyExchange  # type: ignore[import-untyped]  # it ships no types
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure, Protocol
from scanner.probe import iana
from scanner.probe.survey.hello import SIGNED_CERTIFICATE_TIMESTAMP, WIRE_VERSIONS
from scanner.untrusted import printable

CHAIN_LIMIT: Final = 32
"""Certificates in a chain."""

_PROTOCOLS: Final = {version: protocol for protocol, version in WIRE_VERSIONS.items()}
_NAMED_CURVE: Final = 3
_VERSION: Final = 2
_RANDOM: Final = 32
_RETRY: Final = bytes(TLS_1_3_HRR)

# tlslite-ng reads a ServerKeyExchange by the suite, and knows some suites only. All suites of one key exchange have the
# same form, so each is read as the one that it knows (RFC 5246 section 7.4.3, RFC 8422 section 5.4).
_READ_AS: Final = {
    "ECDHE_RSA": CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
    "ECDHE_ECDSA": CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
    "ECDH_anon": CipherSuite.TLS_ECDH_ANON_WITH_AES_128_CBC_SHA,
    "DHE_RSA": CipherSuite.TLS_DHE_RSA_WITH_AES_128_CBC_SHA,
    "DHE_RSA_EXPORT": CipherSuite.TLS_DHE_RSA_WITH_AES_128_CBC_SHA,
    "DHE_DSS": CipherSuite.TLS_DHE_DSS_WITH_AES_128_CBC_SHA,
    "DHE_DSS_EXPORT": CipherSuite.TLS_DHE_DSS_WITH_AES_128_CBC_SHA,
    "DHE_DSS_EXPORT1024": CipherSuite.TLS_DHE_DSS_WITH_AES_128_CBC_SHA,
    "DH_anon": CipherSuite.TLS_DH_ANON_WITH_AES_128_CBC_SHA,
    "DH_anon_EXPORT": CipherSuite.TLS_DH_ANON_WITH_AES_128_CBC_SHA,
}


class ServerFlight(Struct, frozen=True):
    """A hello answered by a ServerHello: the server's first flight, up to TLS 1.2; in TLS 1.3 the ServerHello alone.

    `retry` marks a HelloRetryRequest. `group` is the code point of the group chosen, `dh_prime` and `dh_generator` are
    of a finite-field exchange, `scheme` is the code point with which the key exchange is signed (TLS 1.2), `public` the
    ephemeral key itself, `chain` and `staple` DER as received, `scts` how many signed certificate timestamps came in
    the extension `sct_list`. `whole` is set where all of the flight was read.
    """

    protocol: Protocol
    suites: tuple[int, ...]
    retry: bool = False
    group: int | None = None
    dh_prime: int | None = None
    dh_generator: int | None = None
    scheme: int | None = None
    public: bytes = b""
    extensions: frozenset[int] = frozenset()
    alpn: str | None = None
    compression: bool = False
    scts: int = 0
    sct_list: bytes = b""
    chain: tuple[bytes, ...] = ()
    staple: bytes | None = None
    whole: bool = False

    @property
    def suite(self) -> int:
        """The suite chosen (of SSL 2.0, where the client chooses, the first that the server has)."""
        return self.suites[0] if self.suites else 0


class Refusal(Struct, frozen=True):
    """A hello turned down: by an alert, or (None) by closing the connection, where that was found to mean the same."""

    alert: int | None

    @property
    def name(self) -> str:
        """The alert's name in RFC 8446's spelling, or its number."""
        if self.alert is None:
            return "connection closed"
        return str(AlertDescription.toRepr(self.alert) or f"alert {self.alert}")


HelloResult = ServerFlight | Refusal | Failure


class MalformedError(Exception):
    """What arrived cannot be read; the argument says what it was."""


def server_hello(message: bytes) -> ServerFlight:
    """Read a ServerHello, but not all over again where it differs from another in nothing that tells anything.

    That is its random, which is one of two kinds, and its session id. Servers of a kind answer alike.
    """
    random_end = _VERSION + _RANDOM
    retry = message[_VERSION:random_end] == _RETRY
    session_id = message[random_end : random_end + 1]
    rest = message[random_end + 1 + int.from_bytes(session_id) :]
    plain = message[:_VERSION] + (_RETRY if retry else bytes(_RANDOM)) + b"\x00" + rest
    return _read_server_hello(len(plain).to_bytes(3) + plain, retry=retry)


@lru_cache(maxsize=1024)
def _read_server_hello(message: bytes, *, retry: bool) -> ServerFlight:
    hello = ServerHello().parse(Parser(bytearray(message)))
    version = hello.server_version
    selected = hello.getExtension(ExtensionType.supported_versions)
    if selected is not None:
        version = selected.version
    protocol = _PROTOCOLS.get(version)
    if protocol is None or protocol is Protocol.SSL2:
        reason = f"a ServerHello for version {version}"
        raise MalformedError(reason)
    share = hello.getExtension(ExtensionType.key_share)
    group = None
    if share is not None:
        group = share.selected_group if retry else share.server_share and share.server_share.group
    alpn = hello.getExtension(ExtensionType.alpn)
    names = alpn.protocol_names if alpn is not None else ()
    scts = hello.getExtension(SIGNED_CERTIFICATE_TIMESTAMP)
    sct_list = bytes(scts.extData) if scts is not None and scts.extData else b""
    return ServerFlight(
        protocol,
        (hello.cipher_suite,),
        retry=retry,
        group=group,
        extensions=frozenset(extension.extType for extension in hello.extensions or ()),
        alpn=printable(bytes(names[0])) if names else None,
        compression=hello.compression_method != 0,
        scts=count_scts(sct_list),
        sct_list=sct_list,
    )


def count_scts(sct_list: bytes) -> int:
    """How many signed certificate timestamps the body of the extension holds (RFC 6962 section 3.3).

    One that is malformed holds none: no client breaks a handshake off for that.
    """
    if not sct_list:
        return 0
    count = 0
    try:
        timestamps = Parser(Parser(bytearray(sct_list)).getVarBytes(2))
        while timestamps.getRemainingLength():
            timestamps.getVarBytes(2)
            count += 1
    except SyntaxError:  # the library's word for bytes that are not in their form
        return 0
    return count


@lru_cache(maxsize=64)
def certificate_chain(message: bytes) -> tuple[bytes, ...]:
    """Cut the message into certificates. It is the same again and again from one server.

    By the library's codec rather than its Certificate class: that one reads each certificate too, and fails on kinds
    of key that it does not know.
    """
    body = Parser(bytearray(message))
    body.startLengthCheck(3)
    certificates = Parser(body.getVarBytes(3))
    body.stopLengthCheck()
    chain: list[bytes] = []
    while certificates.getRemainingLength() and len(chain) < CHAIN_LIMIT:
        chain.append(bytes(certificates.getVarBytes(3)))
    return tuple(chain)


def key_exchange(answer: ServerFlight, body: Parser) -> ServerFlight:
    """The flight with what its ServerKeyExchange says; as it was where that has a form that names no group."""
    suite = iana.cipher_suites().get(answer.suite)
    read_as = _READ_AS.get(suite.key_exchange) if suite is not None else None
    if read_as is None:
        return answer  # with a pre-shared key, or by RSA for export: it has a form of its own, and no group
    if read_as in CipherSuite.ecdhAllSuites and len(body.bytes) > _NAMED_CURVE and body.bytes[3] != _NAMED_CURVE:
        return answer  # a curve spelled out (RFC 4492 section 5.4): it has no name to report
    message = ServerKeyExchange(read_as, WIRE_VERSIONS[answer.protocol]).parse(body)
    scheme = (
        message.hashAlg << 8 | message.signAlg if message.signature and answer.protocol is Protocol.TLS1_2 else None
    )
    prime = message.dh_p or None
    generator = message.dh_g if prime is not None else None
    public = bytes(message.ecdh_Ys) or (message.dh_Ys.to_bytes((message.dh_Ys.bit_length() + 7) // 8) if prime else b"")
    return structs.replace(
        answer, group=message.named_curve, dh_prime=prime, dh_generator=generator, scheme=scheme, public=public
    )
