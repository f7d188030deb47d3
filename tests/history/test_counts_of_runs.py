"""One run, counted in the history as it is everywhere else (tests/unit/test_counting.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.history import History
from scanner.history.questions import counts_of_runs
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
