"""Small parts of the service: the spool, old reports, its log lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from scanner.service import logs
from scanner.service.retention import rotate_reports
from scanner.service.spool import Spool
from scanner.state.database import open_state
from scanner.state.ledger import Ledger, Start
from tests.build.records import sample_record

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    state = open_state(tmp_path / "state.sqlite")
    yield state
    state.dispose()


@pytest.fixture
def start(engine: Engine) -> Start:
    ledger = Ledger(engine)
    ledger.add_due("nightly", NOW)
    return ledger.waiting(NOW)[0]


def test_a_spool_gives_back_what_was_seen_but_no_half_line(tmp_path: Path, start: Start) -> None:
    seen = {target.id: target.evidence for target in sample_record(0).targets if target.evidence is not None}
    spool = Spool(tmp_path / "state.sqlite", start, "digest")
    for target, evidence in seen.items():
        spool.add(target, evidence)
    begun = min(evidence.started_at for evidence in seen.values())
    (file,) = (tmp_path / "state.sqlite.spool").iterdir()
    with file.open("a") as cut:
        cut.write(file.read_text()[:200])

    assert spool.read(begun + timedelta(hours=1)) == seen
    assert spool.read(begun + timedelta(days=2)) == {}, "what is old is not taken for tonight's"
    assert Spool(tmp_path / "state.sqlite", start, "other").read(begun) == {}, "nor what another configuration saw"
    spool.remove()
    assert spool.read(begun) == {}


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
