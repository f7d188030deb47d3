"""What is told and what is not: alarms, flapping, expiry."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec import structs

from scanner.history.attribution import AWAY
from scanner.history.facts import deployments_of
from scanner.notify import expiry
from scanner.notify.alarms import (
    UNKNOWN,
    UNREACHABLE,
    Alarm,
    CheckResult,
    Condition,
    Key,
    Transition,
    confirmed,
    has_moved,
    results_of,
    to_confirm,
    update,
)
from scanner.notify.sections import AlarmChange, changes
from scanner.verdict import RunRecord, Severity, TargetStatus
from scanner.waiver import Waiver
from tests.build.records import sample_record

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
FAILING, OK, TRANSIENT = Condition.FAILING, Condition.OK, Condition.TRANSIENT


def told(outcomes: list[Condition]) -> list[Transition | None]:
    alarm, transitions = Alarm(), []
    for outcome in outcomes:
        alarm, transition = update(alarm, CheckResult(outcome, Severity.HIGH), NOW)
        transitions.append(transition)
    return transitions


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([OK, OK, FAILING, FAILING, FAILING], [None, None, Transition.FIRING, None, None]),
        ([FAILING, OK, OK], [Transition.FIRING, Transition.RESOLVED, None]),
        ([OK, TRANSIENT, OK, OK], [None, None, None, None]),
        # It comes and goes: told once, and again when it has been the same for four runs.
        (
            [FAILING, OK, FAILING, OK, FAILING, OK, OK, OK, OK, OK],
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
            [FAILING, OK, FAILING, OK, FAILING, FAILING, FAILING, FAILING, FAILING],
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
        ([TRANSIENT, TRANSIENT, TRANSIENT], [None, Transition.FLAPPING, None]),
    ],
)
def test_what_is_told(outcomes: list[Condition], expected: list[Transition | None]) -> None:
    assert told(outcomes) == expected


def test_an_alarm_is_remembered_no_longer_than_it_must() -> None:
    alarm = Alarm()
    for outcome in (FAILING, OK):
        alarm, _ = update(alarm, CheckResult(outcome, Severity.LOW), NOW)
    assert not alarm.idle
    for _ in range(12):
        alarm, _ = update(alarm, CheckResult(OK, Severity.LOW), NOW)
    assert alarm.idle


def test_a_run_says_of_an_unreachable_target_only_that() -> None:
    record = sample_record(1)
    unreachable = [target.endpoint for target in record.targets if target.status is TargetStatus.UNREACHABLE]
    found = results_of(record)

    assert unreachable
    for name in unreachable:
        assert found[Key(name, UNREACHABLE)].condition is FAILING
        assert [key for key in found if key.endpoint == name and key.rule.startswith("unknown:")] == []
    assert all(result.severity is not Severity.INFO for result in found.values())


def test_only_what_got_worse_is_looked_at_again() -> None:
    found = {
        Key("a", "proto.tls1.3"): CheckResult(FAILING, Severity.HIGH),
        Key("b", "proto.tls1.3"): CheckResult(FAILING, Severity.HIGH),
        Key("c", "proto.tls1.3"): CheckResult(OK, Severity.HIGH),
        Key("d", "proto.tls1.3"): CheckResult(FAILING, Severity.HIGH),
    }
    known = {Key("b", "proto.tls1.3"): Alarm(failing=True, trail="B", severity=Severity.HIGH)}

    # "d" is new: there is nothing that it could have got worse than.
    assert to_confirm(found, known, [Key(name, "proto.tls1.3") for name in "abc"]) == {"a"}


def test_what_the_second_look_does_not_see_has_passed_by() -> None:
    key, other, third = Key("a", "proto.tls1.3"), Key("a", "cert.trusted"), Key("b", "cert.trusted")
    found = {name: CheckResult(FAILING, Severity.HIGH) for name in (key, other, third)}
    again = {key: CheckResult(OK, Severity.HIGH), other: CheckResult(FAILING, Severity.HIGH)}

    result = confirmed(found, again)

    assert result[key].condition is TRANSIENT
    assert result[other].condition is FAILING
    assert result[third].condition is FAILING, "what could not be looked at again is not taken for good"


def test_the_second_look_counts_where_it_is_milder() -> None:
    key = Key("e/a:443", "https.integration")
    harsh = CheckResult(FAILING, Severity.HIGH, places=("192.0.2.1", "192.0.2.2"), addresses=2)
    mild = CheckResult(FAILING, Severity.MEDIUM, places=("192.0.2.1",), addresses=2, held=("192.0.2.2",))

    assert confirmed({key: harsh}, {key: mild}) == {key: mild}
    assert confirmed({key: mild}, {key: harsh}) == {key: mild}


# --- Worse and better -----------------------------------------------------------------------------------------------

WORSE, BETTER, FIRING, RESOLVED = Transition.WORSE, Transition.BETTER, Transition.FIRING, Transition.RESOLVED


def levels(*ranks: Severity | None) -> list[Transition | None]:
    """What is told of a failure whose severity changes from run to run; None is a run without it."""
    alarm, transitions = Alarm(), []
    for severity in ranks:
        result = CheckResult(FAILING, severity) if severity else CheckResult(OK, Severity.HIGH)
        alarm, transition = update(alarm, result, NOW)
        transitions.append(transition)
    return transitions


LOW, MEDIUM, HIGH = Severity.LOW, Severity.MEDIUM, Severity.HIGH


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ((MEDIUM, HIGH, HIGH, MEDIUM, None), (FIRING, WORSE, None, BETTER, RESOLVED)),
        ((HIGH, LOW, MEDIUM), (FIRING, BETTER, WORSE)),
        # What changes each night is not told each night, and receivers are left with the worst.
        (
            (MEDIUM, HIGH, MEDIUM, HIGH, MEDIUM, HIGH, MEDIUM, HIGH),
            (FIRING, WORSE, BETTER, WORSE, None, None, None, None),
        ),
        ((MEDIUM, None, HIGH), (FIRING, RESOLVED, FIRING)),
    ],
)
def test_a_change_of_severity_is_told(
    severities: tuple[Severity | None, ...], expected: tuple[Transition | None, ...]
) -> None:
    assert tuple(levels(*severities)) == expected


# --- Places ---------------------------------------------------------------------------------------------------------


def at(*failing: str, held: tuple[str, ...] = (), unknown: tuple[str, ...] = ()) -> CheckResult:
    condition = FAILING if failing else OK
    number = len(failing) + len(held) + len(unknown)
    return CheckResult(condition, HIGH, places=failing, held=held, unknown=unknown, addresses=number)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        # The name moves from address to address: told once.
        ((at("a"), at("b"), at("a"), at("c")), (FIRING, None, None, None)),
        ((at("a"), at("b", "c"), at("d")), (FIRING, None, None)),
        # It spreads to an address where it was seen not to be: worse, once.
        ((at("a", held=("b",)), at("a", "b"), at("a", held=("b",)), at("a", "b")), (FIRING, WORSE, None, None)),
        # Seen to hold where it never failed says nothing of the address that failed.
        ((at("a", held=("b",)), at(held=("b",), unknown=("a",)), at("a", held=("b",))), (FIRING, None, None)),
        ((at("a", held=("b",)), at(held=("a", "b"))), (FIRING, RESOLVED)),
        # Nor does another address that the name has tonight: it stays open, and is not new when it comes again.
        ((at("a"), at(held=("b",))), (FIRING, None)),
        ((at("a", held=("b",)), at(held=("b",)), at("a"), at(held=("b",)), at("a")), (FIRING, None, None, None, None)),
        ((at("a", "b"), at(held=("a",)), at(held=("b",))), (FIRING, None, RESOLVED)),
        ((at("a", "b"), at(held=("a", "b"))), (FIRING, RESOLVED)),
        # Where a name did not resolve there is no address that could come back.
        ((at(""), at(held=("a",))), (FIRING, RESOLVED)),
    ],
)
def test_addresses_are_places_of_an_alarm(
    results: tuple[CheckResult, ...], expected: tuple[Transition | None, ...]
) -> None:
    alarm, transitions = Alarm(), []
    for result in results:
        alarm, transition = update(alarm, result, NOW)
        transitions.append(transition)
    assert tuple(transitions) == expected


@pytest.mark.parametrize("asleep", [(), ("a",)])
def test_an_address_that_is_gone_for_good_ends_what_failed_there(asleep: tuple[str, ...]) -> None:
    """After the bound; not while it is looked at and nothing is known of it."""
    alarm, _ = update(Alarm(), at("a", held=("b",)), NOW)
    ends: list[int] = []
    for night in range(1, 12):
        before, result = alarm, at(held=("b",), unknown=asleep)
        alarm, transition = update(before, result, NOW + timedelta(days=night))
        if transition is RESOLVED:
            ends.append(night)
            assert has_moved(before, result)
    assert ends == ([] if asleep else [AWAY.days])


def test_what_passes_at_each_of_its_addresses_has_not_moved() -> None:
    alarm, _ = update(Alarm(), at("a", "b"), NOW)
    alarm, _ = update(alarm, at(held=("a",)), NOW)
    assert not has_moved(alarm, at(held=("b",)))


def test_it_is_not_better_where_the_worse_address_was_not_looked_at() -> None:
    def seen(severity: Severity, *places: str, held: tuple[str, ...] = ()) -> CheckResult:
        return structs.replace(at(*places, held=held), severity=severity)

    alarm, told = Alarm(), []
    for result in (seen(HIGH, "a"), seen(LOW, "b"), seen(HIGH, "a"), seen(LOW, "b"), seen(LOW, "b", held=("a",))):
        alarm, transition = update(alarm, result, NOW)
        told.append(transition)
    assert told == [FIRING, None, None, None, BETTER]


def test_a_run_says_at_which_addresses_of_a_name_it_is_so() -> None:
    shop = Key("production/shop.example.com:443", "cert.expiry")
    result = results_of(sample_record(1))[shop]

    assert (result.condition, result.places, result.held, result.addresses) == (
        FAILING, ("192.0.2.11",), ("192.0.2.10",), 2,
    )  # fmt: skip


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


@pytest.mark.parametrize(("prefix", "event"), [("", "new-failure"), (UNKNOWN, "indeterminate")])
def test_what_comes_and_goes_is_told_to_those_who_asked_for_its_kind(prefix: str, event: str) -> None:
    alarm, transition = Alarm(), None
    result = CheckResult(TRANSIENT, Severity.CRITICAL, places=("e/a.example:443@192.0.2.7",))
    while transition is None:
        before = alarm
        alarm, transition = update(before, result, NOW)
    assert transition is Transition.FLAPPING
    key = Key("e/a.example:443", f"{prefix}vuln.heartbleed")
    sections = [item for item in changes([AlarmChange(key, transition, result, before, alarm)]) if item.entries]
    assert [(item.event, item.entries[0].severity) for item in sections] == [(event, Severity.CRITICAL)]
