"""What a server says to a hello: records read into an answer, without any I/O, and without trusting a byte of it.

`FlightReader.feed` takes bytes as they come and returns a result once there is one. All that is kept is bounded: a
record by the protocol, a handshake message and the whole of what is read by the limits below.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from tlslite.constants import (  # type: ignore[import-untyped]  # it ships no types
    TLS_1_3_HRR,
    AlertDescription,
    AlertLevel,
    CipherSuite,
    ContentType,
    ExtensionType,
    HandshakeType,
    SSL2HandshakeType,
)
from tlslite.defragmenter import Defragmenter  # type: ignore[import-untyped]  # it ships no types
from tlslite.messages import (  # type: ignore[import-untyped]  # it ships no types
    Alert,
    CertificateStatus,
    RecordHeader2,
    ServerHello,
    ServerHello2,
    ServerKeyExchange,
)
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.survey.hello import SIGNED_CERTIFICATE_TIMESTAMP, WIRE_VERSIONS
from scanner.untrusted import printable

RECORD_LIMIT: Final = 2**14 + 2048
"""Bytes in a record (RFC 5246 section 6.2.3)."""
MESSAGE_LIMIT: Final = 2**17
"""Bytes in a handshake message: certificate chains of a hundred kilobytes pass."""
TOTAL_LIMIT: Final = 2**18
"""Bytes read over one connection."""
CHAIN_LIMIT: Final = 32
"""Certificates in a chain."""
IDLE_LIMIT: Final = 32
"""Records and messages without any meaning: empty ones, warnings, requests for a hello that has been sent."""

_HEADER: Final = 5
_SSL2_HEADER: Final = 2
_SSL2_LONG_HEADER: Final = 3
_PROTOCOLS: Final = {version: protocol for protocol, version in WIRE_VERSIONS.items()}
_TLS_MAJOR: Final = 3
_NAMED_CURVE: Final = 3
_OCSP: Final = 1
_SSL2_ERROR: Final = b"\x80\x03\x00"  # a message of three bytes, which is an error
_MESSAGE_HEAD: Final = 4
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


@dataclass(frozen=True, slots=True)
class ServerFlight:
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A hello turned down: by an alert, or (None) by closing the connection, where that was found to mean the same."""

    alert: int | None

    @property
    def name(self) -> str:
        """The alert's name in RFC 8446's spelling, or its number."""
        if self.alert is None:
            return "connection closed"
        return str(AlertDescription.toRepr(self.alert) or f"alert {self.alert}")


HelloResult = ServerFlight | Refusal | Failure


class _MalformedError(Exception):
    """What arrived cannot be read; the argument says what it was."""


def _lower(error: Exception) -> str:
    """What the parser says is wrong, as part of a sentence; an error without words has the name of its type."""
    text = str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


_LATER: Final = frozenset({ContentType.application_data, ContentType.heartbeat})
"""Records of TLS with which no server begins; who does speaks TLS all the same."""


