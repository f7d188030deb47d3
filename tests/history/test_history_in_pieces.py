"""A large run is written some targets at a time, and is in the history whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanner.errors import HistoryError
from scanner.history import History, rows, store
from scanner.history.schema import EVIDENCE, TARGETS, VERDICTS
from scanner.history.tables import Tables
from tests.build.records import sample_record

RECORD = sample_record(0)
SEEN = sum(target.evidence is not None for target in RECORD.targets)
JUDGED = sum(bool(target.verdicts) for target in RECORD.targets)


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """One that takes a single target at a time, and two in a commit."""
    monkeypatch.setattr(rows, "_AT_ONCE", 1)
    monkeypatch.setattr(store, "_BATCHES", 2)
    return History.open(tmp_path / "history", create=True)


def test_it_is_read_as_it_was_written(history: History) -> None:
    begun = {table: history.tables.delta(table).version() for table in (TARGETS, VERDICTS, EVIDENCE)}
    history.append(RECORD)
    assert history.record(RECORD.run.id) == RECORD
    commits = {table: history.tables.delta(table).version() - number for table, number in begun.items()}
    assert commits == {TARGETS: 1, VERDICTS: (JUDGED + 1) // 2, EVIDENCE: (SEEN + 1) // 2}
    assert commits[EVIDENCE] > 1


def test_the_pieces_are_those_of_one(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history.append(RECORD)
    monkeypatch.undo()
    whole = History.open(tmp_path / "whole", create=True)
    whole.append(RECORD)
    for table in ("targets", "certificates", "verdicts", "evidence"):
        found = [sorted(getattr(one, table)().astype(str).to_numpy().tolist()) for one in (history, whole)]
        assert found[0] == found[1]
        assert found[0]


def test_broken_off_between_two_pieces_it_is_not_there(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    append, pieces = Tables.append, 0

    def broken_off(self: Tables, table: Any, made: Any, **more: Any) -> None:
        nonlocal pieces
        pieces += table is EVIDENCE
        if pieces > 1:
            raise OSError(28, "No space left on device")
        append(self, table, made, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Tables, "append", broken_off)
        with pytest.raises(HistoryError, match="No space left"):
            history.append(RECORD)
    assert history.runs().empty
    for frame in (history.targets(), history.certificates(), history.verdicts(), history.evidence()):
        assert frame.empty
    history.append(RECORD)
    assert history.record(RECORD.run.id) == RECORD
