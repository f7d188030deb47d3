"""Servers and boxes that do not stand a correct hello: what they break by is found, told, and left out from then on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import pytest
from tlslite.constants import ExtensionType
from tlslite.messages import ClientHello, RecordHeader2, ServerHello, ServerHello2
from tlslite.utils.codec import Parser

from scanner.evidence import Attempt, FailureReason, Protocol, TlsEvidence
from scanner.inventory import Address, Endpoint, Target
from scanner.lab import Lab
from scanner.lab.manifest import LabServer
from scanner.probe import ProbeSettings, iana
from scanner.probe.survey.families import Family, family_of
from scanner.probe.survey.probe import survey
from tests.build import virtual_time
from tests.build.relay import Relay

SETTINGS = ProbeSettings(timeout_s=0.5, deadline_s=30.0, connections_per_target=3)
WEAK = {Family.UNPROTECTED, Family.WEAK_FINITE_FIELD, Family.EXPORT}
RECORD_HEAD = 5
SUITES = frozenset(iana.offered_suites(Protocol.TLS1_2))


@pytest.fixture(scope="module")
def backend() -> Iterator[LabServer]:
    with Lab(only=("tls1.0-to-1.3",)) as lab:
        yield lab.servers["tls1.0-to-1.3"]


def surveyed(backend: LabServer, dislikes: Callable[[bytes, ClientHello], bool], end: str) -> tuple[TlsEvidence, int]:
    """The survey through a box that ends what it dislikes; and how many connections the first words took."""
    seen: list[bool] = []

    def decide(_relay: Relay, wire: bytes) -> str:
        if wire[:1] != b"\x16":
            return "close"
        disliked = dislikes(wire[RECORD_HEAD:], ClientHello().parse(Parser(bytearray(wire[RECORD_HEAD + 1 :]))))
        seen.append(disliked)
        return end if disliked else "pass"

    relay = Relay(backend.actual_port, decide)

    async def run() -> Attempt[TlsEvidence]:
        async with relay.listening() as port:
            target = Target(Endpoint("test", backend.host, port), Address("127.0.0.1", port))
            attempt, _ = await survey(target, SETTINGS)
            return attempt

    attempt = virtual_time.run(run(), at_work=relay.at_work)
    assert attempt.value is not None, attempt.failure
    return attempt.value, sum(seen)


def offers(evidence: TlsEvidence) -> dict[Protocol, set[str]]:
    found = {}
    for protocol in evidence.negotiated:
        offer = evidence.offer(protocol).value
        assert offer is not None
        found[protocol] = {suite.name for suite in offer.suites}
    return found


@pytest.fixture(scope="module")
def undisturbed(backend) -> TlsEvidence:
    evidence, disliked = surveyed(backend, lambda _body, _hello: False, "close")
    assert disliked == 0
    return evidence


def has(extension: int) -> Callable[[bytes, ClientHello], bool]:
    return lambda _body, hello: hello.getExtension(extension) is not None


def unknown(_body: bytes, hello: ClientHello) -> bool:
    known = {0, 10, 11, 13, 16, 43, 45, 51, 5, 0xFF01}
    return any(extension.extType not in known for extension in hello.extensions or ())


INTOLERANCES = {
    "size": lambda body, _hello: len(body) > 255,
    "size-511": lambda body, _hello: len(body) > 511,
    "suite-count": lambda _body, hello: len(hello.cipher_suites) > 16,
    "weak-suites": lambda _body, hello: any(family_of(code) in WEAK for code in hello.cipher_suites if code in SUITES),
    "status-request": has(ExtensionType.status_request),
    "alpn": has(ExtensionType.alpn),
    "extensions": unknown,
}


@pytest.mark.parametrize("end", ["close", "hang"])
@pytest.mark.parametrize("name", list(INTOLERANCES))
def test_what_a_box_does_not_stand_is_found_told_and_left_out(backend, undisturbed, name, end):
    evidence, disliked = surveyed(backend, INTOLERANCES[name], end)
    assert evidence.intolerances == Attempt.ok((name,))
    assert offers(evidence) == offers(undisturbed)
    cut_off = {evidence.offer(protocol).cut_off for protocol in Protocol if protocol is not Protocol.SSL2}
    if name == "weak-suites":
        # They are asked for in hellos of their own, and where those are met with silence, nobody knows of them.
        assert (cut_off == {None}) == (end == "close")
        return
    assert cut_off == {None}
    # What was left out of every hello is not called missing; of what is not asked for by it, the same is seen.
    left_out = (evidence.extended_master_secret, evidence.encrypt_then_mac, evidence.session_tickets)
    if name == "extensions":
        reasons = [fact.failure.reason if fact.failure is not None else None for fact in left_out]
        assert reasons == [FailureReason.UNSUPPORTED] * 3
    else:
        assert left_out == (
            undisturbed.extended_master_secret,
            undisturbed.encrypt_then_mac,
            undisturbed.session_tickets,
        )
    # The hello with everything, the search, and hellos that were asked twice because silence is not an answer.
    assert disliked <= 12


def test_more_suites_than_one_implementation_stands_are_offered_in_parts(backend, undisturbed):
    """wolfSSL drops hellos of more than 150."""
    evidence, _ = surveyed(backend, lambda _body, hello: len(hello.cipher_suites) > 150, "close")
    assert evidence.intolerances == Attempt.ok(("suite-count",))
    assert offers(evidence) == offers(undisturbed)


def answering(answer: Callable[[bytes], bytes]) -> TlsEvidence:
    """The survey of a server that answers each first record in one go."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(answer(await reader.read(4096)))
            await writer.drain()
        writer.close()

    async def both() -> Attempt[TlsEvidence]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            target = Target(Endpoint("test", "old.example", port), Address("127.0.0.1", port))
            attempt, _ = await survey(target, SETTINGS)
            return attempt

    attempt = virtual_time.run_with_servers(both())
    assert attempt.value is not None, attempt.failure
    return attempt.value


SSL2_HELLO = bytes(ServerHello2().create(0, 1, (0, 2), bytearray(b"\x30\x00"), [0x010080], bytearray(16)).write())
SSL2_ANSWER = bytes(RecordHeader2().create(len(SSL2_HELLO)).write()) + SSL2_HELLO


@pytest.mark.parametrize("to_tls", [b"", b"\x80\x03\x00\x00\x01"], ids=["closes", "ssl2-error"])
def test_a_server_of_ssl2_alone_is_seen_whatever_it_says_to_tls(to_tls):
    evidence = answering(lambda first: SSL2_ANSWER if first[:1] != b"\x16" else to_tls)
    assert evidence.negotiated == (Protocol.SSL2,)


def test_a_hello_request_before_the_server_hello_is_ignored():
    def answer(first: bytes) -> bytes:
        if first[:1] != b"\x16":
            return b""
        hello = ClientHello().parse(Parser(bytearray(first[6:])))
        if 0x002F not in hello.cipher_suites or (hello.getExtension(43) is None and hello.client_version != (3, 3)):
            return b"\x15\x03\x03\x00\x02\x02\x28"
        chosen = bytes(ServerHello().create((3, 3), bytearray(32), bytearray(0), 0x002F).write())
        flight = b"\x00\x00\x00\x00" + chosen + b"\x0e\x00\x00\x00"
        return b"\x16\x03\x03" + len(flight).to_bytes(2) + flight

    evidence = answering(answer)
    assert Protocol.TLS1_2 in evidence.negotiated
