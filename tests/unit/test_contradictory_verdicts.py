"""No two verdicts of one target contradict each other, whatever was seen of it, and however much of that got lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.evaluate import judge
from scanner.rules import all_rules, get_rule
from scanner.rules.registry import BoundRule
from scanner.verdict import Goal, Severity, Status, Verdict
from tests.build.exclusions import EXCLUSIONS, excluding_pairs, said
from tests.build.facts import World, facts
from tests.build.partial import losses
from tests.build.rule_cases import CASES

NAMED = {item.rule for pair in EXCLUSIONS for side in pair for item in said(side)}
RULES = [
    BoundRule(rule, rule.severity, rule.parameters(), rule.sources) for rule in all_rules().values() if rule.id in NAMED
]
WORLDS = [case.world for case in CASES]


def verdicts(world: World) -> list[Verdict]:
    known = facts(world)
    return [verdict for rule in RULES for verdict in judge(rule, known)]


def verdict(rule_id: str, reason: str, observed: str = "", subject: str = "") -> Verdict:
    status = get_rule(rule_id).reasons[reason].status
    return Verdict(rule_id, Goal.ENCRYPTION, status, Severity.LOW, reason, "", observed=observed, subject=subject)


def test_the_table_names_rules_and_reasons_that_there_are() -> None:
    for left, right in EXCLUSIONS:
        for item in (*said(left), *said(right)):
            assert item.reason in get_rule(item.rule).reasons, item


@pytest.mark.parametrize("number", range(len(WORLDS)), ids=lambda number: str(CASES[number]))
def test_no_world_of_the_cases_is_judged_in_contradictions(number: int) -> None:
    assert excluding_pairs(verdicts(WORLDS[number])) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, len(WORLDS) - 1), st.lists(st.integers(0, 10_000), min_size=1, max_size=3))
def test_nothing_contradicts_where_facts_got_lost(chosen: int, choices: list[int]) -> None:
    world = WORLDS[chosen]
    for choice in choices:
        possible = list(losses(world))
        if possible:
            world = possible[choice % len(possible)][1](world)
    assert excluding_pairs(verdicts(world)) == []


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (
            verdict("vuln.robot", "rsa-not-offered"),
            verdict("cipher.forward-secrecy", "static", "TLS_RSA_WITH_A (tls1.2)"),
            1,
        ),
        (
            verdict("vuln.robot", "rsa-not-offered"),
            verdict("cipher.forward-secrecy", "static", "TLS_ECDH_ECDSA_WITH_A"),
            0,
        ),
        (verdict("cert.valid-now", "expired", subject="aa"), verdict("cert.expiry", "enough-time", subject="aa"), 1),
        (verdict("cert.valid-now", "expired", subject="aa"), verdict("cert.expiry", "enough-time", subject="bb"), 0),
        (verdict("proto.tls1.2", "offered"), verdict("proto.no-tls1.2", "offered"), 0),
    ],
)
def test_what_excludes_what(first: Verdict, second: Verdict, found: int) -> None:
    assert len(excluding_pairs([first, second])) == found


def test_tls_without_a_version_is_a_contradiction() -> None:
    absent = [
        verdict(f"proto.{name}", "not-offered") for name in ("no-ssl2", "no-ssl3", "no-tls1.0", "no-tls1.1", "tls1.2")
    ]
    spoken = verdict("https.active", "tls")
    assert not excluding_pairs([*absent, spoken])
    assert excluding_pairs([*absent, verdict("proto.tls1.3", "not-offered"), spoken])
    assert {item.status for item in absent} == {Status.PASS, Status.FAIL}
