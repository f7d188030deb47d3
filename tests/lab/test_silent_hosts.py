"""What hosts that accept connections and say nothing cost a run (docs/scale.md): each holds a place for 15 seconds."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from scanner.evidence import FailureReason, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.pipeline import probe_targets
from scanner.probe import ProbeSettings
from tests.build import virtual_time

SETTINGS = ProbeSettings(online=False, resolver="127.0.0.1")
ENVIRONMENTS = {"here": Environment("here", EnvironmentKind.ON_PREMISES)}


async def probed(hosts: int, places: int) -> tuple[float, list[TargetEvidence]]:
    """The seconds that it takes to probe so many silent hosts, and what was seen of them."""
    with contextlib.ExitStack() as listening:
        targets = []
        for number in range(hosts):
            ip = f"127.0.9.{number + 1}"
            # The kernel takes the connections, and nobody ever reads from them.
            secure, plain = (listening.enter_context(socket.create_server((ip, 0))).getsockname()[1] for _ in range(2))
            endpoint = Endpoint("here", "silent.example", secure, http_port=plain)
            targets.append(Target(endpoint, Address(ip, secure, plain)))
        found = probe_targets(targets, ENVIRONMENTS, SETTINGS, concurrency=places)
        seen = [evidence async for _, evidence in found]
        return asyncio.get_running_loop().time(), seen


@pytest.mark.parametrize(("hosts", "places", "seconds"), [(1, 1, 15), (20, 20, 15), (20, 10, 30), (12, 4, 45)])
def test_the_time_they_add_is_15_seconds_for_as_many_as_there_are_places(hosts, places, seconds):
    took, seen = virtual_time.run_with_servers(probed(hosts, places))

    assert took == pytest.approx(seconds, abs=0.5)
    assert len(seen) == hosts
    assert {evidence.tls.failure and evidence.tls.failure.reason for evidence in seen} == {FailureReason.TIMED_OUT}
