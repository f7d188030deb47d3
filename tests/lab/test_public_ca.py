"""What is judged of public CAs alone: the lab's root stands in for Mozilla's, and a DNS server on loopback for the DNS.

All the rest is real: the certificates come from servers of the lab, the records by queries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import certifi
import pytest

from scanner.evidence import Attempt, SctCheck, SctSource, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.lab import Lab
from scanner.probe import ProbeSettings
from scanner.probe.authority.stage import AuthorityStage
from scanner.probe.dns import probe_dns
from scanner.probe.survey.probe import survey
from scanner.probe.x509.ct_logs import load_logs
from scanner.rules import Facts, get_rule
from scanner.verdict import Status
from tests.build.dns_server import DnsServer

ZONE = {
    "ours.net.": ['0 issue "nightseal.example"'],
    "theirs.net.": ['0 issue "letsencrypt.org"'],
    "nobodys.net.": ['0 issue ";"'],
}
EXISTING = {"net.", "open.net."}
SERVERS = ("good", "logged", "forged-scts", "logged-in-handshake", "forged-in-handshake", "logged-in-staple")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(only=SERVERS) as running:
        yield running


@pytest.mark.parametrize(
    ("server", "host", "rule_id", "reason", "status"),
    [
        ("logged", "ours.net", "cert.transparency", "enough", Status.PASS),
        ("good", "ours.net", "cert.transparency", "too-few", Status.FAIL),
        ("forged-scts", "ours.net", "cert.transparency", "forged", Status.FAIL),
        ("logged-in-handshake", "ours.net", "cert.transparency", "enough", Status.PASS),
        ("forged-in-handshake", "ours.net", "cert.transparency", "forged", Status.FAIL),
        # Chrome takes none of a staple any more; that they are good is seen all the same.
        ("logged-in-staple", "ours.net", "cert.transparency", "too-few", Status.FAIL),
        ("good", "ours.net", "dns.caa", "allows", Status.PASS),
        ("good", "www.ours.net", "dns.caa", "allows", Status.PASS),
        ("good", "open.net", "dns.caa", "no-record", Status.FAIL),
        ("good", "nobodys.net", "dns.caa", "other-issuer", Status.FAIL),
        ("good", "ours.net", "cert.issuer", "allowed", Status.PASS),
        ("logged", "theirs.net", "cert.issuer", "other-issuer", Status.FAIL),
        ("good", "theirs.net", "dns.caa", "other-issuer", Status.FAIL),
    ],
)
def test_a_public_certificate_is_judged(  # noqa: PLR0913, PLR0917  # a case has that many parts
    lab: Lab, monkeypatch: pytest.MonkeyPatch, server: str, host: str, rule_id: str, reason: str, status: Status
) -> None:
    monkeypatch.setattr(certifi, "where", lambda: str(lab.ca_file))
    dns = DnsServer(ZONE, EXISTING)
    dns.be_the_resolver(monkeypatch)
    try:
        facts = observed(lab, server, host)
    finally:
        dns.stop()
    rule = get_rule(rule_id)
    # The lab's authority is in no list of those of the web.
    listed = "*O=Nightseal Lab*" if server == "good" else "*O=Let's Encrypt*"
    own = {
        "dns.caa": {"identifiers": {"Nightseal Lab": ("nightseal.example",)}},
        "cert.issuer": {"allowed": (listed,)},
    }.get(rule_id, {})
    found = [finding.reason for finding in rule.check(facts, rule.parameters(**own))]

    assert found == [reason]
    assert rule.reasons[reason].status is status


@pytest.mark.parametrize(
    ("server", "source", "check"),
    [
        ("logged", SctSource.CERTIFICATE, SctCheck.VALID),
        ("forged-scts", SctSource.CERTIFICATE, SctCheck.BAD_SIGNATURE),
        ("logged-in-handshake", SctSource.TLS, SctCheck.VALID),
        ("forged-in-handshake", SctSource.TLS, SctCheck.BAD_SIGNATURE),
        ("logged-in-staple", SctSource.STAPLE, SctCheck.VALID),
    ],
)
def test_every_timestamp_is_verified_however_it_comes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, server: str, source: SctSource, check: SctCheck
) -> None:
    monkeypatch.setattr(certifi, "where", lambda: str(lab.ca_file))
    dns = DnsServer(ZONE, EXISTING)
    dns.be_the_resolver(monkeypatch)
    try:
        tls = observed(lab, server, "ours.net").evidence.tls.value
    finally:
        dns.stop()
    assert tls is not None
    found = [item.transparency.value for item in tls.certificates.value or ()]
    assert {(sct.source, sct.check) for one in found if one is not None for sct in one.scts} == {(source, check)}


def observed(lab: Lab, server: str, host: str) -> Facts:
    """A server of the lab under a name of the zone, which it does not ask about."""
    address = Address(lab.servers[server].address, lab.servers[server].actual_port)
    target = Target(Endpoint("e", host, 443), address)
    settings = ProbeSettings(timeout_s=8, deadline_s=60)
    tls, connections = asyncio.run(survey(target, settings))
    records = asyncio.run(probe_dns(target, settings))
    now = datetime.now(UTC)
    evidence = TargetEvidence(now, 1.0, connections, tls=tls, dns=Attempt.ok(records))
    evidence = AuthorityStage(load_logs(str(lab.ct_logs_file))).completed(evidence)
    return Facts(target, Environment("e", EnvironmentKind.ON_PREMISES), evidence, now)
