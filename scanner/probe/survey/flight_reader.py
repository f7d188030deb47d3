"""Records read into an answer, without any I/O, and without trusting a byte of them.

`FlightReader.feed` takes bytes as they come and returns a result once there is one. All that is kept is bounded: a
record by the protocol, a handshake message and the whole of what is read by the limits below.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field, structs
from tlslite.constants import (  # type: ignore[import-untyped]  # it ships no types
    AlertDescription,
    AlertLevel,
    ContentType,
    HandshakeType,
    SSL2HandshakeType,
)
from tlslite.messages import (  # type: ignore[import-untyped]  # it ships no types
    Alert,
    CertificateStatus,
    RecordHeader2,
    ServerHello2,
)
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe.survey.hello import WIRE_VERSIONS
from scanner.probe.survey.server_flight import (
    HelloResult,
    MalformedError,
    Refusal,
    ServerFlight,
    certificate_chain,
    key_exchange,
    server_hello,
)
from scanner.untrusted import printable

RECORD_LIMIT: Final = 2**14 + 2048
"""Bytes in a record (RFC 5246 section 6.2.3)."""
MESSAGE_LIMIT: Final = 2**17
"""Bytes in a handshake message: certificate chains of a hundred kilobytes pass."""
TOTAL_LIMIT: Final = 2**18
"""Bytes read over one connection."""
IDLE_LIMIT: Final = 32
"""Records and messages without any meaning: empty ones, warnings, requests for a hello that has been sent."""

_HEADER: Final = 5
_SSL2_HEADER: Final = 2
_SSL2_LONG_HEADER: Final = 3
_OCSP: Final = 1
_SSL2_ERROR: Final = b"\x80\x03\x00"  # a message of three bytes, which is an error
_TLS_MAJOR: Final = 3
_MESSAGE_HEAD: Final = 4
_ALERT: Final = 2
_LATER: Final = frozenset({ContentType.application_data, ContentType.heartbeat})
"""Records of TLS with which no server begins; who does speaks TLS all the same."""


def _lower(error: Exception) -> str:
    """What the parser says is wrong, as part of a sentence; an error without words has the name of its type."""
    text = str(error) or type(error).__name__
    return text[:1].lower() + text[1:]


class FlightReader(Struct):
    """Reads one server's answer to one hello. `whole` is whether to go on after the ServerHello (TLS 1.2 and older)."""

    ssl2: bool = False
    whole: bool = True
    _buffer: bytearray = field(default_factory=bytearray)
    _alerts: bytearray = field(default_factory=bytearray)
    _messages: bytearray = field(default_factory=bytearray)
    _total: int = 0
    _answer: ServerFlight | None = None
    _warning: Refusal | None = None
    _idle: int = 0

    def feed(self, data: bytes) -> HelloResult | None:
        """Take what arrived; return the outcome, or None where more is needed."""
        self._total += len(data)
        self._buffer += data
        try:
            outcome = self._step()
        except MalformedError as error:
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
        # Both may be cut into records at any byte. By hand, for the same reason as records.
        waiting = self._messages
        if kind == ContentType.alert:
            self._alerts += record
        else:
            waiting += record
        while len(self._alerts) >= _ALERT:
            body = self._alerts[:_ALERT]
            del self._alerts[:_ALERT]
            if (outcome := self._alert(body)) is not None:
                return outcome
        while len(waiting) >= _MESSAGE_HEAD:
            end = _MESSAGE_HEAD + int.from_bytes(waiting[1:_MESSAGE_HEAD])
            if len(waiting) < end:
                break
            message = waiting[:end]
            del waiting[:end]
            if (outcome := self._handshake(message)) is not None:
                return outcome
        if len(waiting) > _HEADER and int.from_bytes(waiting[1:_MESSAGE_HEAD]) > MESSAGE_LIMIT:
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
                raise MalformedError(reason)
            self._answer = server_hello(bytes(message[_MESSAGE_HEAD:]))
            done = self._answer.protocol is Protocol.TLS1_3 or not self.whole
            return self._answer if done else None
        if kind == HandshakeType.server_hello_done:
            return structs.replace(self._answer, whole=True)
        if kind == HandshakeType.certificate:
            self._answer = structs.replace(self._answer, chain=certificate_chain(bytes(message[1:])))
        elif kind == HandshakeType.certificate_status:
            status = CertificateStatus().parse(body)
            if status.status_type == _OCSP:
                self._answer = structs.replace(self._answer, staple=bytes(status.ocsp))
        elif kind == HandshakeType.server_key_exchange:
            # Nothing that is asked about comes after it.
            return structs.replace(key_exchange(self._answer, body), whole=True)
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
            raise MalformedError(reason)
        chain = (bytes(hello.certificate),) if hello.certificate else ()
        return ServerFlight(Protocol.SSL2, tuple(hello.ciphers), chain=chain)
