"""What receivers are told, and how long it waits for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from reports.deliver import Delivery, problem_of
from reports.deliver_message import (
    Entry,
    EnvironmentSummary,
    Level,
    Message,
    Notification,
    Section,
    compose,
    compose_digest,
)
from scanner.config import Config, parse
from scanner.evidence import Failure, FailureReason
from scanner.inventory import DomainKey
from scanner.notify.alarms import results_of
from scanner.notify.finished_run import FinishedRun
from scanner.notify.outbox import Outbox, enqueue
from scanner.notify.service_problems import notify_failed_runs, notify_silent_receivers
from scanner.state.database import FACTS, OUTBOX, RECEIVERS, open_state
from scanner.state.ledger import Ledger, Start, State
from scanner.verdict import AbsentDomain, RunRecord, Severity, Status
from tests.build.records import sample_record

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
CONFIG = """
[daemon]
report_url = "https://reports.example/n/"
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
notify = ["a", "b"]
[[notify]]
name = "a"
url = "json://127.0.0.1/"
on = ["new-failure", "fixed", "indeterminate", "run-failed", "expiring", "coverage"]
severity = "info"
digest = "run"
[[notify]]
name = "b"
url = "json://127.0.0.1/"
on = ["fixed", "run-failed"]
digest = "week"
[[notify]]
name = "c"
url = "json://127.0.0.1/"
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    state = open_state(tmp_path / "state.sqlite")
    yield state
    state.dispose()


def config() -> Config:
    return parse(CONFIG, source="config.toml", folder=Path())


def section(event: str = "new-failure", level: Level = Level.FAILURE, *entries: Entry) -> Section:
    given = entries or (Entry("TLS 1.3 is offered", Severity.HIGH, ("e/a:443@192.0.2.1",)),)
    return Section(event, level, "A heading", f"{len(given)} things", given)


def notification(*sections: Section, **more: object) -> Notification:
    return dataclasses.replace(Notification("nightly", "run-1", NOW, sections), **more)


def test_the_worst_comes_first_in_one_message() -> None:
    low = Entry("low", Severity.LOW, ("e/b",))
    high = Entry("high", Severity.CRITICAL, ("e/a",))
    told = compose(
        notification(section("fixed", Level.SUCCESS), section("new-failure", Level.FAILURE, low, high)),
        on=["new-failure", "fixed"],
        severity=Severity.LOW,
        attach=True,
    )

    assert told is not None
    assert told.level is Level.FAILURE
    assert told.text.index("Critical: high") < told.text.index("Low: low") < told.text.index("TLS 1.3")
    assert told.html.index("high") < told.html.index("low")


def test_a_late_run_is_no_worse_than_what_it_found() -> None:
    late = section("run-failed", Level.WARNING, Entry("It was late."))
    told = compose(
        notification(late, section("new-failure")),
        on=["new-failure", "run-failed"],
        severity=Severity.LOW,
        attach=False,
    )

    assert told is not None
    assert told.level is Level.FAILURE
    assert told.text.index("TLS 1.3") < told.text.index("It was late")


def test_only_what_was_asked_for_is_told() -> None:
    everything = notification(section("fixed", Level.SUCCESS), section("new-failure"))

    told = compose(everything, on=["fixed"], severity=Severity.LOW, attach=False)
    assert told is not None
    assert told.level is Level.SUCCESS
    assert compose(everything, on=["expiring"], severity=Severity.LOW, attach=False) is None
    assert (
        compose(notification(section("new-failure")), on=["new-failure"], severity=Severity.CRITICAL, attach=False)
        is None
    )


def test_what_is_below_the_severity_is_not_counted() -> None:
    both = section(
        "new-failure",
        Level.FAILURE,
        Entry("low", Severity.LOW, ("a", "b")),
        Entry("high", Severity.HIGH, ("c", "d", "e")),
    )
    told = compose(
        notification(dataclasses.replace(both, summary="5 new failures, worst high")),
        on=["new-failure"],
        severity=Severity.HIGH,
        attach=False,
    )

    assert told is not None
    assert told.title == "Nightseal, nightly: 3 new failures, worst high"
    assert "low" not in told.text


