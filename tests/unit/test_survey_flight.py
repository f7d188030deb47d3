"""What servers say, and what hostile ones say: the first is read right, the second fails in a typed and bounded way."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tlslite.constants import TLS_1_3_HRR, AlertLevel, CertificateStatusType, CipherSuite, ContentType, ExtensionType
from tlslite.extensions import (
    ALPNExtension,
    HRRKeyShareExtension,
    KeyShareEntry,
    ServerKeyShareExtension,
    SrvSupportedVersionsExtension,
    TLSExtension,
)
from tlslite.messages import (
    Alert,
    CertificateStatus,
    RecordHeader2,
    ServerHello,
    ServerHello2,
    ServerHelloDone,
    ServerKeyExchange,
)

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe.survey.flight_reader import IDLE_LIMIT, MESSAGE_LIMIT, TOTAL_LIMIT, FlightReader
from scanner.probe.survey.server_flight import Refusal, ServerFlight

ECDHE = CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
DHE = CipherSuite.TLS_DHE_RSA_WITH_AES_128_GCM_SHA256
ECDHE_ARIA = 0xC060  # TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256, of which tlslite-ng has not heard


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(body).to_bytes(2, "big") + body


def handshake(*messages: bytes) -> bytes:
    return b"".join(record(ContentType.handshake, bytes(message)) for message in messages)


def server_hello(
    suite: int, *extensions: TLSExtension, version=(3, 3), compression: int = 0, random=bytes(32)
) -> bytes:
    hello = ServerHello().create(version, bytearray(random), bytearray(), suite, extensions=list(extensions))
    hello.compression_method = compression
    return bytes(hello.write())


def alert(description: int, level: int = AlertLevel.fatal) -> bytes:
    return record(ContentType.alert, bytes(Alert().create(description, level).write()))


def certificate(*chain: bytes) -> bytes:
    listed = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    body = len(listed).to_bytes(3, "big") + listed
    return b"\x0b" + len(body).to_bytes(3, "big") + body


def elliptic_exchange(group: int, suite: int = ECDHE, version=(3, 3)) -> bytes:
    message = ServerKeyExchange(suite, version).createECDH(3, group, bytearray(65))
    message.hashAlg, message.signAlg, message.signature = 4, 1, bytearray(256)
    return bytes(message.write())


def read(data: bytes, **options) -> object:
    reading = FlightReader(**options)
    return reading.feed(data) or reading.end()


def test_a_whole_flight_of_tls12():
    staple = CertificateStatus().create(CertificateStatusType.ocsp, bytearray(b"response"))
    scts = TLSExtension(extType=18).create(bytearray(b"\x00\x0a" + b"\x00\x03abc" + b"\x00\x03def"))
    flight = handshake(
        server_hello(
            ECDHE,
            ALPNExtension().create([bytearray(b"h2")]),
            TLSExtension(extType=ExtensionType.extended_master_secret).create(bytearray()),
            scts,
        ),
        certificate(b"leaf", b"intermediate"),
        staple.write(),
        elliptic_exchange(23),
        ServerHelloDone().create().write(),
    )
    assert read(flight) == ServerFlight(
        Protocol.TLS1_2,
        (ECDHE,),
        group=23,
        scheme=0x0401,
        public=bytes(65),
        extensions=frozenset({16, 18, 23}),
        alpn="h2",
        scts=2,
        sct_list=b"\x00\x0a" + b"\x00\x03abc" + b"\x00\x03def",
        chain=(b"leaf", b"intermediate"),
        staple=b"response",
        whole=True,
    )


@pytest.mark.parametrize("size", [1, 2, 5, 7, 100])
def test_it_does_not_matter_how_a_flight_is_cut(size):
    flight = handshake(server_hello(ECDHE), certificate(b"leaf"), elliptic_exchange(29))
    reading = FlightReader()
    outcomes = [reading.feed(flight[start : start + size]) for start in range(0, len(flight), size)]
    assert outcomes[:-1] == [None] * (len(outcomes) - 1)
    assert outcomes[-1] == read(flight)
    body = b"".join((server_hello(ECDHE), certificate(b"leaf"), elliptic_exchange(29)))
    fragments = b"".join(record(22, body[start : start + size]) for start in range(0, len(body), size))
    assert read(fragments) == read(flight)


def test_an_alert_may_be_cut_too_and_comes_before_a_message_that_is_not_whole():
    level, description = alert(40)[5:]
    cut = record(ContentType.alert, bytes([level])) + record(ContentType.alert, bytes([description]))
    assert read(cut) == Refusal(40)
    begun = record(ContentType.handshake, server_hello(ECDHE)[:-1])
    assert read(begun + cut) == Refusal(40)


def test_several_messages_in_one_record():
    messages = (server_hello(ECDHE), certificate(b"leaf"), elliptic_exchange(29))
    assert read(handshake(b"".join(messages))) == read(handshake(*messages))


def test_a_suite_of_which_the_library_has_not_heard_is_read_like_its_kin():
    flight = handshake(server_hello(ECDHE_ARIA), certificate(b"leaf"), elliptic_exchange(24))
    answer = read(flight)
    assert isinstance(answer, ServerFlight)
    assert (answer.suite, answer.group, answer.scheme) == (ECDHE_ARIA, 24, 0x0401)


def test_a_finite_field_exchange_shows_its_prime():
    message = ServerKeyExchange(DHE, (3, 3)).createDH(2**1023 + 9, 2, 5)
    message.hashAlg, message.signAlg, message.signature = 2, 1, bytearray(256)
    answer = read(handshake(server_hello(DHE), message.write()))
    assert isinstance(answer, ServerFlight)
    assert (answer.dh_prime, answer.scheme, answer.group) == (2**1023 + 9, 0x0201, None)


def test_a_curve_spelled_out_has_no_name():
    body = b"\x01" + bytes(80)  # explicit_prime
    message = b"\x0c" + len(body).to_bytes(3, "big") + body
    answer = read(handshake(server_hello(ECDHE), message))
    assert isinstance(answer, ServerFlight)
    assert answer.group is None


def test_before_tls12_there_is_no_signature_scheme():
    message = ServerKeyExchange(ECDHE, (3, 1)).createECDH(3, 23, bytearray(65))
    message.signature = bytearray(256)
    answer = read(handshake(server_hello(ECDHE, version=(3, 1)), message.write()))
    assert isinstance(answer, ServerFlight)
    assert (answer.protocol, answer.group, answer.scheme) == (Protocol.TLS1_0, 23, None)


def test_a_hello_retry_request_shows_suite_and_group():
    hello = server_hello(
        0x1302,
        SrvSupportedVersionsExtension().create((3, 4)),
        HRRKeyShareExtension().create(0x11EC),
        random=bytes(TLS_1_3_HRR),
    )
    answer = read(handshake(hello))
    assert answer == ServerFlight(Protocol.TLS1_3, (0x1302,), retry=True, group=0x11EC, extensions=frozenset({43, 51}))


def test_a_server_hello_of_tls13_shows_the_group_of_its_key():
    share = ServerKeyShareExtension().create(KeyShareEntry().create(29, bytearray(32)))
    answer = read(handshake(server_hello(0x1301, SrvSupportedVersionsExtension().create((3, 4)), share)))
    assert isinstance(answer, ServerFlight)
    assert (answer.protocol, answer.retry, answer.group) == (Protocol.TLS1_3, False, 29)


def test_compression_shows():
    answer = read(handshake(server_hello(ECDHE, compression=1)), whole=False)
    assert isinstance(answer, ServerFlight)
    assert answer.compression


def test_alerts_refuse():
    assert read(alert(40)) == Refusal(40)
    assert Refusal(40).name == "handshake_failure"
    assert Refusal(199).name == "alert 199"
    assert Refusal(None).name == "connection closed"


def test_a_warning_is_waited_through_and_counts_when_nothing_follows():
    warning = alert(112, AlertLevel.warning)
    answer = read(warning + handshake(server_hello(ECDHE)), whole=False)
    assert isinstance(answer, ServerFlight)
    assert read(warning) == Refusal(112)


def test_an_alert_in_the_middle_of_the_handshake_refuses():
    assert read(handshake(server_hello(ECDHE)) + alert(80)) == Refusal(80)


def test_ssl2_lists_what_it_has():
    hello = ServerHello2().create(0, 1, (0, 2), bytearray(b"leaf"), [0x010080, 0x0700C0], bytearray(16))
    body = bytes(hello.write())
    answer = read(bytes(RecordHeader2().create(len(body)).write()) + body, ssl2=True)
    assert answer == ServerFlight(Protocol.SSL2, (0x010080, 0x0700C0), chain=(b"leaf",))


def test_ssl2_is_refused_by_its_own_error_or_by_an_alert():
    assert read(b"\x80\x03\x00\x00\x01", ssl2=True) == Refusal(40)
    assert read(alert(70), ssl2=True) == Refusal(70)


@pytest.mark.parametrize(
    "text", [b"HTTP/1.1 400 Bad Request\r\n", b"220 mail ESMTP\r\n", b"SSH-2.0-x\r\n", b"\xff\x00"]
)
def test_what_is_no_record_is_no_tls(text):
    outcome = read(text)
    assert isinstance(outcome, Failure)
    assert outcome.reason is FailureReason.NOT_TLS
    assert isinstance(read(text, ssl2=True), Failure)


@pytest.mark.parametrize("kind", [23, 24])
@pytest.mark.parametrize("pieces", [1, 2, 6])
def test_a_record_with_which_no_server_begins_is_tls_all_the_same(kind, pieces):
    """Application data or a heartbeat: whoever sends it does not serve anything else on that port."""
    reader, record = FlightReader(), bytes([kind, 3, 3, 0, 2, 0, 0])
    outcomes = [reader.feed(record[at : at + 7 // pieces + 1]) for at in range(0, 7, 7 // pieces + 1)]
    (outcome,) = {item for item in outcomes if item is not None}
    assert outcome == Failure(FailureReason.MALFORMED, f"it begins with a record of type {kind}")


@pytest.mark.parametrize("text", [b"\x17\x15nonsense", b"\x18 is no heartbeat"])
def test_a_first_byte_alone_makes_no_tls(text):
    assert read(text).reason is FailureReason.NOT_TLS


def test_a_message_that_cannot_be_read_is_told_in_words():
    lying = server_hello(ECDHE)[:-1] + b"\xff\xff\x00\x17\xff\xff"
    lying = lying[:1] + (len(lying) - 4).to_bytes(3) + lying[4:]
    outcome = read(handshake(lying))
    assert outcome.reason is FailureReason.MALFORMED
    assert outcome.detail.startswith("a message that cannot be read (")
    assert "Error" not in outcome.detail


def test_what_is_no_tls_is_shown_harmlessly():
    outcome = read(b"HTTP/1.1 \x1b[31m red\r\n")
    assert isinstance(outcome, Failure)
    assert outcome.detail == 'the answer begins with "HTTP/1.1 \\x1b[31m red"'


def test_an_end_means_what_was_before_it():
    reasons = {
        b"": "closed without an answer",
        handshake(server_hello(ECDHE))[:20]: "closed after a part of an answer",
        handshake(server_hello(ECDHE)): "closed in the middle of the handshake",
    }
    for data, detail in reasons.items():
        assert read(data) == Failure(FailureReason.RESET, detail)


def test_a_record_longer_than_the_protocol_allows_is_refused_by_its_header():
    outcome = FlightReader().feed(bytes([22, 3, 3]) + b"\xff\xff")
    assert isinstance(outcome, Failure)
    assert outcome.reason is FailureReason.TOO_LARGE


def test_a_message_longer_than_reasonable_is_refused_by_its_header():
    claimed = b"\x02" + (MESSAGE_LIMIT + 1).to_bytes(3, "big") + bytes(100)
    outcome = FlightReader().feed(record(22, claimed))
    assert isinstance(outcome, Failure)
    assert outcome.reason is FailureReason.TOO_LARGE


def test_an_endless_answer_ends():
    reading = FlightReader()
    endless = record(22, b"")  # empty records: no progress, for ever
    outcome = None
    for _ in range(TOTAL_LIMIT // len(endless) + 2):
        outcome = reading.feed(endless)
        if outcome is not None:
            break
    assert isinstance(outcome, Failure)
    assert outcome.reason is FailureReason.TOO_LARGE


def test_endless_warnings_end():
    reading = FlightReader()
    warnings = alert(90, AlertLevel.warning) * 1000
    outcome = None
    while outcome is None:
        outcome = reading.feed(warnings)
    assert isinstance(outcome, Failure)
    assert outcome.reason is FailureReason.TOO_LARGE


WHOLE = handshake(
    server_hello(ECDHE, ALPNExtension().create([bytearray(b"h2")])),
    certificate(b"leaf", b"root"),
    elliptic_exchange(23),
)
FAILURES = {FailureReason.NOT_TLS, FailureReason.MALFORMED, FailureReason.TOO_LARGE, FailureReason.RESET}


def assert_settled(reading: FlightReader, pieces: list[bytes]) -> None:
    """Whatever was fed, there is an outcome of a known type at the end, and its text is short and printable."""
    outcome = None
    for piece in pieces:
        outcome = reading.feed(piece)
        if outcome is not None:
            break
    outcome = outcome or reading.end()
    assert isinstance(outcome, ServerFlight | Refusal | Failure)
    if isinstance(outcome, Failure):
        assert outcome.reason in FAILURES
        assert len(outcome.detail) <= 200
        assert outcome.detail.isprintable()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=20), st.booleans(), st.booleans())
def test_random_bytes_settle(pieces, ssl2, whole):
    assert_settled(FlightReader(ssl2=ssl2, whole=whole), pieces)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([20, 21, 22, 23]), st.binary(max_size=300)), max_size=12), st.booleans())
def test_random_records_settle(records, ssl2):
    assert_settled(FlightReader(ssl2=ssl2), [record(kind, body) for kind, body in records])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([2, 11, 12, 13, 14, 22, 67]), st.binary(max_size=300)), min_size=1, max_size=8),
    st.booleans(),
)
def test_random_messages_behind_a_good_hello_settle(messages, begun):
    body = b"".join(bytes([kind]) + len(content).to_bytes(3, "big") + content for kind, content in messages)
    assert_settled(FlightReader(), [handshake(server_hello(ECDHE)) if begun else b"", handshake(body)])


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.integers(1, 50))
def test_a_flight_with_one_byte_changed_settles(position, value, size):
    broken = bytearray(WHOLE)
    broken[position] = value
    assert_settled(FlightReader(), [bytes(broken[start : start + size]) for start in range(0, len(broken), size)])


@settings(deadline=None)
@given(st.integers(0, len(WHOLE)))
def test_a_flight_cut_short_is_no_answer(length):
    reading = FlightReader()
    outcome = reading.feed(WHOLE[:length]) or reading.end()
    assert isinstance(outcome, ServerFlight) == (length == len(WHOLE))


@settings(deadline=None)
@given(st.binary(min_size=0, max_size=600), st.booleans())
def test_random_ssl2_records_settle(body, error):
    message = (b"\x00" if error else b"\x04") + body
    assert_settled(FlightReader(ssl2=True), [(0x8000 | len(message)).to_bytes(2, "big") + message])


def test_memory_stays_bounded_whatever_arrives():
    tracemalloc.start()
    try:
        for piece in (b"\x16\x03\x03\x40\x00", record(22, b"\x0b\x01\xff\xf0" + bytes(16_000)), bytes(65_536)):
            reading = FlightReader()
            for _ in range(64):
                if reading.feed(piece) is not None:
                    break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * TOTAL_LIMIT


@pytest.mark.parametrize(
    ("record", "most"),
    [
        (b"\x16\x03\x03\x00\x00", IDLE_LIMIT),
        (b"\x15\x03\x03\x00\x02\x01\x70", IDLE_LIMIT),
        (b"\x16\x03\x03\x00\x04\x00\x00\x00\x00", IDLE_LIMIT),
    ],
)
def test_what_means_nothing_is_not_read_without_end(record, most):
    reader = FlightReader()
    assert reader.feed(record * most) is None
    outcome = reader.feed(record)
    assert outcome == Failure(FailureReason.TOO_LARGE, "more than 32 messages that mean nothing")
