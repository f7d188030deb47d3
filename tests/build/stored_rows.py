"""The rows of a run, each table whole."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from scanner.history.rows import Writing, rows_of
from scanner.history.schema import Table
from scanner.verdict import RunRecord


def tables_of(record: RunRecord, writing: Writing) -> Iterator[tuple[Table, pa.Table]]:
    """The rows of each table for one run, in the order in which they must be written."""
    for table, batches in rows_of(record, writing):
        yield table, pa.concat_tables([table.arrow.empty_table(), *batches])
