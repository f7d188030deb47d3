"""What may be asked, and how fast: probes that look like attacks can be left out, and a sign of load slows all down."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from scanner.evaluate import evaluate
from scanner.evidence import FailureReason, Robot, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, Target
from scanner.lab import Lab, LabServer
from scanner.pipeline import probe_targets
from scanner.policy import load
from scanner.probe import ProbeSettings
from scanner.rules import Observed
from tests.build.ports import free_port
from tests.build.servers import HOST, program, servers
from tests.build.wiretap import Wiretap
from tests.conftest import reach

ENVIRONMENTS = {"lab": Environment("lab", EnvironmentKind.ON_PREMISES)}
SETTINGS = ProbeSettings(timeout_s=6, deadline_s=60)
ATTACKS = {
    "vuln.heartbleed": "heartbleed",
    "vuln.ccs-injection": "ccs",
    "vuln.renegotiation-dos": "renegotiation",
    "vuln.robot": "robot",
}


@pytest.fixture(scope="module")
def lab():
    with Lab(only=("static-rsa", "good", "robot")) as running:
        assert not running.skipped
        yield running


def scanned(wiretap: Wiretap, server: LabServer, settings: ProbeSettings) -> TargetEvidence:
    async def scan() -> TargetEvidence:
        async with wiretap.standing() as port:
            target = Target(Endpoint("lab", server.host, port, role=Role.APPLICATION), Address("127.0.0.1", port, 1))
            (evidence,) = [seen async for _, seen in probe_targets([target], ENVIRONMENTS, settings)]
            return evidence

    return asyncio.run(scan())


@pytest.mark.parametrize("engine", ["survey", "sslyze"])
def test_what_looks_like_an_attack_is_left_out_on_the_wire(lab, engine):
    server = lab.servers["static-rsa"]
    usual, quiet = (Wiretap(server.actual_port) for _ in range(2))

    bold = scanned(usual, server, replace(SETTINGS, engine=engine)).tls.value
    meek = scanned(quiet, server, replace(SETTINGS, engine=engine, intrusive=False)).tls.value

    # No heartbeat is sent to a server that agrees to none, unless the engine is alone.
    heartbeats = {"heartbleed"} if engine == "sslyze" else set()
    assert usual.attacks == {"ccs", "renegotiation", "robot", "resumption", *heartbeats}
    assert quiet.attacks == set()
    assert len(quiet.said) < len(usual.said)
    assert bold.robot.value is Robot.NOT_VULNERABLE
    left_out = (meek.robot, meek.heartbleed, meek.ccs_injection, meek.client_renegotiation, meek.session_ids)
    assert {attempt.failure.reason for attempt in left_out} == {FailureReason.NOT_ASKED}
    # What ordinary handshakes show is seen all the same.
    assert meek.certificates.value
    assert meek.negotiated == bold.negotiated
    if engine == "survey":
        assert meek.secure_renegotiation == bold.secure_renegotiation
    else:
        assert meek.secure_renegotiation.failure.reason is FailureReason.NOT_ASKED


@pytest.mark.parametrize("how", ["option", "configuration"])
def test_the_rules_of_what_was_left_out_say_that_it_was_not_asked(lab, quick, tmp_path, how):
    (tmp_path / "config.toml").write_text("[scan]\nintrusive = false\n")
    said = ["--no-intrusive"] if how == "option" else ["--config", "config.toml"]
    host = lab.servers["robot"].host

    done = quick("scan", f"{host}:{lab.servers['robot'].port}", *said, *reach(lab, "robot"), "--format", "json")

    (target,) = json.loads(done.out)["targets"]
    verdicts = {item["rule"]: item for item in target["verdicts"] if item["rule"] in ATTACKS}
    assert {item["status"] for item in verdicts.values()} == {"not-applicable"}
    assert {item["reason"] for item in verdicts.values()} == {"not-asked"}
    assert all("look like attacks are switched off" in item["message"] for item in verdicts.values())
    assert len(verdicts) == len(ATTACKS)


@dataclass(frozen=True)
class Kind:
    """A server by what it allows and in which groups, as it is looked at in a role."""

    allowed: bool
    groups: str
    role: Role

    def __str__(self) -> str:
        return f"{'allowed' if self.allowed else 'forbidden'}-{self.groups}-{self.role}"


def kinds(*groups: str) -> tuple[Kind, ...]:
    return tuple(itertools.starmap(Kind, itertools.product((True, False), groups, (Role.APPLICATION, Role.SERVER))))


NGINX = kinds("secp384r1", "prime256v1", "X25519")
HAPROXY = kinds("P-521:P-384", "X25519")
HAPROXY_CONFIGURATION = """global
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend f
  bind 127.0.0.1:{port} ssl crt {pem} curves {curves} {more}
  http-request return status 200
