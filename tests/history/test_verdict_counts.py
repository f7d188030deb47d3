"""How many verdicts there are of each kind: kept with each run, and counted where an older version kept nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from scanner.history import History
from scanner.history.questions import counts_of_runs, trend
from scanner.history.schema import RUNS
from tests.build.archives import unpack
from tests.build.histories import recorded
from tests.build.judged import judged_record
from tests.build.notified import KEPT
from tests.build.records import sample_record

KIND = ["run_id", "run_started_at", "environment", "goal", "severity", "status", "waived"]


def by_hand(history: History) -> dict[tuple[str, ...], int]:
    """The same, counted from each verdict."""
    rows = history.verdicts()[KIND].astype(str)
    return {tuple(key): int(number) for key, number in rows.value_counts().items()}


def as_told(table: pd.DataFrame) -> dict[tuple[str, ...], int]:
    rows = table[KIND].astype(str)
    return dict(zip(map(tuple, rows.to_numpy().tolist()), table["verdicts"].tolist(), strict=True))


@pytest.fixture
def history(tmp_path: Path) -> History:
    return recorded(tmp_path / "history", tuple(judged_record(night).record for night in range(3)))


def test_kept_counts_are_those_of_the_verdicts(history: History) -> None:
    found = trend(history)

    assert as_told(found) == by_hand(history)
    assert found["verdicts"].sum() == len(history.verdicts())
    names = history.order()
    assert as_told(trend(history, names[1:2])) == {
        key: number for key, number in by_hand(history).items() if key[0] == names[1]
    }
    assert trend(history, []).empty


def test_they_are_told_without_a_look_at_any_verdict(history: History, tmp_path: Path) -> None:
    told, counts = trend(history), counts_of_runs(history)
    for data in (tmp_path / "history" / "verdicts").rglob("*.parquet"):
        data.unlink()

    pd.testing.assert_frame_equal(trend(history), told)
    pd.testing.assert_frame_equal(counts_of_runs(history), counts)


def test_what_an_older_version_wrote_is_counted_and_goes_on(tmp_path: Path) -> None:
    unpack(KEPT, tmp_path)
    history = History.open(tmp_path / "v0.1" / "history", create=True)
    before = trend(history)
    assert as_told(before) == by_hand(history)
    history.append(sample_record(3))

    assert as_told(trend(history)) == by_hand(history)
    kept = history.arrow(RUNS, columns=("verdict_counts",)).column(0).to_pylist()
    assert [item is None for item in kept].count(True) == 3
    both = trend(history)
    assert both.dtypes.to_dict().keys() == before.dtypes.to_dict().keys()
    assert both["severity"].cat.ordered
    assert both["verdicts"].dtype == before["verdicts"].dtype


def test_what_is_kept_is_what_the_schema_says(history: History) -> None:
    for row in history.arrow(RUNS, columns=("run_id", "verdict_counts")).to_pylist():
        kinds = json.loads(row["verdict_counts"])
        assert all(len(kind) == 6 for kind in kinds)
        assert sum(kind[-1] for kind in kinds) == len(history.verdicts([row["run_id"]]))
