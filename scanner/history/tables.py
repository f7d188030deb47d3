"""The Delta tables of a history: begun, brought up to date, appended to.

Each is checked to be ours, and of no newer schema than this version knows, whenever it is opened.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from scanner.errors import HistoryError
from scanner.history.location import Location
from scanner.history.schema import RUNS, SCHEMA_VERSION, TABLES, VERSION_KEY, Table

WRITER: Final = WriterProperties(compression="ZSTD", compression_level=6)
_CONFIGURATION = {
    # Only these columns are searched by; statistics of the others would only make the log longer.
    "delta.dataSkippingStatsColumns": "write_id,written_at,run_id",
    "delta.checkpointInterval": "20",
    # No reader takes a day: DataFrames and records are read in one go.
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
_RETRIES = 100
"""Appends of other runs never conflict for good, but each that comes first makes the commit try the next number."""


class Tables:
    """The tables at one location."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._options = dict(location.storage_options)

    def create(self) -> None:
        """Begin a history, or finish the beginning of one. Processes that do it at once do not disturb each other."""
        self.location.prepare()
        with self.location.explained("create"):
            for table in TABLES.values():
                self._create(table)

    def ensure(self, table: Table) -> None:
        """Begin one table, if it is not there."""
        with self.location.explained("create"):
            self._create(table)

    def exists(self, table: Table) -> bool:
        """Whether a table is there."""
        with self.location.explained("read"):
            return DeltaTable.is_deltatable(self.location.uri(table.name), self._options)

    def delta(self, table: Table) -> DeltaTable:
        """The Delta table as it now stands.

        Raises:
            HistoryError: it is missing, is somebody else's, or was written by a newer version.
        """
        with self.location.explained("read"):
            try:
                delta = DeltaTable(self.location.uri(table.name), storage_options=self._options)
            except TableNotFoundError as error:
                raise self._missing(table) from error
        self._version(table, delta)
        return delta

    def append(self, table: Table, rows: pa.Table | pa.RecordBatchReader, *, once: str | None = None) -> None:
        """Add rows in one atomic commit; of a stream, only some are in memory at a time.

        `once` names a transaction: of all appends with the same name, at the same time or later, one gets through.

        Raises:
            CommitFailedError: another append of the same name came first.
        """
        properties = CommitProperties(
            max_commit_retries=_RETRIES, app_transactions=[Transaction(once, 1)] if once is not None else None
        )
        delta = self._up_to_date(table)
        # Seen in the same version of the table that the commit will build on: what comes in between is a conflict.
        if once is not None and delta.transaction_version(once) is not None:
            message = f"{once} has been written already"
            raise CommitFailedError(message)
        write_deltalake(delta, rows, mode="append", writer_properties=WRITER, commit_properties=properties)

    def _missing(self, table: Table) -> HistoryError:
        if table is RUNS:
            return self.location.missing()
        return HistoryError(f"{self.location}: the table {table.name} is missing; restore it from a backup")

    def _version(self, table: Table, delta: DeltaTable) -> int:
        version = delta.metadata().configuration.get(VERSION_KEY) or ""
        if not version.isdecimal():
            message = f"{self.location}: the table {table.name} is not Nightseal's; name another by [nightseal] history"
            raise HistoryError(message)
        if int(version) > SCHEMA_VERSION:
            message = (
                f"{self.location}: the table {table.name} was written by a newer version (schema {version}, "
                f"this version knows {SCHEMA_VERSION}): upgrade Nightseal"
            )
            raise HistoryError(message)
        return int(version)

    def _create(self, table: Table) -> None:
        uri = self.location.uri(table.name)
        try:
            DeltaTable.create(
                uri,
                table.arrow,
                mode="ignore",
                partition_by=list(table.partitions) or None,
                description=table.about,
                configuration={VERSION_KEY: str(SCHEMA_VERSION), **_CONFIGURATION},
                storage_options=self._options,
                raise_if_key_not_exists=False,
            )
        except DeltaError:
            # Another process may have been faster.
            if not DeltaTable.is_deltatable(uri, self._options):
                raise

    def _up_to_date(self, table: Table) -> DeltaTable:
        """The table with this version's columns. Readers need none of this: they put defaults where a column lacks."""
        delta = self.delta(table)
        if self._version(table, delta) == SCHEMA_VERSION:
            return delta
        present = {field.name for field in delta.schema().fields}
        lacking = [field for field in Schema.from_arrow(table.arrow).fields if field.name not in present]
        if lacking:
            delta.alter.add_columns(lacking)
        delta.alter.set_table_properties({VERSION_KEY: str(SCHEMA_VERSION)}, raise_if_not_exists=False)
        return self.delta(table)