@dataclass(slots=True)
class FlightReader:
    """Reads one server's answer to one hello. `whole` is whether to go on after the ServerHello (TLS 1.2 and older)."""

    ssl2: bool = False
    whole: bool = True
    _buffer: bytearray = field(default_factory=bytearray)
    _messages: Defragmenter = field(default_factory=Defragmenter)
    _total: int = 0
    _answer: ServerFlight | None = None
    _warning: Refusal | None = None
    _idle: int = 0

    def __post_init__(self) -> None:
        self._messages.add_static_size(ContentType.alert, 2)
        self._messages.add_dynamic_size(ContentType.handshake, 1, 3)

    def feed(self, data: bytes) -> HelloResult | None:
        """Take what arrived; return the outcome, or None where more is needed."""
        self._total += len(data)
        self._buffer += data
        try:
            outcome = self._step()
        except _MalformedError as error:
            return Failure.of(FailureReason.MALFORMED, error)
        except Exception as error:  # noqa: BLE001  # the parser is fed by a hostile host, and raises many types
            return Failure.of(FailureReason.MALFORMED, f"a message that cannot be read ({_lower(error)})")
        if outcome is None and self._total > TOTAL_LIMIT:
            return Failure.of(FailureReason.TOO_LARGE, f"more than {TOTAL_LIMIT} bytes without an end")
        return outcome

    def end(self) -> HelloResult:
        """The connection was closed: what that means after all that was read before."""
        if self._warning is not None and self._answer is None:
            return self._warning
        if self._answer is not None:
            return Failure.of(FailureReason.RESET, "closed in the middle of the handshake")
        if self._total:
            return Failure.of(FailureReason.RESET, "closed after a part of an answer")
        return Failure.of(FailureReason.RESET, "closed without an answer")

    def _step(self) -> HelloResult | None:  # noqa: PLR0911  # one return for each way in which a record can end it
        while self._buffer:
            if self.ssl2 and self._buffer[0] not in {ContentType.alert, ContentType.handshake}:
                return self._ssl2_record()
            foreign = self._not_a_record()
            if foreign is not None:
                return foreign
            if len(self._buffer) < _HEADER:
                return None
            # By hand, because the library's class takes longer for these five bytes than for the message behind them.
            kind, length = self._buffer[0], int.from_bytes(self._buffer[_HEADER - 2 : _HEADER])
            if length > RECORD_LIMIT:
                return Failure.of(FailureReason.TOO_LARGE, f"a record of {length} bytes")
            end = _HEADER + length
            if len(self._buffer) < end:
                return None
            record = self._buffer[_HEADER:end]
            del self._buffer[:end]
            outcome = self._record(kind, record)
            if outcome is not None:
                return outcome
        return None

    def _not_a_record(self) -> Refusal | Failure | None:
        kind = self._buffer[0]
        if self._total == len(self._buffer) and self._buffer.startswith(_SSL2_ERROR):
            # A server of SSL 2.0 alone says so in its own language.
            return Refusal(AlertDescription.protocol_version)
        if kind in _LATER and bytes(self._buffer[1:2]) in {b"", bytes([_TLS_MAJOR])}:
            early = len(self._buffer) < _HEADER
            return None if early else Failure.of(FailureReason.MALFORMED, f"it begins with a record of type {kind}")
        if kind not in {ContentType.alert, ContentType.handshake, ContentType.change_cipher_spec}:
            return self._not_tls()
        if len(self._buffer) > 1 and self._buffer[1] != _TLS_MAJOR:
            return self._not_tls()
        return None

    def _not_tls(self) -> Failure:
        if self._answer is not None:
            return Failure.of(FailureReason.MALFORMED, "an unexpected record in the middle of the handshake")
        first_line = bytes(self._buffer[:80]).split(b"\r\n")[0]
        return Failure(FailureReason.NOT_TLS, f'the answer begins with "{printable(first_line, 80)}"')

    def _record(self, kind: int, record: bytearray) -> HelloResult | None:
        if kind not in {ContentType.alert, ContentType.handshake}:
            return Failure.of(FailureReason.MALFORMED, f"a record of type {kind} in the middle of the handshake")
        if not record and (idle := self._idled()):
            return idle
        self._messages.add_data(kind, record)
        waiting = self._messages.buffers[ContentType.handshake]
        while (message := self._messages.get_message()) is not None:
            message_kind, body = message
            outcome = self._alert(body) if message_kind == ContentType.alert else self._handshake(body)
            if outcome is not None:
                return outcome
        if len(waiting) > _HEADER and int.from_bytes(waiting[1:4], "big") > MESSAGE_LIMIT:
            return Failure.of(FailureReason.TOO_LARGE, f"a handshake message of more than {MESSAGE_LIMIT} bytes")
        return None

    def _alert(self, body: bytearray) -> HelloResult | None:
        alert = Alert().parse(Parser(body))
        refusal = Refusal(alert.description)
        if alert.level == AlertLevel.warning and alert.description != AlertDescription.close_notify:
            self._warning = refusal
            return self._idled()
        return self._warning or refusal if self._answer is None else refusal

    def _idled(self) -> Failure | None:
        """Count what means nothing: a server that sends it without end would be read for long."""
        self._idle += 1
        if self._idle <= IDLE_LIMIT:
            return None
        return Failure.of(FailureReason.TOO_LARGE, f"more than {IDLE_LIMIT} messages that mean nothing")

    def _handshake(self, message: bytearray) -> HelloResult | None:
        kind, body = message[0], Parser(message[1:])
        if kind == HandshakeType.hello_request:
            return self._idled()  # to be ignored in the middle of a handshake (RFC 5246 section 7.4.1.1)
        if self._answer is None:
            if kind != HandshakeType.server_hello:
                reason = f"handshake message {kind} in place of the ServerHello"
                raise _MalformedError(reason)
            self._answer = _server_hello(bytes(message[_MESSAGE_HEAD:]))
            done = self._answer.protocol is Protocol.TLS1_3 or not self.whole
            return self._answer if done else None
        if kind == HandshakeType.server_hello_done:
            return replace(self._answer, whole=True)
        if kind == HandshakeType.certificate:
            self._answer = replace(self._answer, chain=_certificates(bytes(message[1:])))
        elif kind == HandshakeType.certificate_status:
            status = CertificateStatus().parse(body)
            if status.status_type == _OCSP:
                self._answer = replace(self._answer, staple=bytes(status.ocsp))
        elif kind == HandshakeType.server_key_exchange:
            # Nothing that is asked about comes after it.
            return replace(_key_exchange(self._answer, body), whole=True)
        return None

    @property
    def begun(self) -> ServerFlight | None:
        """What has come of the flight so far; None before the ServerHello."""
        return self._answer

    def _ssl2_record(self) -> HelloResult | None:
        if len(self._buffer) < _SSL2_LONG_HEADER:
            return None
        header = RecordHeader2().parse(Parser(self._buffer[:_SSL2_LONG_HEADER]))
        size = _SSL2_HEADER if self._buffer[0] & 0x80 else _SSL2_LONG_HEADER
        if header.length > RECORD_LIMIT or not header.length:
            return self._not_tls()
        message = self._buffer[size : size + header.length]
        kind = message[0] if message else None
        if kind not in {None, SSL2HandshakeType.server_hello, SSL2HandshakeType.error}:
            return self._not_tls()
        if len(message) < header.length:
            return None
        if kind == SSL2HandshakeType.error:
            return Refusal(AlertDescription.handshake_failure)
        hello = ServerHello2().parse(Parser(message[1:]))
        if hello.server_version != WIRE_VERSIONS[Protocol.SSL2]:
            reason = f"an SSL 2.0 answer for version {hello.server_version}"
            raise _MalformedError(reason)
        chain = (bytes(hello.certificate),) if hello.certificate else ()
        return ServerFlight(Protocol.SSL2, tuple(hello.ciphers), chain=chain)


def _server_hello(message: bytes) -> ServerFlight:
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
        raise _MalformedError(reason)
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
def _certificates(message: bytes) -> tuple[bytes, ...]:
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


def _key_exchange(answer: ServerFlight, body: Parser) -> ServerFlight:
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
    return replace(
        answer, group=message.named_curve, dh_prime=prime, dh_generator=generator, scheme=scheme, public=public
    )
