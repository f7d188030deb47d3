"""The history: runs appended whole, and read as records or as DataFrames.

A run is written to `targets`, `certificates`, `verdicts` and `evidence` first and to `runs` last. Each of these is one
atomic commit of a Delta table, or several in a large run; every row carries the id of the attempt that wrote
it, and readers only see rows whose attempt is named in `runs`. So a crash at any instant leaves a run either whole or
invisible, and the same run can be written again after it. Writers need no lock: appends to a Delta table do not
conflict, and two of one run id do.

Reading is SQL, run by the query engine inside `deltalake`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Final, Self

import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError

from scanner.errors import HistoryError
from scanner.history.frames import frame
from scanner.history.location import Location
from scanner.history.rows import Writing, record_of, rows_of
from scanner.history.schema import (
    CERTIFICATES,
    COUNT,
    DAY,
    EVIDENCE,
    FLAG,
    OPTIONAL_COUNT,
    RUNS,
    SECONDS,
    SMALL,
    TABLES,
    TARGETS,
    TEXT,
    TEXTS,
    TIME,
    VERDICTS,
    Column,
    Table,
)
from scanner.history.tables import Tables
from scanner.verdict import RunRecord

WRITTEN: Final = ("sequence", "started_at", "run_id")
"""The order in which runs were written. Those of older versions have no place, and come first, by their times."""
_BATCHES = 5
_DATAFUSION = {
    TEXT: "Utf8",
    TEXTS: "List(Utf8)",
    TIME: 'Timestamp(Microsecond, Some("UTC"))',
    DAY: "Date32",
    FLAG: "Boolean",
    SMALL: "Int16",
    OPTIONAL_COUNT: "Int32",
    COUNT: "Int64",
    SECONDS: "Float64",
}


class History:
    """All runs ever recorded at one place: a folder, or the URL of an object store.

    Every method raises HistoryError where the history is not one, is damaged or cannot be reached.
    """

    def __init__(self, location: str | Path) -> None:
        self.location = Location(location)
        self.tables = Tables(self.location)

    @classmethod
    def open(cls, location: str | Path, *, create: bool) -> Self:
        """Open the history that is there; with `create`, to write to it, and beginning one where there is none.

        Raises:
            HistoryError: there is none (and `create` is False), something else is there, or it cannot be written.
        """
        history = cls(location)
        there = history.location.holds_history()
        if create:
            # Before anything is written: a store that loses commits is told so by the first.
            history.location.refuse_unwritable()
        elif not there:
            raise history.location.missing()
        if not there:
            history.tables.create()
        for table in (RUNS, *TABLES.values()):
            history.tables.delta(table)
        return history

    def append(self, record: RunRecord) -> None:
        """Add a run, whole or not at all.

        Raises:
            HistoryError: the run is already there, or the history cannot be written.
        """
        run_id = record.run.id
        runs = self.tables.delta(RUNS)
        self._refuse_known(run_id, runs)
        now = datetime.now(UTC)
        # Each run is a commit of this table, so no run has its next version for a place yet, and none has to be read to
        # find that out. Two that are written at once share a place, and are told by id.
        writing = Writing(f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(8)}", now, runs.version() + 1)
        with self.location.explained("write"):
            for table, batches in rows_of(record, writing):
                if table is RUNS:
                    self._commit(next(batches), run_id)
                    continue
                for rows in _streams(table, batches):
                    self.tables.append(table, rows)

    def record(self, run_id: str, *, evidence: bool = True) -> RunRecord:
        """The run as it was appended; without evidence where that is no longer kept, or not asked for.

        Raises:
            HistoryError: there is no such run.
        """
        (run,) = self.arrow(RUNS, [run_id]).to_pylist()
        targets = self.arrow(TARGETS, [run_id]).to_pylist()
        verdicts = self.arrow(VERDICTS, [run_id])
        kept: dict[str, str] = {}
        if evidence:
            rows = self.arrow(EVIDENCE, [run_id], columns=("target_id", "evidence"))
            kept = dict(zip(*(rows.column(name).to_pylist() for name in rows.column_names), strict=True))
        return record_of(run, targets, verdicts, kept)

    def order(self, run_ids: Iterable[str] | None = None) -> list[str]:
        """The ids of the runs in the order in which they were written, which no wrong clock changes."""
        rows = (
            self.arrow(RUNS, run_ids, columns=("run_id", "sequence", "started_at"))
            .sort_by([(name, "ascending") for name in WRITTEN])
            .column("run_id")
        )
        return [str(run_id) for run_id in rows.to_pylist()]

    def latest(self, environment: str | None = None) -> str | None:
        """The id of the run that was written last, or of the last that scanned `environment`; None where there is none.

        That is not the one with the latest time: a run under a wrong clock would stay the last one for years.
        """
        rows = (
            self.arrow(RUNS, columns=("run_id", "sequence", "started_at", "environments"))
            .sort_by([(name, "ascending") for name in WRITTEN])
            .to_pylist()
        )
        for run in reversed(rows):
            if environment is None or environment in run["environments"]:
                return str(run["run_id"])
        return None

    def previous(self, run_id: str) -> str | None:
        """The id of the last complete run before `run_id` over the same environments; None where there is none.

        A run that ended after it does not count: it was not there to be compared with.

        Raises:
            HistoryError: there is no run `run_id`.
        """
        columns = ("run_id", "sequence", "started_at", "environments", "complete", "finished_at")
        rows = self.arrow(RUNS, columns=columns).sort_by([(name, "ascending") for name in WRITTEN]).to_pylist()
        place = next((place for place, run in enumerate(rows) if run["run_id"] == run_id), None)
        if place is None:
            raise self._unknown([run_id])
        this = rows[place]
        earlier = [
            str(run["run_id"])
            for run in rows[:place]
            if run["complete"]
            and run["finished_at"] <= this["finished_at"]
            and set(run["environments"]) == set(this["environments"])
        ]
        return earlier[-1] if earlier else None

    def runs(self, run_ids: Iterable[str] | None = None, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per run, in the order in which they were written; of all runs, or of those named.

        `docs/history.md` describes the columns.
        """
        names = tuple(columns or RUNS.shown)
        rows = self.frame(RUNS, run_ids, columns=dict.fromkeys((*names, *WRITTEN)))
        return rows.sort_values(list(WRITTEN), ignore_index=True)[list(names)]

    def targets(self, run_ids: Iterable[str] | None = None, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per target and run."""
        return self.frame(TARGETS, run_ids, columns=columns)

    def certificates(
        self, run_ids: Iterable[str] | None = None, *, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """One row per distinct certificate, target and run."""
        return self.frame(CERTIFICATES, run_ids, columns=columns)

    def verdicts(self, run_ids: Iterable[str] | None = None, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per target, rule and subject in a run; `sources` only where `columns` names it."""
        return self.frame(VERDICTS, run_ids, columns=columns)

    def evidence(self, run_ids: Iterable[str] | None = None, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per target and run at which anything was observed, as JSON text."""
        return self.frame(EVIDENCE, run_ids, columns=columns)

    def frame(
        self, table: Table, run_ids: Iterable[str] | None = None, *, columns: Iterable[str] | None = None
    ) -> pd.DataFrame:
        """Rows of a table as a DataFrame, in no order that can be relied on."""
        return frame(self.arrow(table, run_ids, columns=columns or table.shown), table)

    def arrow(
        self, table: Table, run_ids: Iterable[str] | None = None, *, columns: Iterable[str] | None = None
    ) -> pa.Table:
        """Rows of a table as they are stored, of the runs that were written whole.

        Raises:
            HistoryError: a run that is named does not exist.
            KeyError: there is no such column.
        """
        chosen = [table.column(name) for name in columns or table.public]
        names = ", ".join(_as_read(column) for column in chosen)
        return self.query(f"SELECT {names} FROM {table.name}", table, run_ids=run_ids)  # noqa: S608  # the schema's own names

    def query(self, sql: str, *tables: Table, run_ids: Iterable[str] | None = None) -> pa.Table:
        """Ask by SQL (DataFusion's dialect), over the rows of those runs alone that were written whole.

        `tables` are those that the question speaks of, by their names; `run_ids` narrows all of them to some runs.

        Raises:
            HistoryError: a run that is named does not exist, or the question cannot be answered.
        """
        # The runs are opened first: whatever they name has been written before.
        runs = self.tables.delta(RUNS)
        builder = QueryBuilder().register("committed", runs)
        counted = "write_id IN (SELECT write_id FROM committed)"
        if run_ids is not None:
            counted = _among(self._write_ids(runs, run_ids))
        views = []
        for table in tables:
            delta = runs if table is RUNS else self.tables.delta(table)
            builder.register(f"stored_{table.name}", delta)
            views.append(f"{table.name} AS (SELECT {_complete(table, delta)} FROM stored_{table.name} WHERE {counted})")  # noqa: S608  # names of the schema and ids of our own making
        with self.location.explained("read"):
            answer = builder.execute(f"WITH {', '.join(views)} {sql}")
            return _each_once(_without_views(pa.RecordBatchReader.from_stream(answer).read_all()))

    def write_id(self, run_id: str) -> str:
        """The id of the attempt that wrote a run.

        Raises:
            HistoryError: there is no such run.
        """
        (found,) = self._write_ids(self.tables.delta(RUNS), [run_id])
        return found

    def _write_ids(self, runs: DeltaTable, run_ids: Iterable[str]) -> list[str]:
        known = self._committed(runs)
        wanted = list(run_ids)
        unknown = [run_id for run_id in wanted if run_id not in known]
        if unknown:
            raise self._unknown(unknown)
        return [known[run_id] for run_id in wanted]

    def _committed(self, runs: DeltaTable) -> dict[str, str]:
        """The id of the attempt that wrote each run."""
        with self.location.explained("read"):
            answer = QueryBuilder().register("runs", runs).execute("SELECT run_id, write_id FROM runs")
            rows = pa.RecordBatchReader.from_stream(answer).read_all()
        return dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))

    def _unknown(self, run_ids: Sequence[str]) -> HistoryError:
        return HistoryError(
            f"{self.location}: there is no run {', '.join(run_ids)}; `nightseal history runs` lists them"
        )

    def _refuse_known(self, run_id: str, runs: DeltaTable) -> None:
        # Files whose statistics exclude the run are not opened.
        asked = f"SELECT run_id FROM runs WHERE run_id = {literal(run_id)}"  # noqa: S608  # quoted
        with self.location.explained("read"):
            answer = QueryBuilder().register("runs", runs).execute(asked)
            known = len(pa.RecordBatchReader.from_stream(answer).read_all())
        if known:
            message = f"{self.location}: the run {run_id} is already in the history"
            raise HistoryError(message)

    def _commit(self, rows: pa.Table, run_id: str) -> None:
        """Make the run count. Of two that write the same run at once, the transaction lets one through."""
        try:
            self.tables.append(RUNS, rows, once=run_id)
        except CommitFailedError:
            self._refuse_known(run_id, self.tables.delta(RUNS))
            raise


def _streams(table: Table, batches: Iterator[pa.Table]) -> Iterator[pa.RecordBatchReader]:
    """The rows as streams, each of which is read while it is written; none where there are no rows.

    What writes them gathers many rows before it writes any. Of verdicts and evidence, of which there is by far the
    most, that is too much: they are several streams.
    """
    while (first := next((batch for batch in batches if len(batch)), None)) is not None:
        more = islice(batches, _BATCHES - 1) if table in {VERDICTS, EVIDENCE} else batches
        made = (part for rows in chain([first], more) for part in rows.to_batches())
        yield pa.RecordBatchReader.from_batches(table.arrow, made)


def _without_views(rows: pa.Table) -> pa.Table:
    """The engine answers in Arrow's string views, with which little else can be done yet."""
    plain = {pa.string_view(): TEXT, pa.list_(pa.field("element", pa.string_view())): TEXTS}
    return rows.cast(pa.schema([field.with_type(plain.get(field.type, field.type)) for field in rows.schema]))


def _each_once(rows: pa.Table) -> pa.Table:
    """Dictionaries in which no text stands twice, so that equal codes are equal texts, and unequal ones are not.

    Where the engine puts batches together, it does so with their dictionaries as well, one behind the other.
    """
    for place, field in enumerate(rows.schema):
        column = rows.column(place)
        if pa.types.is_dictionary(field.type) and any(
            len(chunk.dictionary.unique()) < len(chunk.dictionary) for chunk in column.chunks
        ):
            rows = rows.set_column(place, field, column.cast(field.type.value_type).dictionary_encode())
    return rows


def _as_read(column: Column) -> str:
    if column.categorical:
        return f"arrow_cast({column.name}, 'Dictionary(Int32, Utf8)') AS {column.name}"
    return column.name


def _complete(table: Table, delta: DeltaTable) -> str:
    """The table's columns; where an older version wrote none, their defaults."""
    present = {field.name for field in delta.schema().fields}
    return ", ".join(_with_default(column, present=column.name in present) for column in table.columns)


def _with_default(column: Column, *, present: bool) -> str:
    if present and column.default is None:
        return column.name
    default = "NULL" if column.default is None else literal(column.default)
    value = f"coalesce({column.name}, {default})" if present else default
    return f"arrow_cast({value}, '{_DATAFUSION[column.type]}') AS {column.name}"


def literal(value: str | float) -> str:
    """A value as SQL writes it."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _among(write_ids: Sequence[str]) -> str:
    if not write_ids:
        return "false"
    listed = ", ".join(map(literal, write_ids))
    # Files outside these bounds are not opened at all.
    return f"write_id BETWEEN {literal(min(write_ids))} AND {literal(max(write_ids))} AND write_id IN ({listed})"
