"""Targets divided by address among processes: each is done once, its limits hold over all of them, and none is left."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from scanner import forkserver, probing
from scanner.dispatch import Progress, Stage
from scanner.dispatch.engine import EngineOrder, owner
from scanner.dispatch.processes import ProcessDispatcher
from scanner.evidence import FailureReason, Protocol, TargetEvidence
from scanner.inventory import Address, Console, Endpoint, Environment, EnvironmentKind, Role, Target
from scanner.pipeline import probe_targets
from scanner.probe import ProbeSettings
from scanner.probing import engines_for
from tests.build.engines import CROWDED
from tests.build.ports import free_port
from tests.build.servers import servers

ENVIRONMENTS = {"test": Environment("test", EnvironmentKind.ON_PREMISES)}


def at(ip: str, name: str, **changes) -> Target:
    return Target(Endpoint("test", f"{name}.example", 443, **changes), Address(ip, 443))


def spread(count: int, name: str = "name", **changes) -> list[Target]:
    """Targets at addresses that belong to different processes."""
    return [at(f"127.0.8.{number + 1}", f"{name}{number}", **changes) for number in range(count)]


async def resolver(_host: str) -> tuple[tuple[str, ...], frozenset]:
    return ("127.0.0.1",), frozenset()


async def dispatched(
    what: str, targets: Sequence[Target], told: list[Progress] | None = None, **settings
) -> list[tuple[Target, TargetEvidence]]:
    order = EngineOrder(ProbeSettings(deadline_s=20.0, **settings), ENVIRONMENTS, frozenset(), 50, 2, engines=2)
    dispatcher = ProcessDispatcher(
        f"tests.build.engines:serve_{what}", order, resolver, told.append if told is not None else None, lambda: 40
    )
    return [found async for found in dispatcher.dispatch(targets, ENVIRONMENTS)]


def said(evidence: TargetEvidence) -> tuple[int, list[tuple[float, float]]]:
    """Which process it was, and from when to when it held connections."""
    process, _, *spans = evidence.tls.failure.detail.split()
    return int(process), [tuple(map(float, span.split("-"))) for span in spans]


def seconds(found: list[tuple[Target, TargetEvidence]]) -> float:
    """From when the first connection was asked for to when the last one began.

    Not from when the first began: the machine may be late to tell one of its turn, and in time for all others.
    """
    first = min(float(evidence.tls.failure.detail.split()[1]) for _, evidence in found)
    return max(begun for _, evidence in found for begun, _ in said(evidence)[1]) - first


def forked() -> list[psutil.Process]:
    server = forkserver.running()
    return psutil.Process(server).children(recursive=True) if server else []


def none_left(within_s: float = 30.0) -> bool:
    until = time.monotonic() + within_s
    while forked() and time.monotonic() < until:
        time.sleep(0.02)
    return not forked()


def test_each_address_belongs_to_one_process_and_each_target_is_done_once():
    targets = [*spread(20), *spread(20, "other")]
    told: list[Progress] = []

    found = asyncio.run(dispatched("own", targets, told))

    assert Counter(target.id for target, _ in found) == Counter(target.id for target in targets)
    by_address = defaultdict(set)
    for target, evidence in found:
        by_address[target.ip].add(said(evidence)[0])
    assert {len(processes) for processes in by_address.values()} == {1}
    assert len(set.union(*by_address.values())) == 2
    assert Counter(step.stage for step in told) == {Stage.STARTED: 40, Stage.DONE: 40}
    assert [step.done for step in told if step.stage is Stage.DONE] == list(range(1, 41))
    assert none_left()


def test_what_many_redirects_lead_to_is_asked_within_its_limits_by_all_processes_together():
    found = asyncio.run(dispatched("crowd", spread(20), connections_per_target=2))

    assert len({said(evidence)[0] for _, evidence in found}) == 2
    held = sorted(span for _, evidence in found for span in said(evidence)[1])
    assert len(held) == 60
    moments = sorted([(begun, 1) for begun, _ in held] + [(ended, -1) for _, ended in held])
    assert max(itertools.accumulate(change for _, change in moments)) == 2
    assert owner(CROWDED, 2) in {0, 1}


def test_a_rate_holds_for_an_address_whoever_asks_it():
    found = asyncio.run(dispatched("crowd", spread(6), rate_per_s=20.0))

    assert sum(len(said(evidence)[1]) for _, evidence in found) == 18
    assert seconds(found) >= 17 / 20


def test_the_total_rate_is_dealt_out():
    found = asyncio.run(dispatched("own", spread(8), total_rate_per_s=40.0))

    assert sum(len(said(evidence)[1]) for _, evidence in found) == 40
    # Each process keeps to its half.
    assert seconds(found) >= (max(Counter(owner(t.ip, 2) for t in spread(8)).values()) * 5 - 1) / 20


def test_a_process_that_dies_costs_no_target(tmp_path: Path):
    (tmp_path / "die").touch()
    dies = at("127.0.8.100", "once", consoles=(Console(Role.MONITORING, (str(tmp_path / "die"),)),))

    found = asyncio.run(dispatched("dying", [dies, *spread(20)]))

    assert Counter(target.id for target, _ in found) == Counter(target.id for target in [dies, *spread(20)])
    assert {evidence.tls.failure.reason for _, evidence in found} == {FailureReason.NOT_RUN}, "all were done at last"


def test_a_target_that_kills_its_process_twice_is_given_up_and_told():
    poison = at("127.0.8.100", "poison")

    found = {target.endpoint.host: evidence for target, evidence in asyncio.run(dispatched("dying", [poison]))}

    failure = found["poison.example"].tls.failure
    assert (failure.reason, failure.detail) == (FailureReason.ENGINE_ERROR, "the process that probed it ended")


def test_closed_early_it_leaves_no_process():
    async def first() -> str:
        order = EngineOrder(ProbeSettings(), ENVIRONMENTS, frozenset(), 50, 2, engines=2)
        dispatcher = ProcessDispatcher("tests.build.engines:serve_hanging", order, resolver)
        async with contextlib.aclosing(dispatcher.dispatch([*spread(4, "hangs"), *spread(1)], ENVIRONMENTS)) as found:
            async for target, _ in found:
                assert len(forked()) == 2
                return target.endpoint.host
        raise AssertionError

    assert asyncio.run(first()) == "name0.example"
    assert none_left()


@pytest.mark.parametrize(
    ("endpoints", "workers", "concurrency", "engines"),
    [(1, 24, 50, 1), (50, 24, 50, 1), (51, 24, 50, 2), (10_000, 48, 50, 4), (10_000, 12, 50, 1), (10_000, 48, 1, 1)],
)
def test_how_many_processes_there_are(monkeypatch, endpoints: int, workers: int, concurrency: int, engines: int):
    monkeypatch.setattr("os.cpu_count", lambda: 4)

    assert engines_for(endpoints, workers, concurrency) == engines


def test_real_servers_at_many_addresses_are_seen_as_by_one_process(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(probing, "_TARGETS_PER_ENGINE", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with servers(tmp_path) as context:
        port, addresses = free_port(), [f"127.0.8.{number + 1}" for number in range(6)]
        more = "".join(f"listen {ip}:{port} ssl;" for ip in addresses)
        context.nginx(["ecdsa"], f"ssl_protocols TLSv1.2 TLSv1.3; {more}", port=port)
        targets = [Target(Endpoint("test", f"{ip}", port), Address(ip, port)) for ip in addresses]

        async def probe(count: int) -> dict[str, TargetEvidence]:
            asked = targets[:count]
            return {target.id: seen async for target, seen in probe_targets(asked, ENVIRONMENTS, ProbeSettings())}

        alone, divided = asyncio.run(probe(1)), asyncio.run(probe(6))

    (one,) = alone.values()
    assert len(divided) == 6
    for evidence in divided.values():
        assert evidence.tls.value.negotiated == one.tls.value.negotiated == (Protocol.TLS1_2, Protocol.TLS1_3)
        assert evidence.tls.value.protocols == one.tls.value.protocols
        assert evidence.tls.value.heartbleed == one.tls.value.heartbleed
        assert evidence.http.value is not None
    assert none_left()
