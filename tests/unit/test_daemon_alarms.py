"""What is told and what is not: alarms, flapping, expiry."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest

from scanner.history.facts import deployments_of
from scanner.notify import expiry
from scanner.notify.alarms import (
    UNREACHABLE,
    Alarm,
    CheckResult,
    Condition,
    Key,
    Transition,
    confirmed,
    results_of,
    to_confirm,
    update,
)
from scanner.verdict import RunRecord, Severity, TargetStatus
from scanner.waiver import Waiver
from tests.build.records import sample_record

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
BAD, GOOD, PASSING = Condition.FAILING, Condition.OK, Condition.TRANSIENT


def told(outcomes: list[Condition]) -> list[Transition | None]:
    alarm, transitions = Alarm(), []
    for outcome in outcomes:
        alarm, transition = update(alarm, CheckResult(outcome, Severity.HIGH), NOW)
        transitions.append(transition)
    return transitions


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([GOOD, GOOD, BAD, BAD, BAD], [None, None, Transition.FIRING, None, None]),
        ([BAD, GOOD, GOOD], [Transition.FIRING, Transition.RESOLVED, None]),
        ([GOOD, PASSING, GOOD, GOOD], [None, None, None, None]),
        # It comes and goes: told once, and again when it has been the same for four runs.
        (
            [BAD, GOOD, BAD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD, GOOD],
            [
                Transition.FIRING,
                Transition.RESOLVED,
                Transition.FIRING,
                Transition.FLAPPING,
                None,
                None,
                None,
                None,
                Transition.RESOLVED,
                None,
            ],
        ),
        (
            [BAD, GOOD, BAD, GOOD, BAD, BAD, BAD, BAD, BAD],
            [
                Transition.FIRING,
                Transition.RESOLVED,
                Transition.FIRING,
                Transition.FLAPPING,
                None,
                None,
                None,
                None,
                None,
            ],
        ),
        # What is gone at each second look is never told as a failure, but as flapping.
        ([PASSING, PASSING, PASSING], [None, Transition.FLAPPING, None]),
    ],
)
def test_what_is_told(outcomes: list[Condition], expected: list[Transition | None]) -> None:
    assert told(outcomes) == expected


def test_an_alarm_is_remembered_no_longer_than_it_must() -> None:
    alarm = Alarm()
    for outcome in (BAD, GOOD):
        alarm, _ = update(alarm, CheckResult(outcome, Severity.LOW), NOW)
    assert not alarm.idle
    for _ in range(12):
        alarm, _ = update(alarm, CheckResult(GOOD, Severity.LOW), NOW)
    assert alarm.idle


def test_a_run_says_of_an_unreachable_target_only_that() -> None:
    record = sample_record(1)
    unreachable = [target.id for target in record.targets if target.status is TargetStatus.UNREACHABLE]
    found = results_of(record)

    assert unreachable
    for name in unreachable:
        assert found[Key(name, UNREACHABLE)].condition is BAD
        assert [key for key in found if key.target == name and key.rule.startswith("unknown:")] == []
    assert all(result.severity is not Severity.INFO for result in found.values())


def test_only_what_got_worse_is_looked_at_again() -> None:
    found = {
        Key("a", "proto.tls1.3"): CheckResult(BAD, Severity.HIGH),
        Key("b", "proto.tls1.3"): CheckResult(BAD, Severity.HIGH),
        Key("c", "proto.tls1.3"): CheckResult(GOOD, Severity.HIGH),
        Key("d", "proto.tls1.3"): CheckResult(BAD, Severity.HIGH),
    }
    known = {Key("b", "proto.tls1.3"): Alarm(failing=True, trail="B")}

    # "d" is new: there is nothing that it could have got worse than.
    assert to_confirm(found, known, [Key(name, "proto.tls1.3") for name in "abc"]) == {"a"}


def test_what_the_second_look_does_not_see_has_passed_by() -> None:
    key, other, third = Key("a", "proto.tls1.3"), Key("a", "cert.trusted"), Key("b", "cert.trusted")
    found = {name: CheckResult(BAD, Severity.HIGH) for name in (key, other, third)}
    again = {key: CheckResult(GOOD, Severity.HIGH), other: CheckResult(BAD, Severity.HIGH)}

    result = confirmed(found, again)

    assert result[key].condition is PASSING
    assert result[other].condition is BAD
    assert result[third].condition is BAD, "what could not be looked at again is not taken for good"


@pytest.mark.parametrize(
    ("lifetime", "first", "last"),
    [(730, 60, 4), (365, 60, 4), (200, 32.9, 2.2), (90, 14.8, 0.986), (47, 7.73, 0.515), (7, 1.5, 0.0767)],
)
def test_the_steps_are_in_proportion_to_the_lifetime(lifetime: int, first: float, last: float) -> None:
    steps = [step / timedelta(days=1) for step in expiry.steps(timedelta(days=lifetime))]

    assert steps[0] == pytest.approx(first, rel=0.01)
    assert steps[-1] == pytest.approx(last, rel=0.01)
    assert steps == sorted(steps, reverse=True)


def with_lifetime(days: float, begins: datetime) -> RunRecord:
    """A run whose only certificate lasts so many days."""
    record = sample_record(0)
    target = next(target for target in record.targets if deployments_of(target))
    evidence = target.evidence
    assert evidence is not None
    assert evidence.tls.value is not None
    deployment = deployments_of(target)[0]
    leaf = dataclasses.replace(deployment.leaf, not_before=begins, not_after=begins + timedelta(days=days))
    chain = dataclasses.replace(deployment, chain=(leaf,))
    tls = dataclasses.replace(
        evidence.tls.value, certificates=dataclasses.replace(evidence.tls.value.certificates, value=(chain,))
    )
    seen = dataclasses.replace(evidence, tls=dataclasses.replace(evidence.tls, value=tls))
    return dataclasses.replace(record, targets=(dataclasses.replace(target, evidence=seen),))


@pytest.mark.parametrize(("days", "messages"), [(398, 4), (90, 3), (47, 3), (7, 1), (6, 1)])
def test_nightly_runs_tell_of_a_certificate_a_few_times_in_its_life(days: int, messages: int) -> None:
    begins = NOW
    record = with_lifetime(days, begins)
    known: set[str] = set()
    nights = []
    for night in range(1, days + 3):
        for item in expiry.expiring(record, begins + timedelta(days=night, minutes=5), known):
            known |= {item.key, *item.passed}
            nights.append(night)

    assert len(nights) == messages
    assert len(set(nights)) == len(nights)
    assert days - nights[0] <= 60


def test_one_that_is_first_seen_late_is_told_once() -> None:
    record = with_lifetime(365, NOW - timedelta(days=362))
    (item,) = expiry.expiring(record, NOW, set())

    assert item.days_left(NOW) == pytest.approx(3)
    assert len(item.passed) == 3
    assert expiry.expiring(record, NOW, {item.key, *item.passed}) == []


def test_waivers_are_told_twice_before_and_once_after_their_end() -> None:
    waiver = Waiver("proto.*", "e/*", "why", "who", date(2026, 3, 31))
    other = Waiver("proto.*", "test*", "why", "who", date(2026, 3, 31))
    told: set[str] = set()
    days = []
    for day in range(1, 60):
        for item in expiry.waivers_ending([waiver], date(2026, 3, 1) + timedelta(days=day), told):
            told |= {item.key, *item.passed}
            days.append(item.days_left)

    assert days == [14, 3, -1]
    assert expiry.concerned([waiver, other], ["e"]) == [waiver]
