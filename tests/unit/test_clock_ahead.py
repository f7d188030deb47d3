"""A clock that was ahead for a while keeps nobody from being told, and no night from being scanned, when it is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, select

from reports.deliver import Delivery
from reports.message import Level, Message
from scanner.notify import told
from scanner.notify.outbox import Outbox, enqueue
from scanner.state.clock_ahead import bring_back
from scanner.state.database import ALARMS, RECEIVERS
from scanner.state.ledger import Ledger, Start, State

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TONIGHT = NOW.replace(day=2, hour=2)
URLS = {"ops": "json://127.0.0.1/"}


def message(title: str) -> Message:
    return Message(Level.FAILURE, title, title, title)


def ended(ledger: Ledger, due: datetime, state: State = State.DONE) -> Start:
    ledger.add_due("nightly", due)
    (start,) = ledger.waiting(due)
    ledger.claim(start, f"run-{due:%Y%m%d%H}", "digest", due)
    ledger.end(start, state, due)
    return ledger.get(start.id)


@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(days=730)])
def test_a_message_that_was_to_be_tried_later_keeps_no_other_back(engine: Engine, ahead: timedelta) -> None:
    outbox, wrong = Outbox(engine), NOW + ahead
    with engine.begin() as connection:
        enqueue(connection, "ops", message("by the wrong clock"), wrong)
    outbox.deliver_due(URLS, lambda *_: Delivery(delivered=False, reason="refused"), wrong)
    with engine.begin() as connection:
        enqueue(connection, "ops", message("by the right one"), NOW)
    taken: list[str] = []

    def take(_: str, sent: Message) -> Delivery:
        taken.append(sent.title)
        return Delivery(delivered=True)

    assert outbox.deliver_due(URLS, take, NOW) == 0, "so it would stay"
    bring_back(engine, NOW)
    for _ in range(2):
        outbox.deliver_due(URLS, take, NOW)

    assert taken == ["by the wrong clock", "by the right one"]


def test_the_night_that_was_begun_too_early_is_begun_when_it_comes(engine: Engine) -> None:
    ledger = Ledger(engine)
    ended(ledger, NOW - timedelta(days=1))
    ended(ledger, TONIGHT)
    last = ended(ledger, TONIGHT + timedelta(days=1))
    assert not ledger.add_due("nightly", TONIGHT), "so it would stay"

    bring_back(engine, NOW)

    first, *moved = [start.due for start in ledger.recent(10)[::-1]]
    assert first == NOW - timedelta(days=1)
    assert len(moved) == 2
    assert NOW - timedelta(seconds=1) < moved[0] < moved[1] < NOW
    assert ledger.get(last.id).finished_at == NOW
    assert ledger.last_ended()["nightly"].id == last.id
    assert ledger.add_due("nightly", TONIGHT)


def test_an_hour_back_repeats_nothing(engine: Engine) -> None:
    ledger = Ledger(engine)
    ended(ledger, NOW)

    assert bring_back(engine, NOW - timedelta(hours=1)) == 0
    assert not ledger.add_due("nightly", NOW)


def test_what_was_to_be_repeated_later_is_repeated_now(engine: Engine) -> None:
    ledger, wrong = Ledger(engine), NOW + timedelta(days=730)
    start = ended(ledger, wrong, State.INTERRUPTED)
    ledger.again(start, wrong + timedelta(seconds=30))
    assert ledger.waiting(NOW) == []

    bring_back(engine, NOW)

    (again,) = ledger.waiting(NOW)
    assert again.attempt == 2
    assert NOW - timedelta(seconds=1) < again.due < NOW
    assert [item.id for item in ledger.earlier_attempts(again)] == [start.id]


def test_a_start_that_waits_for_the_end_of_a_window_goes_on_waiting(engine: Engine) -> None:
    ledger = Ledger(engine)
    ledger.add_due("nightly", NOW - timedelta(minutes=1))
    (start,) = ledger.waiting(NOW)
    ledger.put_off(start, NOW + timedelta(days=2))

    assert bring_back(engine, NOW) == 0
    assert ledger.waiting(NOW + timedelta(days=1)) == []


def test_steps_before_an_end_are_told_when_they_come_and_nothing_else_again(engine: Engine) -> None:
    wrong = NOW + timedelta(days=40)
    with engine.begin() as connection:
        told.remember(
            connection, "nightly", ["certificate ab 30", "waiver x 14", "looked at e/a:443", "start 7"], wrong
        )
        told.remember(connection, "nightly", ["certificate cd 30"], NOW)

    bring_back(engine, NOW)

    with engine.begin() as connection:
        assert told.known(connection, "nightly") == {"looked at e/a:443", "start 7", "certificate cd 30"}


def test_since_when_something_is_so_has_come(engine: Engine) -> None:
    wrong = NOW + timedelta(days=40)
    alarm = {"schedule": "nightly", "endpoint": "e/a:443", "rule": "cert.expiry", "subject": "", "failing": True}
    with engine.begin() as connection:
        connection.execute(insert(RECEIVERS).values(name="ops", failing_since=wrong, reported=False))
        connection.execute(
            insert(ALARMS).values({**alarm, "flapping": False, "trail": "B", "severity": "high", "since": wrong})
        )

    assert bring_back(engine, NOW) == 2

    with engine.begin() as connection:
        assert connection.scalar(select(RECEIVERS.c.failing_since)) == NOW
        assert connection.scalar(select(ALARMS.c.since)) == NOW
    assert bring_back(engine, NOW) == 0
