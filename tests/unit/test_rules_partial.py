"""Evidence in part: what was seen counts, and what was not asked to the end proves nothing.

Every rule is held to it by what it says of itself (`Proof`), on the worlds of its own cases: a new rule is covered by
being there.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.evaluate import judge
from scanner.evidence import Attempt, Failure, FailureReason, Protocol
from scanner.rules import all_rules, get_rule
from scanner.rules.registry import BoundRule, Proof
from scanner.verdict import Status
from tests.build.facts import CBC, TIMED_OUT, World, facts, offer, offers, tls
from tests.build.partial import CUT, cut_off, losses
from tests.build.rule_cases import CASES, Case
from tests.build.watched import read_by

_RANK = [Status.NOT_APPLICABLE, Status.PASS, Status.INDETERMINATE, Status.FAIL]
_BY_RULE: Mapping[str, list[Case]] = defaultdict(list)
for _case in CASES:
    _BY_RULE[_case.rule].append(_case)


_OF_ALL = frozenset({"integrity.fallback-scsv", "clients.supported"})
"""Rules of one answer that fails only where all is known: that there is nothing better to fall from, or in common."""


def worst(rule_id: str, world: World, parameters: Mapping[str, Any]) -> Status:
    rule = get_rule(rule_id)
    bound = BoundRule(rule, rule.severity, rule.parameters.model_validate(dict(parameters)), rule.sources)
    verdicts = judge(bound, facts(world))
    assert "rule-error" not in {verdict.reason for verdict in verdicts}, verdicts
    return max((verdict.status for verdict in verdicts), key=_RANK.index)


def whole_and_cut_off(rule_id: str) -> Iterable[tuple[Case, Status, Status]]:
    for case in _BY_RULE[rule_id]:
        before = worst(rule_id, case.world, case.parameters)
        yield case, before, worst(rule_id, cut_off(case.world), case.parameters)


def rules(proof: Proof) -> list[str]:
    return [rule.id for rule in all_rules().values() if rule.proof is proof]


def test_every_rule_says_what_it_takes_to_judge_it() -> None:
    assert set(rules(Proof.EXISTENTIAL)) == {"https.active", "kex.post-quantum", "proto.tls1.2", "proto.tls1.3"}
    assert len(rules(Proof.SINGULAR)) < len(rules(Proof.UNIVERSAL))


@pytest.mark.parametrize("rule_id", rules(Proof.UNIVERSAL))
def test_a_universal_fails_by_what_was_seen_and_passes_only_where_all_was_asked(rule_id: str) -> None:
    kept = 0
    for case, before, after in whole_and_cut_off(rule_id):
        if before is Status.FAIL:
            assert after in {Status.FAIL, Status.INDETERMINATE}, case
            kept += after is Status.FAIL
        elif before is Status.PASS or before is Status.INDETERMINATE:
            assert after is Status.INDETERMINATE, case
    assert kept, "one offence that was seen fails it, whatever happened afterwards"


@pytest.mark.parametrize("rule_id", rules(Proof.EXISTENTIAL))
def test_an_existential_passes_by_what_was_seen_and_fails_only_where_all_was_asked(rule_id: str) -> None:
    kept = 0
    for case, before, after in whole_and_cut_off(rule_id):
        if before is Status.PASS:
            assert after is Status.PASS, case
            kept += 1
        elif before is Status.FAIL:
            # That nothing at all speaks TLS there is no list that could go on.
            assert after is Status.INDETERMINATE or isinstance(case.world.tls, Attempt), case
    assert kept


@pytest.mark.parametrize("rule_id", rules(Proof.SINGULAR))
def test_what_rests_on_one_answer_stands_with_it(rule_id: str) -> None:
    kept = 0
    for case, before, after in whole_and_cut_off(rule_id):
        assert after in {before, Status.INDETERMINATE}, case
        kept += before is after is Status.FAIL
    assert kept or rule_id in _OF_ALL


@pytest.mark.parametrize(
    ("rule_id", "seen", "whole", "in_part"),
    [
        ("cipher.no-rc4", offer(CBC, "TLS_RSA_WITH_RC4_128_SHA"), Status.FAIL, Status.FAIL),
        ("cipher.no-rc4", offer(CBC), Status.PASS, Status.INDETERMINATE),
        ("proto.no-tls1.1", offer(CBC), Status.FAIL, Status.FAIL),
        ("proto.no-tls1.1", offer(), Status.PASS, Status.INDETERMINATE),
    ],
)
def test_the_three_states_of_a_list(rule_id: str, seen: Attempt[Any], whole: Status, in_part: Status) -> None:
    for attempt, wanted in (
        (seen, whole),
        (Attempt.partial(seen.value, CUT), in_part),
        (Attempt(failure=CUT), Status.INDETERMINATE),
    ):
        assert worst(rule_id, World(tls=tls(protocols=offers(tls1_1=attempt))), {}) is wanted


def test_tls12_is_negotiated_whatever_happened_afterwards() -> None:
    reset = Failure(FailureReason.RESET, "after 3 connections")
    known = dict.fromkeys(Protocol, Attempt(failure=reset))
    known[Protocol.TLS1_2] = Attempt.partial(offer(CBC).value, reset)
    world = World(tls=tls(protocols=known))

    assert worst("proto.tls1.2", world, {}) is Status.PASS
    assert worst("https.active", world, {}) is Status.PASS
    assert worst("proto.tls1.3", world, {}) is Status.INDETERMINATE


def test_where_nothing_was_negotiated_and_something_cut_off_the_cause_is_told() -> None:
    found = judge(
        BoundRule(
            get_rule("proto.no-ssl2"), get_rule("proto.no-ssl2").severity, get_rule("proto.no-ssl2").parameters(), ()
        ),
        facts(World(tls=tls(protocols=offers(tls1_2=TIMED_OUT, tls1_3=offer())))),
    )
    assert "tls1.2: 5 s" in found[0].message


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, len(CASES) - 1), st.lists(st.integers(0, 10_000), min_size=2, max_size=4))
def test_knowing_less_and_less_never_makes_a_verdict_better(chosen: int, choices: list[int]) -> None:
    case = CASES[chosen]
    world, before = case.world, worst(case.rule, case.world, case.parameters)
    lost = []
    for choice in choices:
        possible = list(losses(world))
        if possible:
            name, less = possible[choice % len(possible)]
            world = less(world)
            lost.append(name)

    _never_better(case, before, worst(case.rule, world, case.parameters), " · ".join(lost))


@pytest.mark.parametrize("rule_id", list(all_rules()))
def test_no_single_loss_makes_a_verdict_better(rule_id: str) -> None:
    for case in _BY_RULE[rule_id]:
        judged = functools.partial(worst, rule_id, parameters=case.parameters)
        before = judged(case.world)
        # What it has not looked at it judges alike, whether it is there or not.
        for name, less in losses(case.world, read_by(judged, case.world)):
            _never_better(case, before, worst(rule_id, less(case.world), case.parameters), name)


def test_what_is_read_is_told() -> None:
    world = World(tls=tls(protocols=offers(tls1_2=offer(CBC))))

    assert {"tls", "tls.protocols"} <= read_by(lambda world: worst("proto.tls1.2", world, {}), world)
    assert "http" not in read_by(lambda world: worst("proto.tls1.2", world, {}), world)
    assert read_by(lambda world: facts(world).evidence.http.value, world) == {"http"}
    assert read_by(lambda world: facts(world).evidence.tls.value.robot, world) == {"tls", "tls.robot"}
    assert read_by(lambda world: facts(world).evidence.tls == Attempt(failure=CUT), world) >= {"tls"}


@pytest.mark.parametrize("rule_id", list(all_rules()))
def test_what_is_not_read_changes_nothing(rule_id: str) -> None:
    case = _BY_RULE[rule_id][0]
    judged = functools.partial(worst, rule_id, parameters=case.parameters)
    before, read = judged(case.world), {name for name, _ in losses(case.world, read_by(judged, case.world))}
    unread = [(name, less) for name, less in losses(case.world) if name not in read]
    assert {name for name, less in unread if judged(less(case.world)) is not before} == set()


def _never_better(case: Case, before: Status, after: Status, lost: str) -> None:
    """Nothing is compliant, and nothing is accused, by what is no longer known."""
    if before in {Status.FAIL, Status.INDETERMINATE}:
        assert after is not Status.PASS, (case, lost)
    if before is Status.FAIL:
        assert after is not Status.NOT_APPLICABLE, (case, lost)
    if before in {Status.PASS, Status.INDETERMINATE}:
        assert after is not Status.FAIL, (case, lost)
