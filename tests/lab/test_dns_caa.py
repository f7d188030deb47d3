"""CAA records are looked for as RFC 8659 says, by real queries to a real server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

import pytest

from scanner.evidence import Attempt, CaaRecord, DnsEvidence, Failure, FailureReason, NameCaa, TargetEvidence, not_run
from scanner.inventory import Address, Endpoint, Target
from scanner.probe import ProbeSettings
from scanner.probe.authority.stage import AuthorityStage
from scanner.probe.caa import MAX_NAMES, CaaLookups
from scanner.probe.dns import probe_dns
from scanner.probe.x509.ct_logs import load_logs
from tests.build.dns_server import DnsServer
from tests.build.facts import NOW, certificate, deployment, intermediate, tls, trusted

SETTINGS = ProbeSettings(timeout_s=10)
ZONE = {
    "zone.net.": ['0 issue "ca.example"', '128 iodef "mailto:a@zone.net"'],
    "own.zone.net.": ['0 issue ";"'],
    "hostile.zone.net.": ['0 issue "\\027[31mred"'],
    "many.zone.net.": [f'0 issue "ca{number}.example"' for number in range(120)],
}
EXISTING = {"net.", "www.zone.net.", "deep.www.zone.net.", "net2.", "empty.net2."}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    """A server that this machine's resolver configuration seems to name."""
    running = DnsServer(ZONE, EXISTING)
    running.be_the_resolver(monkeypatch)
    yield running
    running.stop()


def looked_up(host: str, settings: ProbeSettings = SETTINGS) -> DnsEvidence:
    target = Target(Endpoint("e", host, 443), Address("192.0.2.1", 443))
    return asyncio.run(probe_dns(target, settings))


@pytest.mark.usefixtures("server")
def test_a_names_own_records_count():
    evidence = looked_up("own.zone.net")

    assert evidence.caa.value == (CaaRecord("issue", ";"),)
    assert evidence.caa_domain == "own.zone.net"
    assert evidence.addresses == ("192.0.2.1",)


def test_without_any_of_its_own_those_of_the_nearest_ancestor_count(server):
    evidence = looked_up("deep.www.zone.net")

    assert set(evidence.caa.value) == {
        CaaRecord("issue", "ca.example"),
        CaaRecord("iodef", "mailto:a@zone.net", critical=True),
    }
    assert evidence.caa_domain == "zone.net"
    assert server.asked == ["deep.www.zone.net.", "www.zone.net.", "zone.net."]


def test_a_name_that_does_not_exist_has_ancestors_too(server):
    assert looked_up("missing.zone.net").caa_domain == "zone.net"
    assert server.asked == ["missing.zone.net.", "zone.net."]


def test_none_anywhere_is_an_answer_as_well(server):
    evidence = looked_up("empty.net2")

    assert (evidence.caa.value, evidence.caa_domain) == ((), None)
    assert server.asked == ["empty.net2.", "net2."]


@pytest.mark.usefixtures("server")
def test_what_is_in_a_record_is_made_harmless_and_bounded():
    (record,) = looked_up("hostile.zone.net").caa.value

    assert record.value.isprintable()
    assert record.value.endswith("[31mred")
    assert len(looked_up("many.zone.net").caa.value) == 50


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("www.broken.net", "no name server gave an answer"),
        ("www.mute.net", "the resolver gave no answer within 0.3 s"),
    ],
)
def test_a_server_that_fails_leaves_it_unknown(host, words):
    evidence = looked_up(host, ProbeSettings(timeout_s=0.3) if "mute" in host else SETTINGS)

    assert evidence.caa.failure == Failure(FailureReason.RESOLVER_FAILED, words)
    assert evidence.caa_domain is None


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "2001:db8::1", "shop.example", "a.test", "localhost", "printer.local", "x.invalid"]
)
def test_names_that_the_public_dns_does_not_know_are_not_asked_for(server, host):
    assert looked_up(host).caa.failure.reason is FailureReason.UNSUPPORTED
    assert server.asked == []


def test_a_host_under_connect_to_is_not_asked_for(server):
    settings = ProbeSettings(connect_to={"own.zone.net:443": ("127.0.0.1:1",)})

    assert looked_up("own.zone.net", settings).caa.failure.reason is FailureReason.UNSUPPORTED
    assert server.asked == []


def with_names(*names: str, public: bool = True, dns: DnsEvidence | None = None) -> TargetEvidence:
    """What a server shows whose certificate is for these names."""
    leaf = certificate(dns_names=names, fingerprint=hashlib.sha256(repr(names).encode()).hexdigest())
    shown = tls(deployment(leaf, paths=(trusted(leaf, intermediate(), public=public),), revocation=not_run()))
    dns = dns or DnsEvidence(caa=Attempt.ok(()))
    return TargetEvidence(NOW, 1.0, 1, tls=Attempt.ok(shown), dns=Attempt.ok(dns))


def of_the_run(*seen: TargetEvidence, seconds: float = 60, **settings: object) -> list[tuple[NameCaa, ...]]:
    """What the stage of a run adds about the names in certificates."""

    async def run() -> list[tuple[NameCaa, ...]]:
        lookups = CaaLookups(ProbeSettings(timeout_s=10, **settings))
        stage = AuthorityStage(load_logs(None), lookups=lookups)
        for evidence in seen:
            stage.look_at(evidence)
        await stage.finish(seconds)
        return [stage.completed(evidence).dns.value.certificate_names for evidence in seen]

    return asyncio.run(run())


def test_every_name_in_a_public_certificate_is_asked_for_once_a_run(server):
    names = ("own.zone.net", "*.own.zone.net", "www.zone.net", "Empty.Net2", "printer.local")
    first, second = of_the_run(with_names(*names), with_names("deep.www.zone.net"))

    assert {item.domain: item.caa_domain for item in first} == {
        "own.zone.net": "own.zone.net", "www.zone.net": "zone.net", "empty.net2": None, "printer.local": None,
    }  # fmt: skip
    assert first[-1].caa.failure.reason is FailureReason.UNSUPPORTED
    assert second[0].caa_domain == "zone.net"
    assert len(server.asked) == len(set(server.asked)), "ancestors that names share are asked for once"


def test_private_certificates_and_hosts_outside_the_dns_cost_no_question(server):
    elsewhere = DnsEvidence(caa=Attempt.failed(FailureReason.UNSUPPORTED, "under connect-to"))
    forbidden = DnsEvidence(caa=Attempt.failed(FailureReason.NOT_ASKED, "a proxy"))
    seen = [
        with_names("own.zone.net", public=False),
        *(with_names("own.zone.net", dns=dns) for dns in (elsewhere, forbidden)),
    ]

    assert of_the_run(*seen) == [(), (), ()]
    assert server.asked == []


@pytest.mark.usefixtures("server")
def test_a_name_whose_answer_did_not_come_in_time_is_not_taken_for_free():
    ((late,),) = of_the_run(with_names("www.mute.net"), seconds=0.2)
    assert late.domain == "www.mute.net"
    assert late.caa.failure.reason is FailureReason.DEADLINE


@pytest.mark.usefixtures("server")
def test_a_certificate_of_a_thousand_names_makes_a_hundred_look_ups():
    (found,) = of_the_run(with_names(*(f"n{number}.zone.net" for number in range(1000))))
    assert len(found) == MAX_NAMES
