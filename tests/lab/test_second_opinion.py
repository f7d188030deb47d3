"""What would be grave is told only where two probes that share nothing but the server saw it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from scanner.evidence import Attempt, FailureReason, Robot, TlsEvidence
from scanner.inventory import Address, Endpoint, Target
from scanner.lab import Lab, LabServer
from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Budget
from scanner.probe.survey.probe import survey
from scanner.probe.survey.second_opinion import confirmed, suspected

SETTINGS = ProbeSettings(timeout_s=5, deadline_s=40)
FLAWED = {
    "heartbleed": ("heartbleed", Attempt.ok(value=True)),
    "ccs-injection": ("ccs_injection", Attempt.ok(value=True)),
    "robot": ("robot", Attempt.ok(Robot.STRONG_ORACLE)),
    "early-data": ("max_early_data_size", Attempt.ok(16_384)),
}


@pytest.fixture(scope="module")
def lab():
    with Lab(only=(*FLAWED, "static-rsa", "good", "tls1.3-only")) as running:
        assert not running.skipped
        yield running


def again(server: LabServer, **claims) -> TlsEvidence:
    """What is left of these claims, of the real server, when a second probe has looked."""
    target = Target(Endpoint("lab", server.host, server.port), Address(server.address, server.actual_port))

    async def look() -> TlsEvidence:
        seen, _ = await survey(target, SETTINGS)
        claimed = replace(seen.value, **claims)
        assert suspected(claimed)
        return await confirmed(claimed, target, SETTINGS, Budget.alone(SETTINGS, server.address))

    return asyncio.run(look())


@pytest.mark.parametrize("name", FLAWED)
def test_what_a_server_is_guilty_of_is_seen_twice(lab, name):
    fact, claim = FLAWED[name]
    assert getattr(again(lab.servers[name], **{fact: claim}), fact) == claim


@pytest.mark.parametrize(
    ("name", "fact", "seen"),
    [
        ("static-rsa", "heartbleed", "was answered with"),
        ("static-rsa", "ccs_injection", "an early ChangeCipherSpec was answered with the alert unexpected_message"),
        ("static-rsa", "robot", "right padding: the alert bad_record_mac; no padding: the alert bad_record_mac"),
        ("good", "max_early_data_size", "a session ticket allows 0 bytes of early data"),
        ("tls1.3-only", "heartbleed", "nothing that it could be tried with is accepted"),
    ],
)
def test_what_a_second_probe_does_not_see_is_told_with_both_observations(lab, name, fact, seen):
    claim = dict(FLAWED.values())[fact]

    left = getattr(again(lab.servers[name], **{fact: claim}), fact)

    assert left.failure.reason is FailureReason.INCONSISTENT
    first, _, second = left.failure.detail.partition("; not so for a second probe: ")
    assert first
    assert seen in second


def test_what_is_not_grave_is_not_asked_again(lab):
    server = lab.servers["good"]
    target = Target(Endpoint("lab", server.host, server.port), Address(server.address, server.actual_port))

    async def look() -> tuple[str, ...]:
        seen, _ = await survey(target, SETTINGS)
        return suspected(
            replace(seen.value, heartbleed=Attempt.ok(value=False), robot=Attempt.ok(Robot.NOT_VULNERABLE))
        )

    assert asyncio.run(look()) == ()
