"""CAA and DNSSEC of a really signed zone: Knot DNS signs it, unbound validates it, and the probe asks both."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from scanner.evidence import Attempt, CaaRecord, Dnssec, FailureReason, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.probe import ProbeSettings
from scanner.probe.caa import CaaLookups
from scanner.probe.dns import probe_dns
from scanner.probe.dnssec import dnssec_of
from scanner.rules import get_rule
from scanner.rules.registry import Facts
from scanner.verdict import Status
from tests.build.signed_zone import ORIGIN, SignedZone, signed_zone

_WRONG = f'trust-anchor: "{ORIGIN}. DS 1 13 2 {"00" * 32}"'
_RECORDS = """
@        IN CAA   0 issue "ca.example"
shop     IN A     192.0.2.1
own      IN CAA   0 issue "other.example; accounturi=https://acme.example/1"
own      IN CAA   0 issuewild ";"
own      IN CAA   128 tbs "what is this"
under    IN A     192.0.2.1
alias    IN CNAME own
far      IN CNAME deep.under
deep.under IN A   192.0.2.1
dangling IN CNAME nowhere
*.wild   IN CAA   0 issue "wild.example"
"""


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedZone]:
    with signed_zone(tmp_path_factory.mktemp("dns"), _RECORDS) as running:
        yield running


def records_of(zone: SignedZone, *names: str) -> list[tuple[tuple[str, ...], str | None]]:
    """The values of the records that hold for each name, and where they were found."""

    async def asked() -> list[tuple[tuple[str, ...], str | None]]:
        lookups = CaaLookups(ProbeSettings(timeout_s=5, resolver=zone.resolver))
        found = await asyncio.gather(*(lookups.of(f"{name}.{ORIGIN}".removeprefix(".")) for name in names))
        return [(tuple(sorted(item.value for item in one.caa.value)), one.caa_domain) for one in found]

    return asyncio.run(asked())


def test_the_tree_is_climbed_and_aliases_are_followed(zone: SignedZone) -> None:
    at_the_top = (("ca.example",), ORIGIN)
    theirs = tuple(sorted(("other.example; accounturi=https://acme.example/1", ";", "what is this")))
    assert records_of(zone, "", "shop", "own", "alias", "far", "dangling", "a.wild", "no.such.name") == [
        at_the_top,
        at_the_top,
        (theirs, f"own.{ORIGIN}"),
        # The set of the alias's target counts as the alias's own; the target's ancestors' do not.
        (theirs, f"alias.{ORIGIN}"),
        at_the_top,
        at_the_top,
        (("wild.example",), f"a.wild.{ORIGIN}"),
        at_the_top,
    ]


def observed(host: str, **settings: object) -> object:
    target = Target(Endpoint("e", host, 443), Address("192.0.2.1", 443))
    return asyncio.run(probe_dns(target, ProbeSettings(timeout_s=5, **settings)))


def test_a_signed_name_is_vouched_for(zone: SignedZone) -> None:
    found = observed(f"shop.{ORIGIN}", validating_resolver=zone.resolver)

    assert found.dnssec == Attempt.ok(Dnssec.SIGNED)
    # Without another one it is asked for everything else, too.
    assert found.caa.value == (CaaRecord("issue", "ca.example"),)
    missing = observed(f"no.such.{ORIGIN}", validating_resolver=zone.resolver)
    assert missing.dnssec == Attempt.ok(Dnssec.SIGNED), "that there is no such name is signed as well"


def test_what_is_signed_wrongly_is_bogus_and_what_nobody_signs_is_not(tmp_path) -> None:
    with signed_zone(tmp_path, "shop IN A 192.0.2.1", trusted=_WRONG) as bogus:
        found = observed(f"shop.{ORIGIN}", validating_resolver=bogus.resolver)
    assert found.dnssec == Attempt.ok(Dnssec.BOGUS)
    assert found.caa.failure.reason is FailureReason.RESOLVER_FAILED, "a CA gets no answer either"
    with signed_zone(tmp_path, "shop IN A 192.0.2.1", signed=False) as unsigned:
        found = observed(f"shop.{ORIGIN}", validating_resolver=unsigned.resolver)
    assert found.dnssec == Attempt.ok(Dnssec.UNSIGNED)


def judged(host: str, resolver: str) -> tuple[str, Status]:
    """What `dns.dnssec` says of a name, from what the resolver answered: the rule, reason and status."""
    target = Target(Endpoint("e", host, 443), Address("192.0.2.1", 443))
    records = asyncio.run(probe_dns(target, ProbeSettings(timeout_s=5, validating_resolver=resolver)))
    now = datetime.now(UTC)
    evidence = TargetEvidence(now, 1.0, 0, dns=Attempt.ok(records))
    rule = get_rule("dns.dnssec")
    facts = Facts(target, Environment("e", EnvironmentKind.ON_PREMISES), evidence, now)
    (finding,) = rule.check(facts, rule.parameters())
    return rule.id, rule.reasons[finding.reason].status


def test_a_chain_of_trust_passes_and_a_broken_one_fails(zone: SignedZone, tmp_path) -> None:
    with signed_zone(tmp_path, "shop IN A 192.0.2.1", trusted=_WRONG) as broken:
        assert judged(f"shop.{ORIGIN}", broken.resolver) == ("dns.dnssec", Status.FAIL)
    assert judged(f"shop.{ORIGIN}", zone.resolver) == ("dns.dnssec", Status.PASS)


def test_a_resolver_that_is_none_is_not_believed(zone: SignedZone) -> None:
    # The authority itself answers, and vouches for nothing: it says so by refusing the root.
    refused = asyncio.run(dnssec_of("shop.elsewhere.net", zone.authority, 5))
    assert refused.failure.reason is FailureReason.RESOLVER_FAILED
    assert "REFUSED" in refused.failure.detail
    silent = asyncio.run(dnssec_of(f"shop.{ORIGIN}", "127.0.0.1:1", 0.3))
    assert silent.failure.reason is FailureReason.RESOLVER_FAILED


def test_without_a_resolver_that_validates_nobody_is_asked(zone: SignedZone) -> None:
    found = observed(f"shop.{ORIGIN}", resolver=zone.resolver)
    assert found.dnssec.failure.reason is FailureReason.NOT_ASKED
    assert found.caa_domain == ORIGIN
