"""A server that breaks off: what was seen by then stands, and nothing is passed that was not asked to its end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from scanner.evaluate import evaluate, target_status
from scanner.evidence import FailureReason, Protocol, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, Target
from scanner.lab import Lab
from scanner.lab.manifest import LabServer
from scanner.pipeline import probe_targets
from scanner.policy import load
from scanner.probe import ProbeSettings
from scanner.rules import Observed
from scanner.verdict import Status, TargetStatus, Verdict

ENVIRONMENT = Environment("test", EnvironmentKind.ON_PREMISES)
AFTER = (3, 8, 20)
"""How many connections there were before."""
UNIVERSAL = ("cipher.allowed", "cipher.no-rc4", "cipher.no-anonymous", "integrity.no-weak-mac", "vuln.sweet32")


@pytest.fixture(scope="module")
def backend() -> Iterator[LabServer]:
    with Lab(only=("tls1.0-to-1.3",)) as lab:
        yield lab.servers["tls1.0-to-1.3"]


@contextlib.asynccontextmanager
async def breaking_off(port: int, after: int, manner: str) -> AsyncIterator[int]:
    """A relay to `port` on loopback that passes on some connections, and closes, resets or ignores all others."""
    seen = 0

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        if seen > after:
            if manner == "ignores":
                await reader.read()
            writer.transport.abort() if manner == "resets" else writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def scan(backend: LabServer, after: int, manner: str) -> tuple[Target, TargetEvidence]:
    async with breaking_off(backend.actual_port, after, manner) as port:
        target = Target(Endpoint("test", backend.host, port, role=Role.SERVER), Address("127.0.0.1", port))
        # Short only where silence is what is waited for.
        silent = manner == "ignores"
        settings = ProbeSettings(timeout_s=1.5 if silent else 10.0, deadline_s=20.0 if silent else 60.0)
        probed = probe_targets([target], {"test": ENVIRONMENT}, settings, concurrency=1, workers=1)
        async with contextlib.aclosing(probed):
            async for _, evidence in probed:
                return target, evidence
    raise AssertionError


Seen = dict[int, tuple[Target, TargetEvidence]]


def together(backend: LabServer, *manners: str) -> dict[str, Seen]:
    """Scanned side by side: most of what they cost is waiting."""

    async def scan_all() -> list[tuple[Target, TargetEvidence]]:
        return await asyncio.gather(*(scan(backend, after, manner) for manner in manners for after in AFTER))

    found = iter(asyncio.run(scan_all()))
    return {manner: dict(zip(AFTER, itertools.islice(found, len(AFTER)), strict=True)) for manner in manners}


@pytest.fixture(scope="module")
def ending(backend: LabServer) -> dict[str, Seen]:
    """Those that close and those that reset, by the connections that they took."""
    return together(backend, "closes", "resets")


@pytest.fixture(scope="module")
def ignoring(backend: LabServer) -> dict[str, Seen]:
    """Those that fall silent. They are waited for, and not long: so that the others take nothing of their time."""
    return together(backend, "ignores")


def judged(target: Target, evidence: TargetEvidence) -> tuple[TargetEvidence, dict[str, Verdict], TargetStatus]:
    policies = {"test": load("https-by-default")}
    verdicts = evaluate([Observed(target, evidence)], {"test": ENVIRONMENT}, policies, (), datetime.now(UTC))[target.id]
    status, error = target_status(evidence, verdicts)
    assert error is not None
    assert error.reason in {FailureReason.RESET, FailureReason.TIMED_OUT, FailureReason.HANDSHAKE_FAILED}
    return evidence, {verdict.rule: verdict for verdict in verdicts}, status


@pytest.mark.parametrize("manner", ["closes", "resets", "ignores"])
@pytest.mark.parametrize("after", AFTER)
def test_what_was_seen_stands_and_nothing_is_passed_unasked(after, manner, request):
    found = request.getfixturevalue("ignoring" if manner == "ignores" else "ending")
    evidence, verdicts, status = judged(*found[manner][after])
    tls = evidence.tls.value
    assert tls is not None
    assert status is TargetStatus.PARTIAL
    # The server's first answer chose TLS 1.3: that is seen, whatever came afterwards.
    assert Protocol.TLS1_3 in tls.negotiated
    assert verdicts["proto.tls1.3"].status is Status.PASS
    for protocol in Protocol:
        offer = tls.offer(protocol)
        demanded = verdicts.get(f"proto.no-{protocol}")
        if offer.value is not None and offer.value.negotiated and protocol in {Protocol.TLS1_0, Protocol.TLS1_1}:
            assert demanded is not None
            assert demanded.status is Status.FAIL
        if offer.value is None and demanded is not None:
            assert demanded.status is Status.INDETERMINATE
    assert any(tls.offer(protocol).cut_off is not None for protocol in Protocol)
    assert {rule for rule in UNIVERSAL if verdicts[rule].status is Status.PASS} == set()
    told = "\n".join(f"{verdict.message} {verdict.observed}" for verdict in verdicts.values())
    assert "no protocol version could be negotiated" not in told
    assert "accepted by then" not in told


def test_a_server_that_only_speaks_tls12_was_seen_to_do_so_by_its_first_answer():
    with Lab(only=("no-tls1.3",)) as lab:
        evidence, verdicts, status = judged(*asyncio.run(scan(lab.servers["no-tls1.3"], 1, "closes")))
    assert evidence.tls.value is not None
    assert evidence.tls.value.negotiated == (Protocol.TLS1_2,)
    assert verdicts["proto.tls1.2"].status is Status.PASS
    assert verdicts["proto.tls1.3"].status is Status.INDETERMINATE
    assert status is TargetStatus.PARTIAL
