"""Judged one endpoint at a time, out of a file, every target gets the verdicts that all at once give."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from scanner.coverage import Missing
from scanner.domains import Answering
from scanner.evaluate import Judging, evaluate, judge
from scanner.evidence import EvidenceStore
from scanner.inventory import Address, Environment, EnvironmentKind, Inventory, Target
from scanner.policy import Policy
from scanner.rules import Facts, Observed, bind
from scanner.rules.certificates.in_files import is_asked_of
from scanner.verdict import Verdict
from scanner.waiver import Waiver, scope_of
from tests.build.at_once import absent_domains, not_covered
from tests.build.judged import WAIVERS, Judged, judged_record
from tests.build.many import many

NOW = datetime(2026, 3, 20, tzinfo=UTC)
SAMPLE = judged_record(4)


def all_at_once(
    observed: Sequence[Observed],
    environments: Mapping[str, Environment],
    policies: Mapping[str, Policy],
    waivers: Sequence[Waiver],
    now: datetime,
) -> Mapping[str, tuple[Verdict, ...]]:
    """The rules over an estate that is in memory as a whole, written as plainly as can be."""
    users, served, primes = (defaultdict[str, set[str]](set) for _ in range(3))
    for item in observed:
        endpoint, tls = item.target.endpoint, item.evidence.tls.value
        for shown in (tls.certificates.value or ()) if tls else ():
            if not endpoint.is_file:
                users[shown.leaf.fingerprint].add(endpoint.environment)
                served[endpoint.host].add(shown.leaf.fingerprint)
        for offer in tls.protocols.values() if tls else ():
            for suite in offer.value.suites if offer.value else ():
                if suite.dh_modulus is not None:
                    primes[suite.dh_modulus].add(endpoint.environment)
    verdicts: dict[str, tuple[Verdict, ...]] = {}
    for item in observed:
        endpoint = item.target.endpoint
        facts = Facts(
            item.target,
            environments[endpoint.environment],
            item.evidence,
            now,
            tuple(other for other in observed if other is not item and other.target.endpoint.id == endpoint.id),
            {name: frozenset(found) for name, found in users.items()},
            {name: frozenset(found) for name, found in served.items()},
            {name: frozenset(found) for name, found in primes.items()},
        )
        rules = [rule for rule in bind(policies[endpoint.environment]) if is_asked_of(rule.rule.id, endpoint)]
        verdicts[item.target.id] = tuple(
            _waived(verdict, item.target, waivers, now) for rule in rules for verdict in judge(rule, facts)
        )
    return verdicts


def _waived(verdict: Verdict, target: Target, waivers: Sequence[Waiver], now: datetime) -> Verdict:
    place = target.endpoint.environment, target.endpoint.host, target.endpoint.port
    for waiver in waivers:
        near = not waiver.expired(now.date()) and scope_of(waiver.scope).covers(*place)
        if near and waiver.accepts(verdict) and waiver.covers(verdict.rule, *place, verdict.subject):
            return dataclasses.replace(verdict, waiver=waiver.applied)
    return verdict


def observed_of(judged: Judged) -> list[Observed]:
    """The targets of a run of which there is evidence."""
    endpoints = {
        (item.environment, item.host, item.port): item
        for environment in judged.environments.values()
        for item in environment.endpoints
    }
    return [
        Observed(
            Target(
                endpoints[target.environment, target.host, target.port],
                Address(target.ip, target.port, target.http_port) if target.ip else None,
            ),
            target.evidence,
        )
        for target in judged.record.targets
        if target.evidence is not None
    ]


def in_pieces(
    observed: Sequence[Observed], judged: Judged, waivers: Sequence[Waiver], now: datetime
) -> Mapping[str, tuple[Verdict, ...]]:
    """The same as a run does it: kept in a file, noted one by one, judged by endpoint, the last first."""
    store = EvidenceStore()
    kept = [(item.target, store.keep(item.evidence)) for item in observed]
    judging = Judging(judged.environments, judged.policies, waivers, now)
    for target, own in kept:
        judging.note(Observed(target, own.read()))
    found: dict[str, tuple[Verdict, ...]] = {}
    for endpoint in reversed(dict.fromkeys(target.endpoint.id for target, _ in kept)):
        found |= judging.verdicts([Observed(at, own.read()) for at, own in kept if at.endpoint.id == endpoint])
    return found


def test_a_large_estate_in_pieces() -> None:
    judged = many(SAMPLE, 60)
    observed = observed_of(judged)
    want = all_at_once(observed, judged.environments, judged.policies, WAIVERS, NOW)
    assert in_pieces(observed, judged, WAIVERS, NOW) == want
    found = evaluate(observed, judged.environments, judged.policies, WAIVERS, NOW)
    assert found == want
    assert list(found) == list(want)
    assert any(verdict.waiver for verdicts in want.values() for verdict in verdicts)


def test_equal_verdicts_are_one_object() -> None:
    judged = many(SAMPLE, 60)
    found = evaluate(observed_of(judged), judged.environments, judged.policies, WAIVERS, NOW)
    verdicts = [verdict for own in found.values() for verdict in own]
    assert len({id(verdict) for verdict in verdicts}) == len(set(verdicts)) < len(verdicts) / 2


OBSERVED = observed_of(SAMPLE)
PLACES = tuple(item.target.endpoint for item in OBSERVED)


@st.composite
def estates(draw: st.DrawFn) -> list[Observed]:
    """Targets in any order whose evidence is that of any sample, so that certificates are shared and addresses differ."""
    chosen = draw(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(OBSERVED)), max_size=6))
    return [
        Observed(Target(endpoint, Address(f"192.0.2.{number}", endpoint.port, endpoint.http_port)), seen.evidence)
        for number, (endpoint, seen) in enumerate(chosen)
    ]


@given(estates())
def test_any_estate_in_pieces(observed: list[Observed]) -> None:
    want = all_at_once(observed, SAMPLE.environments, SAMPLE.policies, WAIVERS, NOW)
    assert in_pieces(observed, SAMPLE, WAIVERS, NOW) == want
    assert evaluate(observed, SAMPLE.environments, SAMPLE.policies, WAIVERS, NOW) == want


def test_estates_in_which_rules_compare_are_among_them() -> None:
    """Two addresses that show different certificates, and one certificate in two environments: both are judged."""
    first = OBSERVED[0]
    other = next(item for item in OBSERVED if item.target.endpoint.environment != first.target.endpoint.environment)
    endpoint = first.target.endpoint
    observed = [
        Observed(Target(endpoint, Address("192.0.2.1", endpoint.port)), first.evidence),
        Observed(Target(endpoint, Address("192.0.2.2", endpoint.port)), other.evidence),
        Observed(Target(other.target.endpoint, Address("192.0.2.3", endpoint.port)), first.evidence),
    ]
    own = {
        name: dataclasses.replace(item, kind=EnvironmentKind.ON_PREMISES) for name, item in SAMPLE.environments.items()
    }
    judged = Judged(SAMPLE.record, own, SAMPLE.policies)
    alone = [verdict for item in observed for verdict in in_pieces([item], judged, (), NOW)[item.target.id]]
    together = in_pieces(observed, judged, (), NOW)
    compared = {verdict.rule for given in together.values() for verdict in given if verdict not in alone}
    assert {"cert.same-on-all-addresses", "cert.domain"} <= compared


def test_noted_one_by_one_nothing_else_is_missing_or_absent() -> None:
    hosts = frozenset({"shop.example.com"})
    environments = {name: dataclasses.replace(item, known_hosts=hosts) for name, item in SAMPLE.environments.items()}
    inventory = Inventory(tuple(environments.values()))
    missing, answering, store = Missing(inventory), Answering(environments), EvidenceStore()
    for item in OBSERVED:
        read = Observed(item.target, store.keep(item.evidence).read())
        missing.note(read)
        answering.note(read)
    assert missing.listed() == not_covered(inventory, OBSERVED)
    assert missing.listed()[1] > 0
    assert answering.absent(item.target.endpoint for item in OBSERVED) == absent_domains(OBSERVED, environments)[0]
