"""Servers that dislike how they are asked: a relay in front of a good server of the lab does what they do.

Time is virtual: the good server has all the time that it takes, and silence takes none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from scanner.evidence import Attempt, FailureReason, Protocol, TlsEvidence
from scanner.inventory import Address, Endpoint, Target
from scanner.lab import Lab
from scanner.probe import ProbeSettings
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.probe import survey
from tests.build import virtual_time
from tests.build.relay import Relay

SETTINGS = ProbeSettings(timeout_s=0.5, deadline_s=20.0, connections_per_target=3)
SUPPORTED_VERSIONS = re.compile(rb"\x00\x2b\x00[\x03\x09][\x02\x08]\x03\x04")


@pytest.fixture(scope="module")
def backend():
    with Lab(only=("tls1.0-to-1.3",)) as lab:
        yield lab.servers["tls1.0-to-1.3"]


def target(host: str, port: int) -> Target:
    return Target(Endpoint("test", host, port), Address("127.0.0.1", port))


def surveyed(
    backend, dislikes: Callable[[Relay, bytes], str], settings: ProbeSettings = SETTINGS, **options
) -> tuple[Attempt[TlsEvidence], Relay, int, float]:
    """What the survey sees, by how many connections, and in how many seconds of virtual time."""
    relay = Relay(backend.actual_port, dislikes, **options)

    async def run():
        async with relay.listening() as port:
            attempt, connections = await survey(target(backend.host, port), settings)
            return attempt, connections, asyncio.get_running_loop().time()

    attempt, connections, seconds = virtual_time.run(run(), at_work=relay.at_work)
    return attempt, relay, connections, seconds


@pytest.fixture(scope="module")
def undisturbed(backend) -> TlsEvidence:
    attempt, relay, connections, _ = surveyed(backend, lambda _relay, _hello: "pass")
    assert attempt.value is not None
    assert relay.seen == connections
    return attempt.value


def offers(evidence: TlsEvidence) -> dict[Protocol, list[str]]:
    return {protocol: [s.name for s in evidence.offer(protocol).value.suites] for protocol in evidence.negotiated}


def facts(evidence: TlsEvidence) -> dict[str, Attempt[bool]]:
    """What shows in the extensions of the answers, and so only to a hello that asks for it."""
    names = (
        "extended_master_secret",
        "encrypt_then_mac",
        "secure_renegotiation",
        "session_tickets",
        "compression",
        "alpn",
        "without_sni",
        "wrong_sni",
        "fallback_scsv",
    )
    return {name: getattr(evidence, name) for name in names}


def test_the_good_server_is_seen_whole_through_the_relay(undisturbed):
    assert undisturbed.negotiated == (Protocol.TLS1_0, Protocol.TLS1_1, Protocol.TLS1_2, Protocol.TLS1_3)
    assert all(attempt.cut_off is None for attempt in undisturbed.protocols.values())


@pytest.mark.parametrize("end", ["hang", "reset", "close"])
def test_a_server_that_has_had_enough_is_left_alone_and_what_was_seen_is_kept(backend, end):
    settings = replace(SETTINGS, deadline_s=8.0)
    attempt, relay, connections, seconds = surveyed(
        backend, lambda relay, _hello: "pass" if relay.seen <= 24 else end, settings
    )
    assert attempt.value is not None
    assert seconds < settings.deadline_s
    assert connections == relay.seen < 24 + 12
    cut_off = attempt.value.offer(Protocol.TLS1_2).incomplete
    assert cut_off is not None
    assert cut_off.reason is (FailureReason.TIMED_OUT if end == "hang" else FailureReason.RESET)
    # One connection may be under way when the first is turned away.
    assert re.fullmatch(r"the server stopped answering after 2[34] connections", cut_off.detail)
    assert "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" in offers(attempt.value)[Protocol.TLS1_2]
    # The short questions were answered before: they stay.
    assert attempt.value.offer(Protocol.SSL3).value is not None


def test_never_is_a_protocol_called_refused_because_of_silence(backend):
    attempt, _, _, _ = surveyed(
        backend, lambda relay, _hello: "pass" if relay.seen <= 1 else "hang", replace(SETTINGS, deadline_s=8.0)
    )
    assert attempt.value is not None
    # The one answer that there was chose TLS 1.3.
    assert attempt.value.negotiated == (Protocol.TLS1_3,)
    assert all(a.cut_off is not None for a in attempt.value.protocols.values())


def test_the_deadline_ends_it_with_what_there_is(backend):
    settings = replace(SETTINGS, timeout_s=5.0, deadline_s=2.0)
    attempt, _, _, seconds = surveyed(backend, lambda relay, _hello: "pass" if relay.seen <= 24 else "hang", settings)
    assert seconds < settings.deadline_s
    assert attempt.value is not None
    assert {a.cut_off.reason for a in attempt.value.protocols.values() if a.cut_off} == {FailureReason.DEADLINE}


def test_a_server_that_closes_where_others_send_an_alert_is_understood(backend, undisturbed):
    attempt, _, _, _ = surveyed(backend, lambda _relay, _hello: "pass", closes_for_alert=True)
    assert attempt.value is not None
    assert offers(attempt.value) == offers(undisturbed)
    assert attempt.value.groups == undisturbed.groups
    assert attempt.value.signature_schemes == undisturbed.signature_schemes
    assert all(a.cut_off is None for a in attempt.value.protocols.values())


@pytest.mark.parametrize("verdict", ["close", "hang"])
def test_a_server_that_stands_no_large_hello_gets_small_ones(backend, undisturbed, verdict):
    settings = replace(SETTINGS, timeout_s=0.3)
    attempt, _, _, _ = surveyed(backend, lambda _relay, hello: verdict if len(hello) > 256 + 5 else "pass", settings)
    assert attempt.value is not None
    assert attempt.value.intolerances == Attempt.ok(("size",))
    seen, expected = offers(attempt.value), offers(undisturbed)
    assert {p: set(names) for p, names in seen.items()} == {p: set(names) for p, names in expected.items()}
    # What a small hello did not ask would be told as missing.
    assert facts(attempt.value) == facts(undisturbed)
    assert undisturbed.extended_master_secret == undisturbed.encrypt_then_mac == Attempt.ok(value=True)


def test_one_hello_lost_under_load_is_not_taken_for_intolerance(backend, undisturbed):
    attempt, _, _, _ = surveyed(backend, lambda relay, _hello: "hang" if relay.seen == 1 else "pass")
    assert attempt.value is not None
    assert attempt.value.intolerances == Attempt.ok(())
    assert offers(attempt.value) == offers(undisturbed)
    assert facts(attempt.value) == facts(undisturbed)


def test_a_server_that_stands_no_tls13_hello_is_surveyed_without(backend, undisturbed):
    attempt, _, _, _ = surveyed(
        backend, lambda _relay, hello: "close" if SUPPORTED_VERSIONS.search(hello, 43) else "pass"
    )
    assert attempt.value is not None
    assert attempt.value.intolerances == Attempt.ok(("version",))
    expected = offers(undisturbed)
    del expected[Protocol.TLS1_3]
    assert offers(attempt.value) == expected


def test_a_server_that_resets_what_comes_too_fast_is_asked_more_slowly(backend, undisturbed):
    def limit(relay: Relay, _hello: bytes) -> str:
        return "reset" if len([t for t in relay.begun if t > relay.begun[-1] - 0.1]) > 10 else "pass"

    attempt, _, _, _ = surveyed(backend, limit)
    assert attempt.value is not None
    assert offers(attempt.value) == offers(undisturbed)
    assert attempt.value.intolerances == Attempt.ok(("rate",))


def test_a_rate_is_kept(backend):
    settings = replace(SETTINGS, rate_per_s=200.0)
    _, _, connections, seconds = surveyed(backend, lambda _relay, _hello: "pass", settings)
    assert seconds >= (connections - 1) / 200.0


@pytest.mark.parametrize("most", [1, 4])
def test_no_more_connections_at_once_than_asked_for(backend, monkeypatch, most):
    opened: set[TcpStream] = set()
    counts = []

    class CountedStream(TcpStream):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            opened.add(self)
            counts.append(len(opened))

        def close(self):
            super().close()
            opened.discard(self)

    monkeypatch.setattr("scanner.probe.http.route.TcpStream", CountedStream)
    surveyed(backend, lambda _relay, _hello: "pass", replace(SETTINGS, connections_per_target=most))
    assert max(counts) == most
    assert not opened


def test_a_cancelled_survey_leaves_nothing_open(backend):
    relay = Relay(backend.actual_port, lambda relay, _hello: "pass" if relay.seen <= 5 else "hang")

    async def run():
        async with relay.listening() as port:
            task = asyncio.create_task(survey(target(backend.host, port), SETTINGS))
            await relay.until(lambda: relay.seen > 6)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await relay.until(lambda: relay.open == 0)

    virtual_time.run(run(), at_work=relay.at_work)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", FailureReason.NOT_TLS),
        # What nginx says at a port of TLS, here behind a box that swallows the hello; and where it is told to redirect.
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\nThe plain HTTP request was sent to HTTPS port", None),
        (b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://good.example/\r\n\r\n", None),
    ],
)
def test_an_answer_to_plain_http_is_proof_only_where_it_does_not_speak_for_tls(answer, reason):
    async def run() -> Attempt[TlsEvidence]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if (await reader.read(65_536)).startswith(b"HEAD"):
                writer.write(answer)
            else:
                await reader.read()  # swallowed
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            attempt, _ = await survey(target("good.example", server.sockets[0].getsockname()[1]), SETTINGS)
            return attempt

    assert virtual_time.run_with_servers(run()).failure.reason is (reason or FailureReason.TIMED_OUT)


def test_a_port_that_serves_plain_http_too_is_not_taken_for_one_without_tls(backend):
    """As cockpit does, and web servers of applications: here behind a box that swallows long hellos."""

    async def run() -> Attempt[TlsEvidence]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said = await reader.read(65_536)
            if said.startswith(b"HEAD"):
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            elif len(said) < 256:
                there, back = await asyncio.open_connection("127.0.0.1", backend.actual_port)
                back.write(said)
                writer.write(await there.read(65_536))
                back.close()
            else:
                await reader.read()  # swallowed
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            attempt, _ = await survey(target(backend.host, server.sockets[0].getsockname()[1]), SETTINGS)
            return attempt

    seen = virtual_time.run_with_servers(run()).value
    assert seen is not None
    assert Protocol.TLS1_2 in seen.negotiated
    assert "size" in (seen.intolerances.value or ())


@pytest.mark.parametrize("later", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", b"220 hello\r\n"])
def test_a_port_that_is_silent_at_first_and_then_answers_in_something_else_is_told_so(later):
    async def run() -> Attempt[TlsEvidence]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said = await reader.read(65_536)
            if len(said) > 1000:
                await reader.read()  # the first hello
            writer.write(later if said[:1] == b"\x16" else b"")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            attempt, _ = await survey(target("good.example", server.sockets[0].getsockname()[1]), SETTINGS)
            return attempt

    failure = virtual_time.run_with_servers(run()).failure
    assert failure is not None
    assert failure.reason is FailureReason.NOT_TLS
    first_line = later.splitlines()[0].decode()
    assert failure.detail == f'the answer begins with "{first_line}"'