"""
Seen = Mapping[Kind, tuple[Target, TargetEvidence]]


def scanned_together(ports: Mapping[Kind, int]) -> Seen:
    """Those that are no application are waited for: for a ticket that may still come."""
    targets = {
        kind: Target(Endpoint("lab", HOST, port, role=kind.role), Address("127.0.0.1", port, 1))
        for kind, port in ports.items()
    }

    async def scan(target: Target) -> TargetEvidence:
        (evidence,) = [seen async for _, seen in probe_targets([target], ENVIRONMENTS, SETTINGS)]
        return evidence

    async def scan_all() -> list[TargetEvidence]:
        return await asyncio.gather(*map(scan, targets.values()))

    found = asyncio.run(scan_all())
    return {kind: (target, evidence) for (kind, target), evidence in zip(targets.items(), found, strict=True)}


@pytest.fixture(scope="module")
def nginxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Each is a server of its own, for one role alone: none is busy with what another scan asks of it."""
    with servers(tmp_path_factory.mktemp("nginx")) as started:
        ports = {
            kind: started.nginx(
                ["ecdsa"],
                f"{'ssl_early_data on; ' if kind.allowed else ''}ssl_ecdh_curve {kind.groups}; ssl_protocols TLSv1.2 TLSv1.3;",
            )
            for kind in NGINX
        }
        yield scanned_together(ports)


@pytest.fixture(scope="module")
def haproxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("haproxy")
    with servers(folder) as started:
        ports = {kind: free_port() for kind in HAPROXY}
        for kind, port in ports.items():
            config = folder / f"haproxy-{port}.cfg"
            more = "allow-0rtt" if kind.allowed else ""
            pem = started.identities["ecdsa"]
            config.write_text(HAPROXY_CONFIGURATION.format(port=port, pem=pem, curves=kind.groups, more=more))
            started.run([program("haproxy", "haproxy"), "-db", "-f", str(config)], port)
        yield scanned_together(ports)


@pytest.mark.parametrize("kind", NGINX, ids=str)
def test_the_ticket_tells_of_early_data_whatever_group_and_role(nginxes, kind):
    _, evidence = nginxes[kind]
    found = evidence.tls.value

    assert found.max_early_data_size.value == (16384 if kind.allowed else 0)
    if kind.role is Role.SERVER:
        assert found.early_data.failure.reason is FailureReason.NOT_RUN
    else:
        # A HelloRetryRequest refuses it to this client, and to no other.
        assert found.early_data.value is (kind.allowed and kind.groups == "X25519")


@pytest.mark.parametrize("kind", HAPROXY, ids=str)
def test_the_ticket_of_haproxy_tells_of_early_data(haproxies, kind):
    target, evidence = haproxies[kind]

    allowed = evidence.tls.value.max_early_data_size
    assert allowed.value is not None, allowed.failure
    assert (allowed.value > 0) is kind.allowed
    policy = load("https-by-default")
    verdicts = evaluate([Observed(target, evidence)], ENVIRONMENTS, {"lab": policy}, (), evidence.started_at)
    (judged,) = [item for item in verdicts[target.id] if item.rule == "integrity.no-early-data"]
    assert judged.reason == ("on" if kind.allowed else "off")


class Overtaxed(Wiretap):
    """Turns connections away from the fifteenth on, until it is left alone for a while."""

    PAUSE_S = 0.3
    before = 0
    """How many there had been when it began to take them again."""

    def refuses(self) -> bool:
        count = len(self.begun)
        # Two at least: what was turned away, and what was to tell whether the server still answers.
        if count > 16 and not self.before and self.begun[-1] - self.begun[-2] >= self.PAUSE_S:
            self.before = count
        return count >= 15 and not self.before


def test_after_a_sign_of_load_every_engine_asks_one_thing_at_a_time(lab):
    server = lab.servers["good"]
    wiretap = Overtaxed(server.actual_port)

    found = scanned(wiretap, server, SETTINGS)

    assert found.tls.value.certificates.value
    # Heartbleed, CCS injection, renegotiation and the web page are asked for by other engines than the survey.
    assert found.tls.value.heartbleed.value is False
    assert found.http.value.find("https").first.status == 200
    assert wiretap.before
    after = wiretap.begun[wiretap.before :]
    assert len(after) > 10
    # Between two it may be less: one may have been taken late by a busy machine, and the next one at once.
    assert (after[-1] - after[0]) / (len(after) - 1) >= 0.04


def test_what_a_ticket_allows_is_in_the_json(quick):
    with Lab(only=("early-data",)) as running:
        server = running.servers["early-data"]
        done = quick("scan", f"{server.host}:{server.port}", *reach(running), "--format", "json")
    (target,) = json.loads(done.out)["targets"]
    verdicts = {item["rule"]: item["status"] for item in target["verdicts"]}
    assert target["evidence"]["tls"]["max_early_data_size"] == 16_384
    assert verdicts["integrity.no-early-data"] == "fail"
