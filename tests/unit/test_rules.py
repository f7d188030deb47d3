"""Every rule, on built evidence: each reason that it declares is given where it should be, and none other."""

from __future__ import annotations

from collections import defaultdict

import pytest

from scanner.evaluate import judge
from scanner.evidence import Attempt, FailureReason
from scanner.inventory import Role
from scanner.rules import all_rules, get_rule
from scanner.rules.registry import BoundRule
from scanner.rules.registry import rule as declare
from scanner.verdict import Status, Verdict
from tests.build.facts import World, facts
from tests.build.rule_cases import CASES, Case

_OF_THE_NAME = {"dns.dnssec", "dns.ech"}
"""Rules about a host's name, whatever its port speaks."""
_BY_CONFIGURATION = {"inventory.expected-count"}
"""What is configured is known, whatever the target answers."""
_NOT_TLS = ("https.", "headers.", "starttls.", "mail.")
_BY_TLS = [
    name for name in all_rules() if not name.startswith(_NOT_TLS) and name not in _OF_THE_NAME | _BY_CONFIGURATION
]
_BY_HTTP = [rule.id for rule in all_rules().values() if "not-http" in rule.reasons]


def verdicts(rule_id: str, world: World, **parameters: object) -> tuple[Verdict, ...]:
    rule = get_rule(rule_id)
    bound = BoundRule(rule, rule.severity, rule.parameters.model_validate(parameters), rule.sources)
    return judge(bound, facts(world))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_gives_the_reason_that_the_evidence_calls_for(case: Case) -> None:
    found = verdicts(case.rule, case.world, **case.parameters)
    assert {verdict.reason for verdict in found} == {case.reason}, [verdict.message for verdict in found]
    for verdict in found:
        assert "{" not in verdict.message
        assert case.says in verdict.message
        assert verdict.sources
        if verdict.status is Status.FAIL:
            assert verdict.observed, "a failure says what was seen"
            assert verdict.expected, "a failure says what was wanted"
    if case.severity:
        assert {verdict.severity for verdict in found} == {case.severity}
    if case.observed is not None:
        assert [verdict.observed for verdict in found] == [case.observed]
    if case.expected is not None:
        assert [verdict.expected for verdict in found] == [case.expected]
    if case.subjects is not None:
        assert tuple(verdict.subject for verdict in found) == case.subjects


@pytest.mark.parametrize("rule_id", _BY_TLS)
def test_what_could_not_be_observed_is_indeterminate(rule_id: str) -> None:
    found = verdicts(rule_id, World(tls=Attempt.failed(FailureReason.TIMED_OUT, "5 s")))
    assert [verdict.status for verdict in found] == [Status.INDETERMINATE]
    assert "timed-out (5 s)" in found[0].message


@pytest.mark.parametrize("rule_id", _BY_TLS)
def test_a_port_without_tls_is_reported_once_by_https_active(rule_id: str) -> None:
    found = verdicts(rule_id, World(tls=Attempt.failed(FailureReason.NOT_TLS)))
    assert [(verdict.status, verdict.reason) for verdict in found] == [(Status.NOT_APPLICABLE, "no-tls")]


@pytest.mark.parametrize("rule_id", _BY_HTTP)
def test_an_endpoint_that_speaks_no_http_is_not_judged_by_it(rule_id: str) -> None:
    found = verdicts(rule_id, World(role=Role.SERVER, http_port=None))
    assert [(verdict.status, verdict.reason) for verdict in found] == [(Status.NOT_APPLICABLE, "not-http")]


def test_a_rule_is_told_when_nobody_hands_over_what_it_judges() -> None:
    words = dict.fromkeys(("title", "goal", "severity", "why", "how", "sources", "fix"))
    with pytest.raises(KeyError):
        declare("cert.made", of=int, reasons={}, **words)


def test_every_declared_reason_is_given_in_some_case() -> None:
    given = {(case.rule, case.reason) for case in CASES}
    declared = {(rule.id, reason) for rule in all_rules().values() for reason in rule.own_reasons}
    assert declared - given == set()


def test_every_rule_has_a_case_that_passes_fails_and_cannot_be_told() -> None:
    statuses: dict[str, set[Status]] = defaultdict(set)
    for case in CASES:
        statuses[case.rule].add(get_rule(case.rule).reasons[case.reason].status)
    for rule_id in all_rules():
        unknown = set() if rule_id in _BY_CONFIGURATION else {Status.INDETERMINATE}
        assert {Status.PASS, Status.FAIL} | unknown <= statuses[rule_id], rule_id


def test_every_rule_has_the_words_that_people_need() -> None:
    for rule in all_rules().values():
        assert rule.sources, rule.id
        assert rule.fix.summary.endswith("."), rule.id
        for text in (rule.why, rule.how):
            assert len(text) > 10, rule.id
            assert text.endswith("."), rule.id
        for slug, reason in rule.reasons.items():
            assert reason.sentence.endswith((".", "?")), (rule.id, slug)