def test_long_lists_are_counted() -> None:
    entries = [Entry(f"rule {number}", Severity.HIGH, tuple(f"e/{host}" for host in range(9))) for number in range(30)]
    told = compose(
        notification(section("new-failure", Level.FAILURE, *entries)),
        on=["new-failure"],
        severity=Severity.LOW,
        attach=False,
    )

    assert told is not None
    assert "and 3 more" in told.text
    assert "and 10 more, in the report" in told.text
    assert "and 10 more, in the report" in told.html


def test_markup_is_text() -> None:
    told = compose(
        notification(section("new-failure", Level.FAILURE, Entry("<script>alert(1)</script>", Severity.LOW, ("<b>",)))),
        on=["new-failure"],
        severity=Severity.LOW,
        attach=False,
    )

    assert told is not None
    assert "<script>" not in told.html
    assert "&lt;script&gt;" in told.html
    assert "<b>" not in told.html


def test_a_digest_says_how_things_stand() -> None:
    summary = EnvironmentSummary(
        "production", targets=12, unreachable=1, failed=3, waived=2, indeterminate=4, passed=700
    )
    told = compose_digest(
        notification(environments=(summary,), links=(("pdf", "https://reports.example/a.pdf"),)), attach=True
    )

    assert told.title == "Nightseal, nightly: nothing changed, 3 open failures"
    assert "production: 12 targets, 1 unreachable, 3 failures, 2 waived, 4 not assessed" in told.text
    assert "https://reports.example/a.pdf" in told.text
    assert 'href="https://reports.example/a.pdf"' in told.html


def test_addresses_are_checked() -> None:
    assert problem_of("json://127.0.0.1/") is None
    assert problem_of("nonsense") is not None
    assert problem_of("mailtos://user:secret@mail.example.com?to=a@example.com") is None


# --- What follows a run ---------------------------------------------------------------------------------------------


def begun(engine: Engine, number: int = 0) -> Start:
    ledger = Ledger(engine)
    due = NOW + timedelta(hours=number)
    ledger.add_due("nightly", due)
    (start,) = ledger.waiting(due)
    ledger.claim(start, f"run-{number}", "digest", due)
    return ledger.get(start.id)


def settle(
    engine: Engine, record: RunRecord, previous: RunRecord | None = None, number: int = 0
) -> list[tuple[str, str]]:
    """Report a run; what was posted by it, as receiver and title."""
    start = begun(engine, number)
    settled = config()
    finished = FinishedRun(
        settled, settled.schedules[0], start, record, previous, results_of(record), [Path("out/run.pdf")], []
    )
    finished.commit(engine, NOW + timedelta(hours=number), 1, "summary")
    with engine.begin() as connection:
        rows = connection.execute(select(OUTBOX).where(OUTBOX.c.start_id == start.id)).all()
    return [(row.receiver, row.title.removeprefix("Nightseal, nightly: ")) for row in rows]


def mended(record: RunRecord) -> RunRecord:
    """The same run with nothing failed."""
    return dataclasses.replace(
        record,
        targets=tuple(
            dataclasses.replace(
                target,
                verdicts=tuple(
                    dataclasses.replace(verdict, status=Status.PASS, waiver=None)
                    if verdict.counts_as_failure
                    else verdict
                    for verdict in target.verdicts
                ),
            )
            for target in record.targets
        ),
    )


def test_a_failure_is_told_once_and_when_it_is_mended(engine: Engine) -> None:
    record = sample_record(1)
    first = settle(engine, record)
    again = settle(engine, record, record, 1)
    fixed = settle(engine, mended(record), record, 2)

    assert [receiver for receiver, _ in first] == ["a", "b"]
    assert "new failure" in first[0][1]
    assert "worst" in first[0][1]
    assert first[1][1].endswith("open failures"), "b asked for nothing of this, but for a digest each week"
    assert "nothing changed" not in first[1][1]
    assert [(receiver, title.partition(",")[0]) for receiver, title in again] == [("a", "nothing changed")]
    assert {receiver for receiver, title in fixed if "fixed" in title} == {"a", "b"}


