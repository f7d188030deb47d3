"""Servers that speak TLS 1.3, or demand a server name, are looked at for Heartbleed and CCS injection as others are.

The handshake engine takes them for safe without a look. But one address may be answered by several programs: a new one
that takes TLS 1.3, and an old one behind it.
"""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from scanner.evaluate import evaluate
from scanner.evidence import FailureReason, Protocol, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, StartTls, Target
from scanner.lab import Lab
from scanner.pipeline import probe_targets
from scanner.policy import load
from scanner.probe import ProbeSettings
from scanner.rules import Observed
from scanner.verdict import Status, Verdict
from tests.build.fronts import (
    Front,
    asks_for_a_staple,
    names_a_server,
    offers_heartbeats,
    offers_tls13,
    takes_signatures_by_ecdsa,
)
from tests.build.servers import HOST, servers
from tests.build.wiretap import CHANGE_CIPHER_SPEC, Wiretap, attacks_of

ENVIRONMENTS = {"lab": Environment("lab", EnvironmentKind.ON_PREMISES)}
SETTINGS = ProbeSettings(timeout_s=5, deadline_s=60)
FACTS = {"heartbleed": "heartbleed", "ccs-injection": "ccs_injection"}
OTHERS = ("client-certificate-required", "smtp-starttls", "postgres-starttls")
UNRECOGNIZED_NAME = bytes.fromhex("15030300020270")
INSUFFICIENT_SECURITY = bytes.fromhex("15030300020247")
BOTH = "ssl_protocols TLSv1.2 TLSv1.3;"


@pytest.fixture(scope="module")
def lab():
    with Lab(only=(*FACTS, *OTHERS)) as running:
        assert not running.skipped
        yield running


def scanned(front: Front | Wiretap, host: str = HOST, starttls: StartTls | None = None) -> TargetEvidence:
    async def scan() -> TargetEvidence:
        async with front.standing() as port:
            role = Role.SERVER if starttls else Role.APPLICATION
            target = Target(Endpoint("lab", host, port, role=role, starttls=starttls), Address("127.0.0.1", port, 1))
            (evidence,) = [seen async for _, seen in probe_targets([target], ENVIRONMENTS, SETTINGS)]
            return evidence

    return asyncio.run(scan())


def verdict(evidence: TargetEvidence, rule: str) -> Verdict:
    target = Target(Endpoint("lab", HOST, 443), Address("127.0.0.1", 443))
    policy = load("https-by-default")
    found = evaluate([Observed(target, evidence)], ENVIRONMENTS, {"lab": policy}, (), evidence.started_at)[target.id]
    return next(item for item in found if item.rule == rule)


@pytest.mark.parametrize("flaw", FACTS)
def test_an_old_server_behind_a_new_one_is_found_vulnerable(lab, tmp_path, flaw):
    with servers(tmp_path) as started:
        new, old = started.nginx(["rsa"], BOTH), lab.servers[flaw].actual_port
        evidence = scanned(Front(lambda hello: new if offers_tls13(hello) else old))

    tls = evidence.tls.value
    assert {Protocol.TLS1_2, Protocol.TLS1_3} <= set(tls.negotiated)
    assert getattr(tls, FACTS[flaw]).value is True
    assert verdict(evidence, f"vuln.{flaw}").reason == "vulnerable"


@pytest.mark.parametrize("flaw", FACTS)
def test_an_old_server_is_asked_by_hellos_that_it_stands(lab, tmp_path, flaw):
    with servers(tmp_path) as started:
        new, old = started.nginx(["rsa"], BOTH), lab.servers[flaw].actual_port

        def route(hello: bytes) -> int | bytes:
            # wolfSSL closes the connection where it is asked for a staple that it has not.
            return b"" if asks_for_a_staple(hello) else new if offers_tls13(hello) else old

        evidence = scanned(Front(route))

    tls = evidence.tls.value
    assert tls.intolerances.value == ("status-request",)
    assert getattr(tls, FACTS[flaw]).value is True


@pytest.mark.parametrize("flaw", FACTS)
def test_a_server_is_asked_with_the_signatures_that_its_certificates_have(lab, tmp_path, flaw):
    """As Erlang, whose chain was signed by ECDSA while it signs by RSA: it refuses a hello without the first."""
    with servers(tmp_path) as started:
        new, old = started.nginx(["rsa"], BOTH), lab.servers[flaw].actual_port

        def route(hello: bytes) -> int | bytes:
            return new if offers_tls13(hello) else old if takes_signatures_by_ecdsa(hello) else INSUFFICIENT_SECURITY

        evidence = scanned(Front(route))

    assert getattr(evidence.tls.value, FACTS[flaw]).value is True


@pytest.mark.parametrize("flaw", FACTS)
def test_a_server_that_demands_a_name_is_not_taken_for_safe(lab, flaw):
    server = lab.servers[flaw]
    strict = Front(lambda hello: server.actual_port if names_a_server(hello) else UNRECOGNIZED_NAME)

    evidence = scanned(strict, server.host)

    # The engine names no server, and so can't look: it is one probe's word, which is no finding, and never a pass.
    found = getattr(evidence.tls.value, FACTS[flaw])
    assert found.failure.reason is FailureReason.INCONSISTENT
    assert "; not so for a second probe" in found.failure.detail
    assert verdict(evidence, f"vuln.{flaw}").status is Status.INDETERMINATE


@pytest.mark.parametrize("protocols", [BOTH, "ssl_protocols TLSv1.2;"])
def test_of_a_safe_server_both_are_asked_on_one_connection(tmp_path, protocols):
    with servers(tmp_path) as started:
        wiretap = Wiretap(started.nginx(["rsa"], protocols))
        evidence = scanned(wiretap)

    tls = evidence.tls.value
    assert (Protocol.TLS1_3 in tls.negotiated) is (protocols == BOTH)
    assert (tls.heartbleed.value, tls.ccs_injection.value) == (False, False)
    assert len(asked_for_both(wiretap)) == 1


