"""Histories of several runs, for tests of what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from scanner.history import History
from scanner.history.rows import Writing
from scanner.history.schema import RUNS, Table
from scanner.verdict import RunRecord
from tests.build.stored_rows import tables_of


def recorded(folder: Path, records: Iterable[RunRecord], lying: Sequence[int] | None = None) -> History:
    """A history of these runs, in this order; `lying` is the one in which their rows lie in the files.

    They are written in one commit for each table, as `maintain` leaves them: a commit of each run takes several times
    as long. tests/history/test_history_store.py shows that both are the same history.
    """
    history = History.open(folder, create=True)
    rows: dict[Table, list[pa.Table]] = {}
    numbered = list(enumerate(records, 1))
    for place, record in numbered if lying is None else (numbered[index] for index in lying):
        now = datetime.now(UTC)
        for table, found in tables_of(record, Writing(f"{now:%Y%m%dT%H%M%S%f}-{place:016x}", now, place)):
            if len(found):
                rows.setdefault(table, []).append(found)
    # The runs last, as ever: whatever they name has been written before.
    for table, parts in sorted(rows.items(), key=lambda item: item[0] is RUNS):
        history.tables.append(table, pa.concat_tables(parts))
    return history
