"""CAA records are looked for as RFC 8659 says, by real queries to a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from scanner.evidence import CaaRecord, DnsEvidence, Failure, FailureReason
from scanner.inventory import Address, Endpoint, Target
from scanner.probe import ProbeSettings
from scanner.probe.dns import probe_dns
from tests.build.dns_server import DnsServer

SETTINGS = ProbeSettings(timeout_s=2)
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
    evidence = looked_up(host, ProbeSettings(timeout_s=0.3))

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
