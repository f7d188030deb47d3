"""The history: runs appended whole, and read as records or as DataFrames.

A run is written to `targets`, `certificates`, `verdicts` and `evidence` first and to `runs` last. Each of these is one
atomic commit of a Delta table; every row carries the id of the attempt that wrote it, and readers only see rows whose
attempt is named in `runs`. So a crash at any instant leaves a run either whole or invisible, and the same run can be
written again after it. Writers need no lock: appends to a Delta table do not conflict, and two of one run id do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from pyarrow.dataset import Dataset, ParquetReadOptions

from scanner.errors import HistoryError
from scanner.history.frames import completed, frame
from scanner.history.location import Location
from scanner.history.rows import Writing, record_of, tables_of
from scanner.history.schema import (
    CERTIFICATES,
    EVIDENCE,
    RUNS,
    SCHEMA_VERSION,
    TABLES,
    TARGETS,
    VERDICTS,
    VERSION_KEY,
    Table,
)
from scanner.verdict import RunRecord

WRITER: Final = WriterProperties(compression="ZSTD", compression_level=9, max_row_group_size=1_000_000)
_CONFIGURATION = {
    # Only these columns are searched by; statistics of the others would only make the log longer.
    "delta.dataSkippingStatsColumns": "write_id,written_at,run_id",
    "delta.checkpointInterval": "20",
    # No reader takes a day: DataFrames and records are read in one go.
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
_RETRIES = 100


class History:
    """All runs ever recorded at one place: a folder, or the URL of an object store.

    Every method raises HistoryError where the history is not one, is damaged or cannot be reached.
    """

    def __init__(self, location: str | Path) -> None:
        self.location = Location(location)

    @classmethod
    def open(cls, location: str | Path, *, create: bool) -> Self:
        """Open the history that is there, or begin one if `create` says so.

        Raises:
            HistoryError: there is none (and `create` is False), something else is there, or it cannot be written.
        """
        history = cls(location)
        if not history.location.holds_history():
            if not create:
                raise history.location.missing()
            history._create()
        for table in TABLES.values():
            history.delta(table)
        return history

    def append(self, record: RunRecord) -> None:
        """Add a run, whole or not at all.

        Raises:
            HistoryError: the run is already there, or the history cannot be written.
        """
        now = datetime.now(UTC)
        writing = Writing(f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(8)}", now)
        with self.location.explained("write"):
            runs = self._migrated(RUNS)
            self._refuse_known(record.run.id)
            for table, rows in tables_of(record, writing):
                if table is RUNS:
                    self._commit(runs, rows, record.run.id)
                elif len(rows):
                    write_deltalake(
                        self._migrated(table),
                        rows,
                        mode="append",
                        writer_properties=WRITER,
                        commit_properties=CommitProperties(max_commit_retries=_RETRIES),
                    )

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

    def latest(self, environment: str | None = None) -> str | None:
        """The id of the last run, or of the last one that scanned `environment`; None where there is none."""
        for run in reversed(self.arrow(RUNS, columns=("run_id", "environments")).sort_by("run_id").to_pylist()):
            if environment is None or environment in run["environments"]:
                return str(run["run_id"])
        return None

    def previous(self, run_id: str) -> str | None:
        """The id of the last complete run before `run_id` over the same environments; None where there is none."""
        rows = self.arrow(RUNS, columns=("run_id", "environments", "complete")).sort_by("run_id").to_pylist()
        scope = next((set(run["environments"]) for run in rows if run["run_id"] == run_id), None)
        if scope is None:
            raise self._unknown([run_id])
        earlier = [
            str(run["run_id"])
            for run in rows
            if run["run_id"] < run_id and run["complete"] and set(run["environments"]) == scope
        ]
        return earlier[-1] if earlier else None

    def runs(self, run_ids: Iterable[str] | None = None, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per run, oldest first; of all runs, or of those named. `docs/history.md` describes the columns."""
        rows = self.frame(RUNS, run_ids, columns=columns)
        return rows.sort_values("run_id", ignore_index=True) if "run_id" in rows else rows

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
        self,
        table: Table,
        run_ids: Iterable[str] | None = None,
        *,
        columns: Sequence[str] | None = None,
        where: pc.Expression | None = None,
    ) -> pd.DataFrame:
        """Rows of a table as a DataFrame, in no order that can be relied on."""
        return frame(self.arrow(table, run_ids, columns=columns or table.shown, where=where), table)

    def arrow(
        self,
        table: Table,
        run_ids: Iterable[str] | None = None,
        *,
        columns: Sequence[str] | None = None,
        where: pc.Expression | None = None,
    ) -> pa.Table:
        """Rows of a table as they are stored, of the runs that were written whole; `where` narrows them further.

        Raises:
            HistoryError: a run that is named does not exist.
        """
        names = tuple(columns or table.public)
        with self.location.explained("read"):
            dataset, wanted = self._rows(table, run_ids, where)
            present = [name for name in names if name in dataset.schema.names]
            return completed(dataset.to_table(columns=present, filter=wanted), table, names)

    def batches(
        self, table: Table, columns: Sequence[str], run_ids: Iterable[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The same, piece by piece, for what is too much to be held at once."""
        with self.location.explained("read"):
            dataset, wanted = self._rows(table, run_ids, None)
            present = [name for name in columns if name in dataset.schema.names]
            for batch in dataset.to_batches(columns=present, filter=wanted):
                yield from completed(pa.Table.from_batches([batch]), table, tuple(columns)).to_batches()

    def delta(self, table: Table) -> DeltaTable:
        """The Delta table as it now stands.

        Raises:
            HistoryError: it is missing, is somebody else's, or was written by a newer version.
        """
        with self.location.explained("read"):
            delta = DeltaTable(self.location.uri(table.name), storage_options=dict(self.location.storage_options))
            version = delta.metadata().configuration.get(VERSION_KEY)
        if version is None or not version.isdecimal():
            message = f"{self.location}: the table {table.name} is not Nightseal's; name another by [nightseal] history"
            raise HistoryError(message)
        if int(version) > SCHEMA_VERSION:
            message = (
                f"{self.location}: the table {table.name} was written by a newer version (schema {version}, "
                f"this version knows {SCHEMA_VERSION}): upgrade Nightseal"
            )
            raise HistoryError(message)
        return delta

    def write_ids(self, run_ids: Iterable[str] | None = None) -> list[str]:
        """The ids of the attempts that wrote runs whole; of all runs, or of those named."""
        known = self._committed()
        if run_ids is None:
            return list(known.values())
        wanted = list(run_ids)
        unknown = [run_id for run_id in wanted if run_id not in known]
        if unknown:
            raise self._unknown(unknown)
        return [known[run_id] for run_id in wanted]

    def _committed(self) -> dict[str, str]:
        rows = self.delta(RUNS).to_pyarrow_dataset().to_table(columns=["run_id", "write_id"])
        return dict(zip(rows.column("run_id").to_pylist(), rows.column("write_id").to_pylist(), strict=True))

    def _rows(
        self, table: Table, run_ids: Iterable[str] | None, where: pc.Expression | None
    ) -> tuple[Dataset, pc.Expression]:
        # The runs are read first: whatever they name has been written before.
        write_ids = self.write_ids(run_ids)
        wanted = pc.field("write_id").isin(pa.array(write_ids, pa.string()))
        if write_ids:
            # Files and row groups outside these bounds are not opened at all.
            wanted = (pc.field("write_id") >= min(write_ids)) & (pc.field("write_id") <= max(write_ids)) & wanted
        if where is not None:
            wanted &= where
        repeated = {column.name for column in table.columns if column.categorical and not column.internal}
        delta = self.delta(table)
        options = ParquetReadOptions(dictionary_columns=repeated)
        return delta.to_pyarrow_dataset(parquet_read_options=options), wanted

    def _unknown(self, run_ids: Sequence[str]) -> HistoryError:
        return HistoryError(
            f"{self.location}: there is no run {', '.join(run_ids)}; `nightseal history runs` lists them"
        )

    def _refuse_known(self, run_id: str) -> None:
        if run_id in self._committed():
            message = f"{self.location}: the run {run_id} is already in the history"
            raise HistoryError(message)

    def _commit(self, runs: DeltaTable, rows: pa.Table, run_id: str) -> None:
        """Make the run count. Of two that write the same run at once, the transaction lets one through."""
        properties = CommitProperties(max_commit_retries=_RETRIES, app_transactions=[Transaction(run_id, 1)])
        try:
            write_deltalake(runs, rows, mode="append", writer_properties=WRITER, commit_properties=properties)
        except CommitFailedError:
            self._refuse_known(run_id)
            raise

    def _create(self) -> None:
        self.location.prepare()
        with self.location.explained("create"):
            for table in TABLES.values():
                self._create_table(table)

    def _create_table(self, table: Table) -> None:
        options: dict[str, Any] = {
            "mode": "ignore",
            "partition_by": list(table.partitions) or None,
            "description": table.about,
            "configuration": {VERSION_KEY: str(SCHEMA_VERSION), **_CONFIGURATION},
            "storage_options": dict(self.location.storage_options),
            "raise_if_key_not_exists": False,
        }
        uri = self.location.uri(table.name)
        try:
            DeltaTable.create(uri, table.arrow, **options)
        except DeltaError:
            # Another process may have been faster.
            if not DeltaTable.is_deltatable(uri, dict(self.location.storage_options)):
                raise

    def _migrated(self, table: Table) -> DeltaTable:
        """The Delta table, with the columns of this version. Readers need none of this: they fill in defaults."""
        delta = self.delta(table)
        if int(delta.metadata().configuration[VERSION_KEY]) == SCHEMA_VERSION:
            return delta
        present = {field.name for field in delta.schema().fields}
        wanted = Schema.from_arrow(table.arrow).fields
        lacking: list[Field] = [field for field in wanted if field.name not in present]
        if lacking:
            delta.alter.add_columns(lacking)
        delta.alter.set_table_properties({VERSION_KEY: str(SCHEMA_VERSION)}, raise_if_not_exists=False)
        return self.delta(table)
