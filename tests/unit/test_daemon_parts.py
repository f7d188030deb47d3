"""Small parts of the service: finished targets, old reports, its log lines."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from scanner.config.loading import parse
from scanner.errors import UsageError
from scanner.evidence import EvidenceStore
from scanner.jobs.site import open_reports
from scanner.service import logs
from scanner.service.finished_targets import FinishedTargets
from scanner.service.lock import ServiceLock
from scanner.service.orders import socket_of, state_of
from scanner.service.retention import rotate_reports
from scanner.service.spelling import spelled
from scanner.state.database import open_state
from scanner.state.ledger import Ledger, Start
from tests.build.records import sample_record

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)


@pytest.fixture
def start(engine: Engine) -> Start:
    ledger = Ledger(engine)
    ledger.add_due("nightly", NOW)
    return ledger.waiting(NOW)[0]


def test_a_spool_gives_back_what_was_seen_but_no_half_line(tmp_path: Path, start: Start) -> None:
    seen = {target.id: target.evidence for target in sample_record(0).targets if target.evidence is not None}
    finished = FinishedTargets(tmp_path / "state.sqlite", start, "digest")
    store = EvidenceStore()
    for target, evidence in seen.items():
        finished.add(target, store.keep(evidence))
    begun = min(evidence.started_at for evidence in seen.values())
    (file,) = (tmp_path / "state.sqlite.spool").iterdir()
    with file.open("a") as cut:
        cut.write(file.read_text()[:200])

    assert finished.read(begun + timedelta(hours=1)) == seen
    assert finished.read(begun + timedelta(days=2)) == {}, "what is old is not taken for tonight's"
    assert FinishedTargets(tmp_path / "state.sqlite", start, "other").read(begun) == {}, (
        "nor what another configuration saw"
    )
    file.write_text(file.read_text().replace("started_at", "begun_at"))
    assert finished.read(begun) == {}, "nor what is in another form"
    finished.remove()
    assert finished.read(begun) == {}


def test_only_old_reports_of_ours_are_removed(tmp_path: Path) -> None:
    old = ["20250101T020000Z-abcdef.html", "20250101T020000Z-abcdef.pdf"]
    others = ["20260228T020000Z-abcdef.html", "20250101T020000Z.html", "thesis.pdf", "20250101T020000Z-abcdef.html.bak"]
    for name in (*old, *others):
        (tmp_path / name).touch()
    (tmp_path / "20240101T020000Z-abcdef.html").mkdir()
    (tmp_path / "20240102T020000Z-abcdef.html").symlink_to(tmp_path / "thesis.pdf")

    assert rotate_reports(tmp_path, NOW - timedelta(days=30)) == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        *others, "20240101T020000Z-abcdef.html", "20240102T020000Z-abcdef.html",
    }  # fmt: skip
    assert rotate_reports(tmp_path / "missing", NOW) == 0


def fail(secret: str) -> None:
    kept = [secret]
    message = f"broken by {len(kept)}"
    raise ValueError(message)


@pytest.mark.parametrize("form", ["human", "json"])
def test_each_line_names_its_run_and_no_traceback_tells_a_secret(
    form: logs.LogForm, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure(form, about={"run": "run-1"})
        try:
            fail("hush-hush")
        except ValueError:
            logging.getLogger("nightseal.run").exception("failed: %s", "why")
        logging.getLogger("somebody.else").warning("theirs")
        logging.getLogger("nightseal.daemon").info("of another", extra={"run": "run-2"})
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    err = capsys.readouterr().err

    assert "failed: why" in err
    assert "ValueError" in err
    assert "'hush" not in err, "the value of a local variable"
    if form == "json":
        lines = [json.loads(line) for line in err.splitlines()]
        assert [line["run"] for line in lines] == ["run-1", "run-1", "run-2"]
        assert lines[1]["logger"] == "somebody.else"
    else:
        assert err.count("run=run-1") == 2
        assert "run=run-2" in err


@pytest.mark.parametrize("form", ["human", "json"])
def test_what_a_line_is_about_is_a_field_of_its_own_in_json_and_a_sentence_for_people(
    form: logs.LogForm, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure(form)
        named = start.said(reason="the run before it was still in progress", late_s=90)
        logging.getLogger("nightseal.daemon").warning("%(about)s: the start of %(due)s is left out: %(reason)s", named)
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    err = capsys.readouterr().err

    sentence = "schedule nightly: the start of 2026-03-01T02:00:00+00:00 is left out: the run before it was still in"
    assert sentence in err
    if form == "json":
        line = json.loads(err)
        assert line["schedule"] == "nightly"
        assert line["due"] == "2026-03-01T02:00:00+00:00"
        assert (line["state"], line["attempt"], line["late_s"]) == ("waiting", 1, 90)
        assert line["reason"] == "the run before it was still in progress"
        assert "run" not in line, "it has none yet"
    else:
        assert "late_s" not in err
        assert err.count("nightly") == 1


def test_spans_are_spelled_for_people() -> None:
    assert [spelled(timedelta(seconds=seconds)) for seconds in (0.25, 1, 61, 3600, 93784, 180)] == [
        "0.2 s", "1 s", "1 min 1 s", "1 h", "1 d 2 h", "3 min",
    ]  # fmt: skip


def test_a_second_service_by_a_link_finds_the_lock_of_the_first(tmp_path: Path) -> None:
    text = '[[environment]]\nname = "e"\nkind = "paas"\n[[environment.endpoint]]\nhost = "a.example"\n'
    (tmp_path / "data").mkdir()
    open_state(tmp_path / "data" / "state.sqlite").dispose()
    (tmp_path / "folder").symlink_to(tmp_path / "data")
    (tmp_path / "file.sqlite").symlink_to(tmp_path / "data" / "state.sqlite")
    ways = ["data/state.sqlite", "folder/state.sqlite", "file.sqlite", "folder/../data/state.sqlite"]
    found = [parse(f'[daemon]\nstate = "{way}"\n{text}', source="config.toml", folder=tmp_path) for way in ways]

    assert {state_of(config) for config in found} == {tmp_path / "data" / "state.sqlite"}
    assert len({socket_of(config) for config in found}) == 1
    first = ServiceLock(state_of(found[0]))
    first.acquire()
    for config in found[1:]:
        with pytest.raises(UsageError, match="one service for one state"):
            ServiceLock(state_of(config)).acquire()
        assert ServiceLock(state_of(config)).free() == ""
    first.release()
    assert "no service uses" in ServiceLock(state_of(found[0])).free()


def test_a_state_file_with_a_second_name_is_refused(tmp_path: Path) -> None:
    open_state(tmp_path / "state.sqlite").dispose()
    (tmp_path / "other.sqlite").hardlink_to(tmp_path / "state.sqlite")

    with pytest.raises(UsageError, match="has 2 names"):
        ServiceLock(tmp_path / "other.sqlite").acquire()
    # A folder has several names by its nature: what is wrong with it is told by whoever opens it.
    (tmp_path / "folder").mkdir()
    folder = ServiceLock(tmp_path / "folder")
    folder.acquire()
    folder.release()


def test_reports_get_the_mode_that_is_configured_and_nothing_else_does(tmp_path: Path) -> None:
    names = ["20260301T020000Z-abcdef.html", "index.html", "index-2026-03.html", "thesis.pdf"]
    for name in names:
        (tmp_path / name).touch(mode=0o600)
    (tmp_path / "20260302T020000Z-abcdef.html").symlink_to(tmp_path / "thesis.pdf")

    opening = '[nightseal]\noutput = "."\noutput_mode = "0644"'
    open_reports(parse(opening, source="config.toml", folder=tmp_path))

    assert [f"{(tmp_path / name).stat().st_mode & 0o777:o}" for name in names] == ["644", "644", "644", "600"]
    open_reports(parse('[nightseal]\noutput = "."', source="config.toml", folder=tmp_path))
