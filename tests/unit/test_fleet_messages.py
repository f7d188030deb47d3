"""What counts of what workers say, and who is given what: a worker may be lost, late, or taken over."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.evidence import Attempt, Deployment, FailureReason, PathValidation, TargetEvidence, TlsEvidence, to_json
from scanner.fleet.coordinator import FleetDispatcher
from scanner.fleet.leases import IN_FLIGHT, LARGEST, LEASE_S, NO_WORKER_S, SMALLEST, TRIES, Lease, Leases, shards_of
from scanner.fleet.messages import (
    TOGETHER,
    Kind,
    MessageError,
    Shard,
    Told,
    evidence_from,
    said_in,
    shard_from_json,
    shard_to_json,
    told_from,
)
from scanner.fleet.settings import FleetSettings
from scanner.fleet.worker import Teller
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.probe import ProbeSettings
from tests.build.certificates import leaf


def at(number: int, zone: str = "dmz", ip: str | None = None) -> Target:
    return Target(Endpoint(zone, f"h{number}.example", 443), Address(ip or f"192.0.2.{number % 250}", 443))


def spread(count: int, zone: str = "dmz") -> list[Target]:
    return [at(number, zone, f"10.0.{number // 250}.{number % 250}") for number in range(count)]


def told(lease: Lease, kind: Kind = Kind.ACCEPTED) -> Told:
    return Told(lease=lease.token, kind=kind.value)


def test_a_shard_comes_out_as_it_went_in():
    shard = Shard(
        ProbeSettings(connect_to={"a.example:443": ("127.0.0.1:1",)}, headers=(("X-A", "b"),)),
        {"dmz": Environment("dmz", EnvironmentKind.ON_PREMISES, zone="dmz")},
        ("a.example",),
        (at(1), at(2)),
        7,
        {"/etc/ca.pem": "PEM"},
    )

    assert shard_from_json(shard_to_json(shard)) == shard


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"targets": 1}', "null", "gASVBQAAAA=="])
def test_what_is_no_shard_is_refused(text: str):
    with pytest.raises(MessageError):
        shard_from_json(text)


@pytest.mark.parametrize(
    "payload",
    [
        None, 1, "text", [], {}, {"lease": "x"}, {"lease": "x", "kind": "order"}, {"lease": 1, "kind": "done"},
        {"lease": "x", "kind": "done", "extra": 1}, {"lease": "x" * 65, "kind": "done"},
        {"lease": "x", "kind": "done", "evidence": "x" * (4 * 2**20 + 1)}, {"lease": "x", "kind": "done", "target": []},
    ],
)  # fmt: skip
def test_what_no_worker_says_is_refused(payload: object):
    with pytest.raises(MessageError):
        told_from(payload)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_nothing_that_a_worker_says_raises_anything_else(payload: object):
    with pytest.raises(MessageError):
        told_from(payload)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"started_at": "now"}', "[" * 100_000])
def test_what_is_no_evidence_is_refused(text: str):
    with pytest.raises(MessageError):
        evidence_from(text)


def test_what_a_worker_says_is_printable_whatever_it_is():
    evidence = TargetEvidence(datetime.now(UTC), 1.0, 1, tls=Attempt.failed(FailureReason.REFUSED), seen_from="dmz")
    text = (
        to_json(evidence).decode().replace('"reason":"refused"', '"reason":"refused","detail":"\\u001b[2J\\u202eevil"')
    )

    detail = evidence_from(text).tls.failure.detail

    assert detail.isprintable()
    assert detail == "\\x1b[2J\\u202eevil"


def test_all_targets_of_an_address_are_in_one_shard():
    shared = [at(number, ip="192.0.2.1") for number in range(130)]

    shards = shards_of([*spread(240), *shared])

    assert Counter(target.id for shard in shards for target in shard) == Counter(t.id for t in [*spread(240), *shared])
    assert sum(any(target.ip == "192.0.2.1" for target in shard) for shard in shards) == 1
    others = [len(shard) for shard in shards if all(target.ip != "192.0.2.1" for target in shard)]
    assert all(SMALLEST <= size <= LARGEST for size in others[:-1])


def test_an_answer_counts_once_and_for_its_own_shard_alone():
    leases = Leases({"dmz": spread(60), "plant": spread(10, "plant")})
    first, second, third = leases.to_give(0.0)
    mine = next(iter(first.missing))

    assert leases.answered(leases.lease(told(first), 1.0), mine).id == mine
    with pytest.raises(MessageError, match="was already answered"):
        leases.answered(first, mine)
    for other in (second, third):
        with pytest.raises(MessageError, match="not in this shard"):
            leases.answered(first, next(iter(other.missing)))
    with pytest.raises(MessageError, match="not assigned"):
        leases.lease(Told(lease="guessed", kind="done"), 1.0)
    assert third.zone == "plant"
    assert not leases.over


def test_no_zone_has_more_than_a_few_shards_out():
    leases = Leases({"dmz": spread(1000), "plant": spread(1000, "plant")})

    given_out = leases.to_give(0.0)

    assert Counter(lease.zone for lease in given_out) == {"dmz": IN_FLIGHT, "plant": IN_FLIGHT}
    assert leases.to_give(1.0) == []


def test_a_lost_shard_is_given_again_without_what_was_answered_and_at_last_each_target_alone():
    leases, now = Leases({"dmz": spread(4)}), 0.0
    (lease,) = leases.to_give(now)
    leases.answered(leases.lease(told(lease), now), next(iter(lease.missing)))
    tried = Counter(lease.missing.keys())

    for tries in (2, TRIES):
        now += LEASE_S
        assert list(leases.look(now)) == []
        again = leases.to_give(now)
        assert {item.tries for item in again} == {tries}
        assert [len(item.missing) for item in again] == ([3] if tries < TRIES else [1, 1, 1])
        for item in again:
            tried.update(item.missing.keys())
            leases.lease(told(item), now)
        with pytest.raises(MessageError):
            leases.lease(told(lease), now)
        lease = again[0]

    losses = list(leases.look(now + LEASE_S))
    assert {loss.failure.reason for loss in losses} == {FailureReason.ENGINE_ERROR}
    assert {loss.failure.detail for loss in losses} == {"the worker was lost 3 times"}
    assert set(tried.values()) == {3}
    assert leases.over


def test_one_that_is_heard_of_is_not_lost():
    leases, now = Leases({"dmz": spread(4)}), 0.0
    (lease,) = leases.to_give(now)
    for _ in range(10):
        leases.lease(told(lease, Kind.BEAT), now)
        now += LEASE_S - 1
        assert list(leases.look(now)) == []


def test_a_zone_without_a_worker_is_told_within_a_minute_and_the_others_go_on():
    leases = Leases({"dmz": spread(300), "nobody": spread(300, "nobody")})
    given_out = leases.to_give(0.0)
    heard = next(lease for lease in given_out if lease.zone == "dmz")
    leases.lease(told(heard), NO_WORKER_S - 5)

    assert list(leases.look(NO_WORKER_S - 1)) == []
    losses = list(leases.look(NO_WORKER_S))

    assert len(losses) == 300
    assert {loss.failure.reason for loss in losses} == {FailureReason.NO_WORKER}
    assert {loss.target.endpoint.environment for loss in losses} == {"nobody"}
    assert NO_WORKER_S <= 60
    assert not leases.over


def test_what_was_given_out_and_not_taken_is_known_for_a_broker_that_forgot_it():
    leases = Leases({"dmz": spread(200)})
    first, *others = leases.to_give(0.0)
    leases.lease(told(first), 1.0)

    assert leases.untaken() == others


def test_what_nobody_begins_is_given_again_once_where_somebody_was_there():
    """A worker that is killed takes along what it had taken and not begun."""
    leases = Leases({"dmz": spread(100), "nobody": spread(50, "nobody")})
    first, second, _ = leases.to_give(0.0)
    leases.lease(told(first), 10.0)
    for target in list(first.missing):
        leases.answered(leases.lease(told(first), 10.0), target)
    half = NO_WORKER_S / 2

    assert leases.neglected(10.0 + half - 1) == []
    assert leases.neglected(10.0 + half) == [second]
    assert leases.neglected(10.0 + half + 1) == []
    losses = [loss.target.endpoint.environment for loss in leases.look(10.0 + NO_WORKER_S)]
    assert Counter(losses) == {"dmz": 50, "nobody": 50}


def test_what_waits_while_its_worker_is_busy_is_not_given_again():
    leases = Leases({"dmz": spread(100)})
    first, _ = leases.to_give(0.0)
    for moment in range(0, 200, 5):
        leases.lease(told(first, Kind.BEAT), float(moment))
        assert leases.neglected(float(moment)) == []


def test_the_time_in_which_the_broker_is_away_does_not_count():
    leases = Leases({"dmz": spread(100)})
    first, _ = leases.to_give(0.0)
    leases.lease(told(first), 1.0)

    leases.wait(200.0)

    assert list(leases.look(200.0 + LEASE_S)) == []
    assert leases.to_give(200.0 + LEASE_S) == []
    assert leases.neglected(220.0) == []
    assert list(leases.look(201.0 + LEASE_S)) == []
    (again,) = leases.to_give(201.0 + LEASE_S)
    assert again.missing == first.missing, "and goes on after that"


def test_a_worker_that_ends_its_shard_with_targets_missing_is_asked_for_them_again():
    leases = Leases({"dmz": spread(3)})
    (lease,) = leases.to_give(0.0)
    leases.answered(leases.lease(told(lease), 1.0), next(iter(lease.missing)))

    assert list(leases.broken_off(lease)) == []
    (again,) = leases.to_give(2.0)
    assert len(again.missing) == 2


def test_that_a_shard_has_ended_is_no_strange_message(caplog):
    """Its last target was answered for before its worker says so: of a run of several shards each would be warned of."""
    dispatcher = FleetDispatcher(FleetSettings("redis://127.0.0.1:1"), ProbeSettings(), frozenset(), "run")
    leases = Leases({"dmz": [at(1)], "plant": [at(2)]})
    lease, _ = leases.to_give(0.0)
    evidence = to_json(TargetEvidence(datetime.now(UTC), 1.0, 1)).decode()

    def said(kind: str, token: str = lease.token, **more: str) -> dict[str, str]:
        return {"lease": token, "worker": "w", "kind": kind, **more}

    done = said("done", target=next(iter(lease.missing)), evidence=evidence)
    assert len(dispatcher._took(leases, done, 1.0)) == 1
    assert not leases.over
    for kind in ("beat", "finished"):
        assert dispatcher._took(leases, said(kind), 2.0) == []
    assert caplog.messages == []

    for strange in (done, said("refused", detail="no"), said("finished", "guessed")):
        assert dispatcher._took(leases, strange, 2.0) == []
    assert len(caplog.messages) == 3


def test_a_worker_does_not_choose_which_files_of_the_machine_are_opened():
    """Trust stores are opened by their names when authorities are asked: a pipe would hold up the run."""
    own = dataclasses.replace(ProbeSettings(), trust_stores=("mozilla", "/etc/ca.pem"))
    dispatcher = FleetDispatcher(FleetSettings("redis://127.0.0.1:1"), own, frozenset(), "run")
    leases = Leases({"dmz": [at(1), at(2)]})
    (lease,) = leases.to_give(0.0)

    def said(number: int, store: str) -> dict[str, str]:
        deployment = Deployment(
            (leaf("a.example", not_before=datetime.now(UTC), days=90),),
            paths=(PathValidation(store, "aa", trusted=True),),
        )
        tls = TlsEvidence(certificates=Attempt.ok((deployment,)))
        evidence = TargetEvidence(datetime.now(UTC), 1.0, 1, tls=Attempt.ok(tls))
        document = to_json(evidence).decode()
        return {"lease": lease.token, "kind": Kind.DONE.value, "target": at(number).id, "evidence": document}

    assert dispatcher._took(leases, said(1, "/dev/zero"), 0.0) == []
    assert [target for target, _ in dispatcher._took(leases, said(1, "/etc/ca.pem"), 0.0)] == [at(1)]
    assert [target for target, _ in dispatcher._took(leases, said(2, "mozilla"), 0.0)] == [at(2)]


def test_of_several_things_that_are_said_at_once_each_counts_by_itself(caplog):
    dispatcher = FleetDispatcher(FleetSettings("redis://127.0.0.1:1"), ProbeSettings(), frozenset(), "run")
    leases = Leases({"dmz": [at(1), at(2), at(3)]})
    (lease,) = leases.to_give(0.0)
    evidence = to_json(TargetEvidence(datetime.now(UTC), 1.0, 1)).decode()

    def done(number: int, text: str = evidence) -> dict[str, str]:
        return {"lease": lease.token, "kind": "done", "target": at(number).id, "evidence": text}

    at_once = [done(1), done(1), done(2, "{}"), [done(2)], None, done(3), {"lease": lease.token, "kind": "beat"}]
    assert [target for target, _ in dispatcher._took(leases, at_once, 1.0)] == [at(1), at(3)]
    assert len(caplog.messages) == 4
    assert dispatcher._took(leases, [done(2)] * (TOGETHER + 1), 2.0) == []
    assert list(lease.missing) == [at(2).id]


def test_what_is_found_within_a_moment_is_said_in_one_message():
    teller = Teller(None, None, "lease", "w")
    teller.say(Kind.ACCEPTED)
    for number in range(TOGETHER + 5):
        teller.say(Kind.DONE, target=str(number), evidence="{}")
    teller.say(Kind.FINISHED)
    teller.say(Kind.DONE, target="large", evidence="x" * 2**19)
    teller.say(Kind.DONE, target="larger", evidence="x" * (2**19 + 1))
    teller.say(Kind.DONE, target="largest", evidence="x" * 2**21)
    teller.say_no_more()
    said = list(iter(teller.next, []))

    assert [len(message) for message in said] == [1, TOGETHER, 6, 1, 1, 1]
    assert all(said_in(message) == message for message in said)
    things = [(thing["kind"], thing.get("target")) for message in said for thing in message]
    numbers = [("done", str(number)) for number in range(TOGETHER + 5)]
    large = [("done", target) for target in ("large", "larger", "largest")]
    assert things == [("accepted", None), *numbers, ("finished", None), *large]
