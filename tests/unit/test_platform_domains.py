"""A platform's two host names: which of them is a target, and which one is merely not there."""

from __future__ import annotations

import pytest

from scanner.domains import NOBODY_THERE
from scanner.evidence import Attempt, FailureReason, HttpEvidence, TargetEvidence
from scanner.inventory import Address, DomainKey, Endpoint, Environment, EnvironmentKind, Target
from scanner.rules import Observed
from tests.build.at_once import absent_domains
from tests.build.facts import NOW, failing, hop, http, probe, tls

DEFAULT, CUSTOM = "tenant.platform.example", "apps.example.com"
ANSWERS = None


def seen(host, result, *, key=None, ip="192.0.2.1", plain=None) -> Observed:
    """A host that answers, or fails for a reason: over TLS, and in plain for the same one unless another is given."""
    endpoint = Endpoint("cloud", host, 443, http_port=80, implied_by=key)
    if result is ANSWERS:
        evidence = TargetEvidence(NOW, 1.0, 9, Attempt.ok(tls()), Attempt.ok(http()))
    else:
        answer = plain or probe(failing(result), scheme="http")
        evidence = TargetEvidence(NOW, 1.0, 2, Attempt.failed(result), Attempt.ok(HttpEvidence((answer,))))
    return Observed(Target(endpoint, Address(ip, 443, 80)), evidence)


def default(result, **changes) -> Observed:
    return seen(DEFAULT, result, key=DomainKey.DEFAULT, **changes)


def custom(result, **changes) -> Observed:
    return seen(CUSTOM, result, key=DomainKey.CUSTOM, **changes)


def absent(*observed, every_address=True, **domains) -> list[str]:
    environment = Environment(
        "cloud", EnvironmentKind.PAAS, **(domains or {"default_domain": DEFAULT, "custom_domain": CUSTOM})
    )
    found, present = absent_domains(observed, {"cloud": environment}, every_address=every_address)
    assert [item for item in observed if item not in present] == [
        item for item in observed if item.target.endpoint.id in {domain.endpoint for domain in found}
    ]
    return [domain.host for domain in found]


@pytest.mark.parametrize("reason", sorted(NOBODY_THERE))
def test_one_that_is_not_there_while_the_other_answers_is_no_target(reason):
    assert absent(default(reason), custom(ANSWERS)) == [DEFAULT]
    assert absent(default(ANSWERS), custom(reason)) == [CUSTOM]


def test_where_both_answer_both_are_targets():
    assert absent(default(ANSWERS), custom(ANSWERS)) == []


def test_where_neither_answers_both_are_gaps():
    assert absent(default(FailureReason.REFUSED), custom(FailureReason.UNRESOLVABLE)) == []


def test_an_environments_only_host_name_has_to_be_there():
    other = seen("shop.example.com", ANSWERS)

    assert absent(default(FailureReason.REFUSED), other, default_domain=DEFAULT) == []


def test_a_host_under_the_other_domain_answers_for_it():
    assert absent(default(FailureReason.REFUSED), seen(f"shop.{CUSTOM}", ANSWERS)) == [DEFAULT]
    assert absent(default(FailureReason.REFUSED), seen(f"not{CUSTOM}", ANSWERS)) == []


def test_a_domain_under_the_other_does_not_answer_for_itself():
    domains = {"default_domain": f"tenant.{CUSTOM}", "custom_domain": CUSTOM}
    inner = seen(f"tenant.{CUSTOM}", FailureReason.REFUSED, key=DomainKey.DEFAULT)

    assert absent(inner, custom(FailureReason.REFUSED), **domains) == []
    assert absent(inner, custom(ANSWERS), **domains) == [f"tenant.{CUSTOM}"]


def test_a_listed_host_is_a_target_whatever_it_answers():
    assert absent(seen(DEFAULT, FailureReason.REFUSED), custom(ANSWERS)) == []


@pytest.mark.parametrize("reason", sorted(set(FailureReason) - NOBODY_THERE))
def test_what_is_not_shown_to_be_empty_is_a_gap(reason):
    """The scanner's own troubles, and answers of a kind."""
    assert absent(default(reason), custom(ANSWERS)) == []


@pytest.mark.parametrize(
    "plain",
    [
        probe(hop(f"http://{DEFAULT}/"), scheme="http"),
        probe(failing(FailureReason.RESET), scheme="http"),
        probe(failing(FailureReason.DEADLINE), scheme="http"),
    ],
    ids=["served", "reset", "not looked at"],
)
def test_whoever_answers_in_plain_or_may_is_a_target(plain):
    assert absent(default(FailureReason.REFUSED, plain=plain), custom(ANSWERS)) == []


def test_one_address_of_several_that_is_silent_is_a_gap():
    nodes = (default(FailureReason.TIMED_OUT), default(ANSWERS, ip="192.0.2.2"))

    assert absent(*nodes, custom(ANSWERS)) == []
    assert absent(nodes[0], default(FailureReason.REFUSED, ip="192.0.2.2"), custom(ANSWERS)) == [DEFAULT]


def test_where_only_the_first_address_is_looked_at_its_silence_shows_nothing_of_the_others():
    assert absent(default(FailureReason.REFUSED), custom(ANSWERS), every_address=False) == []
    assert absent(default(FailureReason.UNRESOLVABLE), custom(ANSWERS), every_address=False) == [DEFAULT]
