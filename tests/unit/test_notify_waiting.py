"""Messages and the reports that are drawn meanwhile: who waits for them, how long, and what is told of those missing."""

from __future__ import annotations

import os
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, Row, select

from reports.deliver_message import compose
from reports.message import Level, Message
from scanner.config.loading import parse
from scanner.notify.alarms import results_of
from scanner.notify.finished_run import FinishedRun
from scanner.notify.outbox import Outbox, enqueue
from scanner.notify.routing import HELD
from scanner.service.report_worker import lower_priority
from scanner.state.database import OUTBOX, STARTS, open_state
from scanner.state.ledger import Ledger, State
from scanner.verdict import Severity
from tests.build.archives import unpack
from tests.build.notified import CONFIG, KEPT, NOW, URLS, Sender, begun, put, section
from tests.build.notified import notification as told_of
from tests.build.records import sample_record

PLAIN = CONFIG.replace("https://reports.example/n/", "")
SOON = NOW + timedelta(seconds=1)


def finished(engine: Engine, text: str = PLAIN, *reports: Path) -> FinishedRun:
    settled, record = parse(text, source="config.toml", folder=Path()), sample_record(1)
    known = results_of(record)
    return FinishedRun(settled, settled.schedules[0], begun(engine), record, None, known, reports, ["It was late."])


def rows(engine: Engine, receiver: str = "a") -> list[Row[tuple[object, ...]]]:
    with engine.begin() as connection:
        return list(connection.execute(select(OUTBOX).where(OUTBOX.c.receiver == receiver).order_by(OUTBOX.c.id)))


def sent(engine: Engine, after: timedelta) -> Sender:
    sender = Sender()
    Outbox(engine).deliver_due(URLS, sender, NOW + after)
    return sender


def test_a_message_waits_for_the_reports_that_it_takes_along_and_no_longer(engine: Engine, tmp_path: Path) -> None:
    run = finished(engine, PLAIN, tmp_path / "run.pdf")
    run.tell(engine, NOW)

    assert sent(engine, HELD - timedelta(seconds=1)).taken == []
    run.end(engine, NOW, 1, "summary", [])
    assert {url for url, _ in sent(engine, timedelta(seconds=1)).taken} == set(URLS.values())
    assert all("not drawn yet" not in row.text for row in rows(engine))


def test_one_whose_start_ends_otherwise_waits_no_longer(engine: Engine, tmp_path: Path) -> None:
    run = finished(engine, PLAIN, tmp_path / "run.pdf")
    run.tell(engine, NOW)
    assert Ledger(engine).end(run.start, State.FAILED, NOW, reason="its process was killed 4 times")

    assert {row.held_until for row in rows(engine)} == {None}


def test_where_they_take_too_long_it_goes_without_and_says_so(engine: Engine, tmp_path: Path) -> None:
    finished(engine, PLAIN, tmp_path / "run.pdf").tell(engine, NOW)
    texts = list[str]()

    class Reader(Sender):
        def __call__(self, url, message):  # type: ignore[no-untyped-def]  # as the sender's
            texts.extend((message.text, message.html))
            return super().__call__(url, message)

    Outbox(engine).deliver_due(URLS, Reader(), NOW + HELD)
    assert len(texts) == 2 * len(URLS)
    assert all(text.count("Not all reports were drawn yet when this was sent.") == 1 for text in texts)


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        (("", ""), True),
        (('digest = "run"', 'digest = "run"\nattach = "never"'), False),
        (("json://127.0.0.1/", "ntfy://127.0.0.1/topic"), True),
        (("json://127.0.0.1/", "gchat://workspace/key/token"), False),
        (('report_url = ""', 'report_url = "https://reports.example/"'), False),
    ],
    ids=["attached", "never", "takes files", "takes no files", "linked"],
)
def test_what_takes_no_report_along_waits_for_none(
    engine: Engine, tmp_path: Path, change: tuple[str, str], *, waits: bool
) -> None:
    finished(engine, PLAIN.replace(*change), tmp_path / "run.pdf").tell(engine, NOW)
    (row,) = rows(engine)

    assert (row.held_until == NOW + HELD) is waits
    assert (row.held_until is None) is not waits
    assert bool(row.files) is waits


def test_a_link_says_that_the_report_is_being_drawn(engine: Engine, tmp_path: Path) -> None:
    finished(engine, CONFIG, tmp_path / "run-1.pdf").tell(engine, NOW)
    (row,) = rows(engine)

    said = "It is drawn after this message is sent"
    assert f"Report (pdf): https://reports.example/n/run-1.pdf\n{said}" in row.text
    assert said in row.html
    message = compose(
        told_of(section(), links=(("pdf", "https://reports.example/n/run-1.pdf"),)),
        on={"new-failure"},
        severity=Severity.LOW,
        attach=False,
    )
    assert message is not None
    assert said not in message.text + message.html


def test_one_that_waits_keeps_no_other_from_its_receiver(engine: Engine, tmp_path: Path) -> None:
    finished(engine, PLAIN, tmp_path / "run.pdf").tell(engine, NOW)
    put(engine, "another")

    assert sent(engine, timedelta(seconds=1)).taken == [("json://a/", "another")]


def test_which_reports_are_missing_is_told_once_and_is_in_the_reason(engine: Engine, tmp_path: Path) -> None:
    run = finished(engine, PLAIN, tmp_path / "run.pdf")
    run.tell(engine, NOW)
    for _ in range(2):
        assert run.end(engine, NOW, 1, "summary", ["The pdf report was not written: <b>no</b> memory"]) is State.DONE
    first, second = rows(engine)

    assert (first.held_until, second.held_until) == (None, None)
    assert "It was late." in first.text
    assert second.title == "Nightseal, nightly: reports are missing"
    assert "The pdf report was not written: ‹b›no‹/b› memory" in second.text
    assert second.files == []
    assert "It was late." not in second.text
    with engine.begin() as connection:
        start = connection.execute(select(STARTS)).one()
    assert start.reason == "It was late.; The pdf report was not written: <b>no</b> memory"


def test_what_was_told_is_not_told_again_and_stays_told(engine: Engine) -> None:
    run = finished(engine)
    assert run.tell(engine, NOW)
    Ledger(engine).recorded(run.start.id)

    assert Ledger(engine).get(run.start.id).state is State.TOLD
    assert not run.tell(engine, NOW)
    assert [start.id for start in Ledger(engine).open()] == [run.start.id]


def test_a_state_file_of_before_has_no_message_that_waits(tmp_path: Path) -> None:
    unpack(KEPT, tmp_path)
    place = tmp_path / "v0.1" / "state.sqlite"
    for _ in range(2):
        state = open_state(place)
        with state.begin() as connection:
            enqueue(connection, "a", Message(Level.INFO, "last", "", ""), NOW, held_until=NOW)
            held = [row.held_until for row in connection.execute(select(OUTBOX).order_by(OUTBOX.c.id))]
        state.dispose()
        # The next time it is one of the version before, which knew the form of alarms of today.
        with sqlite3.connect(place) as raw:
            raw.execute("ALTER TABLE outbox DROP COLUMN held_until")
            raw.execute("UPDATE about SET value = '3'")
    assert held == [None] * 4 + [NOW]


def test_where_a_sandbox_refuses_a_lower_priority_reports_are_drawn_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[int]()

    def refused(by: int) -> int:
        asked.append(by)
        raise PermissionError

    monkeypatch.setattr(os, "nice", refused)
    lower_priority()
    assert asked == [3]
