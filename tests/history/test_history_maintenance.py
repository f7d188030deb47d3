from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError

from scanner.errors import HistoryError
from scanner.history import History
from scanner.history.forgetting import forget
from scanner.history.maintenance import GRACE, MANY_FILES, Maintenance, maintain
from scanner.history.rows import Writing
from scanner.history.schema import EVIDENCE, RUNS, TABLES, VERDICTS, Table
from scanner.history.tables import Tables
from scanner.verdict import RunRecord
from tests.build.records import FIRST_NIGHT, sample_record
from tests.build.stored_rows import tables_of

DAY = timedelta(days=1)
NIGHTS = MANY_FILES + 2


def numbered(number: int) -> RunRecord:
    record = sample_record(number % 5)
    run = dataclasses.replace(record.run, id=f"run{number:03}", started_at=FIRST_NIGHT + number * DAY)
    return dataclasses.replace(record, run=run)


def bare(record: RunRecord) -> RunRecord:
    return dataclasses.replace(record, targets=tuple(dataclasses.replace(t, evidence=None) for t in record.targets))


@pytest.fixture(scope="module")
def ten_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ten") / "history"
    history = History.open(folder, create=True)
    for number in range(NIGHTS):
        history.append(numbered(number))
    return folder


@pytest.fixture
def history(ten_nights: Path, tmp_path: Path) -> History:
    return History.open(shutil.copytree(ten_nights, tmp_path / "history"), create=True)


def test_runs_keep_their_order_whatever_is_put_together_or_forgotten_between_them(history: History) -> None:
    before = history.order()
    maintain(history, now=FIRST_NIGHT + NIGHTS * DAY)
    forget(history, before[-1], who="a", why="b", now=FIRST_NIGHT)
    # By a clock that is years behind.
    early = numbered(NIGHTS)
    history.append(dataclasses.replace(early, run=dataclasses.replace(early.run, started_at=FIRST_NIGHT - 999 * DAY)))
    history.append(numbered(NIGHTS + 1))

    assert history.order() == [*before[:-1], early.run.id, numbered(NIGHTS + 1).run.id]


def data_files(history: History, table: Table) -> list[str]:
    return history.tables.delta(table).file_uris()


def stored_rows(history: History, table: Table) -> int:
    return history.tables.delta(table).count()


def test_a_tidied_history_gives_the_same_answers_from_fewer_files(history: History) -> None:
    done = maintain(history)
    assert done == Maintenance(compacted_files=NIGHTS * len(TABLES))
    for table in TABLES.values():
        assert len(data_files(history, table)) == 1
    for number in range(NIGHTS):
        assert history.record(f"run{number:03}") == numbered(number)
    assert maintain(history) == Maintenance(), "there is nothing more to do"


def test_few_files_are_left_as_they_are(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    for number in range(MANY_FILES - 1):
        history.append(numbered(number))
    assert maintain(history).compacted_files == 0


def test_each_month_is_put_together_for_itself(history: History) -> None:
    for number in (40, 41):
        history.append(numbered(number))
    maintain(history)
    assert len(data_files(history, VERDICTS)) == 1 + 2


def test_evidence_is_forgotten_and_the_rest_kept(history: History) -> None:
    kept = timedelta(days=3)
    now = FIRST_NIGHT + (NIGHTS - 1) * DAY
    verdicts = len(history.verdicts())
    done = maintain(history, keep=kept, now=now)
    old = range(NIGHTS - 4)
    assert done.evidence_rows == sum(t.evidence is not None for n in old for t in numbered(n).targets)
    for number in range(NIGHTS):
        record = numbered(number)
        assert history.record(record.run.id) == (bare(record) if number in old else record)
    assert len(history.verdicts()) == verdicts
    assert set(history.targets()["facts_digest"].dropna()) >= set(history.evidence()["facts_digest"])


class Broken(Tables):
    """Tables that fail at the last step, as a process does that dies there."""

    def append(self, table: Table, rows: pa.Table, *, once: str | None = None) -> None:
        if table is RUNS:
            message = "the end"
            raise OSError(message)
        super().append(table, rows, once=once)


def test_what_a_crash_left_is_removed_once_it_cannot_be_in_use(history: History) -> None:
    whole = {table.name: stored_rows(history, table) for table in TABLES.values()}
    crashing = History(history.location.text)
    crashing.tables = Broken(crashing.location)
    with pytest.raises(HistoryError, match="the end"):
        crashing.append(numbered(NIGHTS))
    left = sum(stored_rows(history, table) for table in TABLES.values()) - sum(whole.values())
    assert left > 0
    assert maintain(history).broken_rows == 0, "its writer may still be at work"
    assert maintain(history, now=datetime.now(UTC) + GRACE + timedelta(minutes=1)).broken_rows == left
    assert {table.name: stored_rows(history, table) for table in TABLES.values()} == whole


def test_files_that_no_commit_names_go_after_a_day(history: History, tmp_path: Path) -> None:
    folder = tmp_path / "history" / "verdicts" / "run_month=2026-03"
    stray, fresh = folder / "part-old.parquet", folder / "part-new.parquet"
    for file in (stray, fresh):
        file.write_bytes(b"half")
    long_ago = time.time() - 2 * GRACE.total_seconds()
    os.utime(stray, (long_ago, long_ago))
    assert maintain(history).removed_files == 1
    assert not stray.exists()
    assert fresh.exists(), "it may be a run that is being written"


def test_a_reader_that_began_before_ends_as_it_began(history: History) -> None:
    before = history.tables.delta(EVIDENCE)
    answer: Iterator[pa.RecordBatch] = pa.RecordBatchReader.from_stream(
        QueryBuilder().register("evidence", before).execute("SELECT evidence FROM evidence")
    )
    maintain(history, keep=timedelta(0), now=FIRST_NIGHT + 100 * DAY)
    assert len(history.evidence()) == 0
    assert sum(batch.num_rows for batch in answer) == before.count() > 0


def test_a_run_that_is_written_meanwhile_is_kept(history: History) -> None:
    """The writer has written its verdicts, but not its run, while the history is tidied."""
    record = numbered(NIGHTS)
    for table, rows in tables_of(record, Writing("zz", datetime.now(UTC))):
        if table is RUNS:
            maintain(history)
        history.tables.append(table, rows)
    assert history.record(record.run.id) == record


class Interfered(Tables):
    """Tables of which another process appends to one, each time that it has just been opened."""

    interferences = 0

    def delta(self, table: Table) -> DeltaTable:
        delta = super().delta(table)
        if table is EVIDENCE and self.interferences < 1:
            self.interferences += 1
            History(self.location.text).append(numbered(50))
        return delta


def test_a_step_that_another_writer_disturbs_is_done_again(history: History) -> None:
    history.tables = Interfered(history.location)
    now = FIRST_NIGHT + 1000 * DAY
    maintain(history, keep=DAY, now=now)
    assert history.tables.interferences == 1
    assert history.record("run050", evidence=False) == bare(numbered(50))
    assert len(history.runs()) == NIGHTS + 1


class AlwaysConflicting(Tables):
    def delta(self, table: Table) -> DeltaTable:
        delta = super().delta(table)

        def conflict(*_: object, **__: object) -> None:
            message = "somebody was faster"
            raise CommitFailedError(message)

        delta.delete = conflict  # type: ignore[method-assign]  # another process cannot be made to be faster each time
        return delta


def test_a_step_that_is_disturbed_each_time_is_left_to_the_next(history: History) -> None:
    history.tables = AlwaysConflicting(history.location)
    assert maintain(history, keep=timedelta(0), now=FIRST_NIGHT + 100 * DAY).evidence_rows == 0