def test_a_domain_that_is_switched_off_for_a_night_is_told_and_nothing_of_it_is_forgotten(engine: Engine) -> None:
    record = sample_record(1)
    gone = next(target for target in record.targets if any(verdict.counts_as_failure for verdict in target.verdicts))
    failure = Failure(FailureReason.REFUSED)
    absent = AbsentDomain(gone.environment, gone.host, gone.port, DomainKey.DEFAULT, failure)
    without = RunRecord(
        dataclasses.replace(record.run, absent_domains=(absent,)),
        tuple(target for target in record.targets if target.host != gone.host),
    )
    settle(engine, record)
    night = settle(engine, without, record, 1)
    back = settle(engine, record, without, 2)

    assert any("coverage dropped" in title for _, title in night)
    assert not any("fixed" in title for _, title in night)
    assert not any("new failure" in title for _, title in back)


def test_a_history_that_was_there_before_the_service_is_not_told_as_new(engine: Engine) -> None:
    record = sample_record(1)

    told = settle(engine, record, record)

    assert all("new failure" not in title for _, title in told)


def test_a_run_is_settled_once(engine: Engine) -> None:
    record = sample_record(1)
    start = begun(engine)
    settled = config()
    finished = FinishedRun(settled, settled.schedules[0], start, record, None, results_of(record), [], [])
    for _ in range(2):
        assert finished.commit(engine, NOW, 1, "summary") is State.DONE
    with engine.begin() as connection:
        assert len(connection.execute(select(OUTBOX)).all()) == 2
        facts = connection.execute(select(FACTS)).one().facts
    assert sum(facts["targets"]["production"].values()) == sum(t.environment == "production" for t in record.targets)


def test_coverage_that_drops_is_told(engine: Engine) -> None:
    record = sample_record(1)
    fewer = dataclasses.replace(
        record,
        run=dataclasses.replace(record.run, expected_targets=1),
        targets=record.targets[:1],
    )
    before = dataclasses.replace(record, run=dataclasses.replace(record.run, complete=True))
    told = settle(engine, dataclasses.replace(fewer, run=dataclasses.replace(fewer.run, complete=True)), before)

    assert any("coverage dropped" in title for receiver, title in told if receiver == "a")


def test_a_run_that_failed_is_told_once(engine: Engine) -> None:
    start = begun(engine)
    Ledger(engine).end(start, State.FAILED, NOW, reason="the history cannot be written")
    for _ in range(2):
        notify_failed_runs(engine, config(), NOW)
    with engine.begin() as connection:
        rows = connection.execute(select(OUTBOX)).all()

    assert [row.receiver for row in rows] == ["a", "b"]
    assert "the history cannot be written" in rows[0].text


def test_an_interrupted_run_that_is_repeated_is_not_told_of(engine: Engine) -> None:
    start = begun(engine)
    ledger = Ledger(engine)
    ledger.end(start, State.INTERRUPTED, NOW)
    ledger.again(start, NOW)
    notify_failed_runs(engine, config(), NOW)
    with engine.begin() as connection:
        assert connection.execute(select(OUTBOX)).all() == []


# --- The outbox -----------------------------------------------------------------------------------------------------

URLS = {"a": "json://a/", "b": "json://b/"}


class Sender:
    """Takes what is sent, or refuses it."""

    def __init__(self) -> None:
        self.refusing: set[str] = set()
        self.taken: list[tuple[str, str]] = []
        self.tries = 0

    def __call__(self, url: str, message: Message) -> Delivery:
        self.tries += 1
        if url in self.refusing:
            return Delivery(delivered=False, reason="503")
        self.taken.append((url, message.title))
        return Delivery(delivered=True)


def put(engine: Engine, *titles: str, receiver: str = "a") -> None:
    with engine.begin() as connection:
        for title in titles:
            enqueue(connection, receiver, Message(Level.INFO, title, "text", "<p>html</p>"), NOW)


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
        moment += timedelta(seconds=10)
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