def test_renegotiation_is_asked_for_on_the_connection_that_resumes_a_session(tmp_path):
    with servers(tmp_path) as started:
        cached = "ssl_protocols TLSv1.2; ssl_session_cache shared:kept:1m;"
        wiretap = Wiretap(started.nginx(["rsa"], cached))
        evidence = scanned(wiretap)

    tls = evidence.tls.value
    assert (tls.client_renegotiation.value, tls.session_ids.value) == (False, True)
    # Resumed, the client's ChangeCipherSpec is its second record; the hello that asks to renegotiate is encrypted.
    renegotiated = [said for said in wiretap.said if attacks_of(bytes(said)) >= {"renegotiation"}]
    assert len(renegotiated) == 1
    assert "resumption" in attacks_of(bytes(renegotiated[0]))


@pytest.mark.parametrize(
    ("key", "protocols", "suites", "most"),
    [("ecdsa", "TLSv1.2 TLSv1.3", 15, 54), ("ecdsa", "TLSv1.2", 15, 37), ("rsa", "TLSv1.2", 27, 55)],
)
def test_a_usual_nginx_takes_so_many_connections_at_most(tmp_path, key, protocols, suites, most):
    with servers(tmp_path) as started:
        evidence = scanned(Wiretap(started.nginx([key], f"ssl_protocols {protocols};")))

    assert len(evidence.tls.value.offer(Protocol.TLS1_2).value.suites) == suites
    assert evidence.connections <= most


@pytest.mark.parametrize("curve", ["brainpoolP256r1", "secp256k1"])
def test_both_are_asked_where_the_engine_can_make_no_handshake(tmp_path, curve):
    pem = tmp_path / "server.pem"
    key = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-nodes"]
    made = [*key, "-keyout", "-", "-out", "-", "-subj", f"/CN={HOST}", "-days", "30"]
    pem.write_bytes(subprocess.run(made, capture_output=True, check=True).stdout)
    with servers(tmp_path) as started:
        evidence = scanned(Wiretap(started.openssl("-cert", str(pem), "-key", str(pem), "-tls1_2")))

    tls = evidence.tls.value
    assert tls.client_renegotiation.failure.reason is FailureReason.HANDSHAKE_FAILED
    assert (tls.heartbleed.value, tls.ccs_injection.value) == (False, False)


class ClosesAtFirst(Wiretap):
    """Closes some connections of TLS 1.3 when the client has finished its handshake, as unbound does with many open."""

    def __init__(self, port: int, closes: int) -> None:
        super().__init__(port)
        self.left = closes

    async def answered(self, said: bytes) -> None:
        second_record = 5 + int.from_bytes(said[3:5])
        finished = offers_tls13(said[:second_record]) and said[second_record : second_record + 1] == b"\x14"
        if finished and self.left:
            self.left -= 1
            raise ConnectionResetError


@pytest.mark.parametrize(("closes", "seen"), [(2, True), (100, False)])
def test_a_connection_that_is_closed_before_a_ticket_tells_nothing_of_early_data(tmp_path, closes, seen):
    with servers(tmp_path) as started:
        front = ClosesAtFirst(started.nginx(["rsa"], f"{BOTH} ssl_early_data on;"), closes)
        evidence = scanned(front)

    size = evidence.tls.value.max_early_data_size
    assert bool(size.value) is seen
    assert (size.failure is None) is seen
    assert verdict(evidence, "integrity.no-early-data").status is (Status.FAIL if seen else Status.INDETERMINATE)


def asked_for_both(wiretap: Wiretap) -> list[bytes]:
    """What was said on connections that offered heartbeats, and went on with an early ChangeCipherSpec."""
    found = []
    for said in map(bytes, wiretap.said):
        second_record = 5 + int.from_bytes(said[3:5])
        if offers_heartbeats(said) and said[second_record : second_record + 1] == bytes([CHANGE_CIPHER_SPEC]):
            found.append(said)
    return found


@pytest.mark.parametrize("name", OTHERS)
def test_both_are_asked_whatever_else_the_server_wants(lab, name):
    server = lab.servers[name]
    evidence = scanned(Wiretap(server.actual_port), server.host, StartTls(server.starttls) if server.starttls else None)

    tls = evidence.tls.value
    assert Protocol.TLS1_3 in tls.negotiated
    assert (tls.heartbleed.value, tls.ccs_injection.value) == (False, False)


def test_what_could_not_be_tried_is_no_pass(tmp_path):
    with servers(tmp_path) as started:
        port = started.nginx(["rsa"], BOTH)
        evidence = scanned(Front(lambda hello: b"" if offers_heartbeats(hello) else port))

    # It does not stand the offer of heartbeats, without which nothing is known of them; the other attack does without.
    assert evidence.tls.value.heartbleed.failure.reason is FailureReason.HANDSHAKE_FAILED
    assert verdict(evidence, "vuln.heartbleed").status is Status.INDETERMINATE
    assert evidence.tls.value.ccs_injection.value is False


def test_a_server_of_tls13_alone_is_asked_for_neither(tmp_path):
    with servers(tmp_path) as started:
        wiretap = Wiretap(started.nginx(["ecdsa"], "ssl_protocols TLSv1.3;"))
        evidence = scanned(wiretap)

    assert asked_for_both(wiretap) == []
    for rule in ("vuln.heartbleed", "vuln.ccs-injection", "vuln.renegotiation-dos"):
        assert verdict(evidence, rule).reason == "tls1.3-alone"
