"""Runs that are taken out of a history for good, such as one under a wrong clock, and the audit of that.

What is kept is that the run was there, what it was of, and who took it out, when and why.
"""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from scanner.errors import HistoryError
from scanner.history.frames import frame
from scanner.history.schema import FORGOTTEN, RUNS, TABLES
from scanner.history.store import History, literal
from scanner.history.tables import WRITER

_ATTEMPTS = 20


def forget(history: History, run_id: str, *, who: str, why: str, now: datetime) -> int:
    """Take a run out of the history; return how many of its rows went.

    It is entered into the audit first, and into no answer any more from then on. Files that hold its rows stay on disk
    for a day, as after any tidying.

    Raises:
        HistoryError: there is no such run, or the history cannot be written.
    """
    (run,) = history.arrow(RUNS, [run_id], columns=("run_id", "started_at", "environments", "targets")).to_pylist()
    write_id = history.write_id(run_id)
    row = {**run, "forgotten_at": now, "who": who, "why": why}
    history.tables.ensure(FORGOTTEN)
    with history.location.explained("write"):
        history.tables.append(FORGOTTEN, pa.Table.from_pylist([row], FORGOTTEN.arrow))
        # The row in `runs` first: without it none of the others counts.
        tables = (RUNS, *(table for table in TABLES.values() if table is not RUNS))
        return sum(_delete(history.tables.delta(table), write_id) for table in tables)


def forgotten(history: History) -> pd.DataFrame:
    """The audit: one row for each run that was forgotten, oldest first. `docs/history.md` describes the columns."""
    if history.tables.exists(FORGOTTEN):
        rows = history.tables.delta(FORGOTTEN).to_pyarrow_table(columns=list(FORGOTTEN.shown))
    else:
        rows = FORGOTTEN.arrow.empty_table()
    return frame(rows, FORGOTTEN).sort_values("forgotten_at", ignore_index=True)


def _delete(delta: DeltaTable, write_id: str) -> int:
    """Delete what an attempt wrote, again where another process changed the same files first."""
    for _ in range(_ATTEMPTS):
        try:
            done = delta.delete(f"write_id = {literal(write_id)}", writer_properties=WRITER)
        except CommitFailedError:
            delta.update_incremental()
        else:
            return int(done["num_deleted_rows"] or 0)
    message = (
        "other processes keep changing the history: try again; the run no longer counts, even if part of it is left"
    )
    raise HistoryError(message)
