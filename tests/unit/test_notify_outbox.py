"""Messages on their way: reports that come along, what is disarmed, and deliveries."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from reports.deliver_message import inert
from scanner.notify import alarm_store
from scanner.notify.outbox import Outbox
from scanner.notify.service_problems import notify_silent_receivers
from scanner.state.database import OUTBOX, RECEIVERS, open_state
from tests.build.archives import unpack
from tests.build.notified import (
    KEPT,
    MONITOR,
    NOW,
    QUIET,
    URLS,
    WEAK,
    Sender,
    at_addresses,
    changed,
    config,
    failed,
    put,
    settle,
    texts,
)
from tests.build.records import sample_record


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ("redirected to https://evil.example/a", "redirected to hxxps://evil.example/a"),
        ("<!channel> <script>x</script>", "‹!channel› ‹script›x‹/script›"),
        ("@everyone #all", "@\u200beveryone #\u200ball"),
        ("[click](http://evil.example)", "[click] (hxxp://evil.example)"),
        ("javascript:alert(1)", "javascript :alert(1)"),
        ("**bold** _it_ TLS_RSA_WITH_AES", "∗∗bold∗∗ ‗it‗ TLS_RSA_WITH_AES"),
        ("x" * 500, "x" * 400 + "…"),
    ],
    ids=["link", "tags", "mentions", "named link", "scheme", "styles", "length"],
)
def test_what_a_host_said_is_no_markup_no_mention_and_no_link(said: str, made: str) -> None:
    assert inert(said) == made


def test_a_hosts_words_reach_a_message_only_disarmed(engine: Engine) -> None:
    settle(engine, QUIET)
    said = "It redirects to http://evil.example/<!channel>."
    settle(engine, changed(QUIET, MONITOR, "proto.no-tls1.0", **failed(said, reason="no-such-reason")), QUIET, 1)
    told = texts(engine)[-1]

    assert "hxxp://evil.example/‹!channel›" in told
    assert "http://evil" not in told


def test_the_state_file_of_version_0_1_is_taken_over(tmp_path: Path) -> None:
    """It was written by 0.1 over the sample's first three nights, in which nine things failed, then two more."""
    unpack(KEPT, tmp_path)
    old = sqlite3.connect(tmp_path / "v0.1" / "state.sqlite")
    known = {
        (target.rpartition("@")[0], rule, subject)
        for target, rule, subject in old.execute("SELECT target, rule, subject FROM alarms WHERE failing")
    }
    old.close()
    assert len(known) == 11
    for _ in range(2):
        state = open_state(tmp_path / "v0.1" / "state.sqlite")
        with state.begin() as connection:
            alarms = alarm_store.load(connection, "nightly")
            titles = [row.title for row in connection.execute(select(OUTBOX).order_by(OUTBOX.c.id)).all()]
        assert {tuple(key) for key, alarm in alarms.items() if alarm.failing} == known
        assert len(titles) == 3
        state.dispose()
    state = open_state(tmp_path / "v0.1" / "state.sqlite")
    told = settle(state, sample_record(2), sample_record(1), 2000)
    assert [title for receiver, title in told if receiver == "a"] == ["nothing changed, 10 not met"], (
        "one is a host that cannot be reached"
    )
    state.dispose()


def test_messages_are_delivered_in_order_each_once(engine: Engine) -> None:
    put(engine, "first", "second")
    sender, outbox = Sender(), Outbox(engine)

    for _ in range(4):
        outbox.deliver_due(URLS, sender, NOW)

    assert [title for _, title in sender.taken] == ["first", "second"]
    assert outbox.length() == {}


def test_what_is_refused_is_tried_again_ever_more_seldom_also_after_a_restart(engine: Engine) -> None:
    put(engine, "first")
    put(engine, "other", receiver="b")
    sender = Sender()
    sender.refusing = {"json://a/"}
    moment = NOW
    tried = []
    while moment < NOW + timedelta(days=1):
        before = sender.tries
        Outbox(engine).deliver_due(URLS, sender, moment)
        if sender.tries > before:
            tried.append(moment)
        # What comes after minutes is measured in minutes.
        moment += timedelta(seconds=10 if moment < NOW + timedelta(hours=1) else 60)
    pauses = [(after - before).total_seconds() for before, after in pairwise(tried)]

    assert sender.taken == [("json://b/", "other")], "one that refuses keeps nobody else waiting"
    assert 20 <= pauses[0] <= 50
    assert all(2800 <= pause <= 4400 for pause in pauses[-5:])
    assert 25 <= len(tried) <= 45
    sender.refusing = set()
    Outbox(engine).deliver_due(URLS, sender, moment + timedelta(hours=2))
    assert ("json://a/", "first") in sender.taken


def test_a_receiver_that_fails_for_days_is_reported_to_the_others_once(engine: Engine) -> None:
    put(engine, "first")
    sender, outbox = Sender(), Outbox(engine)
    sender.refusing = {"json://a/"}
    for hour in range(0, 60, 2):
        moment = NOW + timedelta(hours=hour)
        outbox.deliver_due({"a": URLS["a"]}, sender, moment)
        notify_silent_receivers(engine, config(), outbox, moment)
    with engine.begin() as connection:
        reports = [row for row in connection.execute(select(OUTBOX)).all() if "silent" in row.title]
        assert [row.receiver for row in reports] == ["b", "c"]
        assert 'The receiver "a" has taken nothing since 2026-03-01 02:00 UTC' in reports[0].text
        assert "503" in reports[0].text
    sender.refusing = set()
    outbox.deliver_due({"a": URLS["a"]}, sender, NOW + timedelta(days=4))
    with engine.begin() as connection:
        row = connection.execute(select(RECEIVERS).where(RECEIVERS.c.name == "a")).one()
    assert (row.failing_since, row.reported) == (None, False)


def test_what_is_a_week_old_and_what_has_no_receiver_is_given_up(engine: Engine) -> None:
    put(engine, "first")
    put(engine, "nobody's", receiver="gone")
    sender, outbox = Sender(), Outbox(engine)
    sender.refusing = {"json://a/"}
    outbox.deliver_due(URLS, sender, NOW + timedelta(days=8))

    assert outbox.length() == {}
    outbox.forget(NOW + timedelta(days=1))
    with engine.begin() as connection:
        assert connection.execute(select(OUTBOX)).all() == []


def test_a_state_file_without_sightings_gets_them_and_keeps_its_alarms(tmp_path: Path) -> None:
    """Version 2 of the file's form did not know when each address was last looked at."""
    path = tmp_path / "state.sqlite"
    state = open_state(path)
    both = at_addresses(QUIET, MONITOR, a13=QUIET, a21=WEAK)
    settle(state, QUIET)
    settle(state, both, QUIET, 1)
    state.dispose()
    with sqlite3.connect(path) as older:
        older.execute("ALTER TABLE alarms DROP COLUMN seen")
        older.execute("UPDATE about SET value = '2' WHERE key = 'version'")
    state = open_state(path)
    told = settle(state, at_addresses(QUIET, MONITOR, a13=QUIET), both, 2)
    with state.begin() as connection:
        known = alarm_store.load(connection, "nightly")
    state.dispose()

    assert not [title for _, title in told if "fixed" in title or "new failure" in title]
    assert [known[key].seen.keys() for key in known if key.rule == "proto.no-tls1.0"] == [{"192.0.2.21"}]
