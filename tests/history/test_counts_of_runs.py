"""One run, counted in the history as it is everywhere else (tests/unit/test_counting.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scanner.history import History
from scanner.history.questions import counts_of_runs
from scanner.verdict import RunRecord
from tests.build.histories import recorded
from tests.build.judged import counts_by_hand, judged_record
from tests.conftest import Runner

RECORD = judged_record(4).record
WANTED = counts_by_hand(RECORD)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    History.open(tmp_path / "history", create=True).append(RECORD)
    (tmp_path / "config.toml").write_text(
        '[nightseal]\nhistory = "history"\n[[environment]]\nname = "test"\nkind = "paas"\n'
    )
    return tmp_path


def test_runs(folder: Path) -> None:
    counts = counts_of_runs(History.open(folder / "history", create=False))
    assert counts.loc[RECORD.run.id].to_dict() == WANTED


def test_command(folder: Path, nightseal: Runner) -> None:
    (row,) = nightseal("history", "runs", "--format", "json", "--config", str(folder / "config.toml")).json
    assert {name: row[name] for name in WANTED} == WANTED


def test_each_of_many_runs(tmp_path: Path) -> None:
    """With notes and waivers in some of them, and one without any verdict."""
    records = [judged_record(night).record for night in range(5)]
    bare = RunRecord(replace(records[0].run, id="20260101T000000Z-000000", expected_targets=0), ())
    history = recorded(tmp_path / "history", (*records, bare))
    counts = counts_of_runs(history)
    assert {str(name): row.to_dict() for name, row in counts.iterrows()} == {
        record.run.id: counts_by_hand(record) for record in (*records, bare)
    }
    assert len({tuple(row) for row in counts.to_numpy()}) > 2
    chosen = records[2].run.id
    assert counts_of_runs(history, [chosen]).to_dict("index") == {chosen: counts_by_hand(records[2])}
