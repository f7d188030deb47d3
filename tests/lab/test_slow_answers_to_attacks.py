"""A server that takes its time to answer an attack is not taken for a safe one, nor a silent one for either."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from scanner.evidence import Protocol
from scanner.inventory import Address, Endpoint, Target
from scanner.lab import Lab
from scanner.probe import ProbeSettings, iana
from scanner.probe.handshake.robot import Together
from scanner.probe.net.budget import Budget
from scanner.probe.survey.attacks import Second, ccs_injection, heartbleed, robot
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.offers import HelloTemplate
from tests.build.wiretap import CHANGE_CIPHER_SPEC, HEARTBEAT, Wiretap

SUITES = ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
SUITES_OF = {"robot": ("TLS_RSA_WITH_AES_128_GCM_SHA256",)}
ATTACKS: dict[str, Any] = {"heartbleed": heartbleed, "ccs-injection": ccs_injection, "robot": robot}
LATE_S = 1.3
FLAWED = tuple(ATTACKS)


@pytest.fixture(scope="module")
def lab():
    with Lab(only=(*FLAWED, "good-rsa")) as running:
        assert not running.skipped
        yield running


class Slow(Wiretap):
    """Holds back what is said after the first flight."""

    async def answered(self, said: bytes) -> None:
        if _has_attacked(said):
            await asyncio.sleep(LATE_S)


class Silent(Wiretap):
    """Says nothing any more after the first flight, and leaves the connection open."""

    async def answered(self, said: bytes) -> None:
        if _has_attacked(said):
            await asyncio.Event().wait()


def _has_attacked(said: bytes) -> bool:
    rest = said[5 + int.from_bytes(said[3:5]) :]
    return rest[:1] in {bytes([HEARTBEAT]), bytes([CHANGE_CIPHER_SPEC]), b"\x16"}


def attacked(front: Wiretap, host: str, name: str, timeout_s: float) -> Second:
    codes = {suite.name: code for code, suite in iana.cipher_suites().items()}

    async def attack() -> Second:
        async with front.standing() as port:
            settings = ProbeSettings(timeout_s=timeout_s, deadline_s=60)
            target = Target(Endpoint("lab", host, port), Address("127.0.0.1", port, 1))
            client = HelloClient(target, settings, Budget.alone(settings, "127.0.0.1"))
            chosen = [codes[suite] for suite in SUITES_OF.get(name, SUITES)]
            second: Second = await ATTACKS[name](client, HelloTemplate(host).offer(Protocol.TLS1_2, chosen))
            return second

    return asyncio.run(attack())


@pytest.mark.parametrize("name", FLAWED)
def test_a_flaw_is_seen_though_the_answer_is_slow(lab, name):
    server = lab.servers[name]

    assert attacked(Slow(server.actual_port), server.host, name, timeout_s=8).confirmed


@pytest.mark.parametrize("name", ["heartbleed", "ccs-injection"])
def test_silence_shows_neither_a_flaw_nor_its_absence(lab, name):
    server = lab.servers[name]

    second = attacked(Silent(server.actual_port), server.host, name, timeout_s=2)

    assert not second.confirmed
    assert not second.tried


@pytest.mark.parametrize("name", ["heartbleed", "ccs-injection"])
def test_a_server_without_the_flaw_is_seen_to_have_none(lab, name):
    server = lab.servers["good-rsa"]

    second = attacked(Wiretap(server.actual_port), server.host, name, timeout_s=8)

    assert not second.confirmed
    assert second.tried


def test_what_is_written_leaves_in_one_piece_when_an_answer_is_waited_for():
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"answer")
        together = Together(near)
        for record in (b"key exchange", b"change", b"finished"):
            together.send(record)
        far.settimeout(0)
        with pytest.raises(BlockingIOError):
            far.recv(100)

        assert together.recv(100) == b"answer"
        assert far.recv(100) == b"key exchangechangefinished"
