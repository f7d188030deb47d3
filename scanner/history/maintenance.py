"""Keeping a history small: evidence forgotten after a while, leavings of crashes removed, small files put together.

May be called after a run, also while others read and write: each step is a commit of its own that changes no answer but
that of the evidence which is meant to go, and files stay on disk for a day after nothing needs them any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError
from msgspec import Struct

from scanner.errors import ClockError
from scanner.history.schema import EVIDENCE, RUNS, TABLES, Table
from scanner.history.store import History
from scanner.history.tables import WRITER

GRACE: Final = timedelta(days=1)
"""How old a file that nothing needs, or a row that no run names, must be before it goes: it may be in use till then."""

MANY_FILES: Final = 8
"""Fewer small files than this in one month are left as they are: a rewrite every night would gain nothing."""

_ATTEMPTS = 5


class Maintenance(Struct, frozen=True):
    """What was done: rows of evidence and of broken runs removed, files put together, files removed."""

    evidence_rows: int = 0
    broken_rows: int = 0
    compacted_files: int = 0
    removed_files: int = 0


def maintain(history: History, *, keep: timedelta | None = None, now: datetime | None = None) -> Maintenance:
    """Tidy up, by a time that is taken for right: `refuse_wrong_clock` asks whether it may be.

    Args:
        history: what to tidy.
        keep: how long evidence is kept, counted from the start of its run; None keeps it for ever. Verdicts,
            certificates, targets and runs are always kept.
        now: the time to count from; by default the present.

    Raises:
        HistoryError: the history cannot be read or written. What was done until then stays done.
    """
    moment = now or datetime.now(UTC)
    evidence_rows = _forget_evidence(history, moment - keep) if keep is not None else 0
    broken_rows = sum(_remove_broken(history, table, moment - GRACE) for table in TABLES.values() if table is not RUNS)
    compacted = sum(_compact(history, table) for table in TABLES.values())
    removed = sum(_remove_files(history, table) for table in TABLES.values())
    return Maintenance(evidence_rows, broken_rows, compacted, removed)


def refuse_wrong_clock(history: History, now: datetime) -> None:
    """Refuse to remove anything by a time that is implausibly far from the runs before.

    It is where there is a leap between the runs of the last days and the one before them, far longer than runs are
    apart otherwise: a clock that is years ahead for a night would make everything old. Where runs have gone on for a
    week after it, the time is taken for right.

    Raises:
        ClockError: it is implausible.
    """
    times = sorted(moment.to_pydatetime() for moment in history.runs(columns=["started_at"])["started_at"])
    past = [moment for moment in times if moment <= now + _SLACK]
    if not past or len(times) == 1:
        return
    later = [*past[1:], max(now, past[-1])]
    gaps = [after - before for before, after in zip(past, later, strict=True)]
    usual = sorted(gaps)[(len(gaps) - 1) // 2]
    leap = max(_LEAP, 4 * usual)
    leaps = [index for index, gap in enumerate(gaps) if gap > leap]
    if leaps and later[leaps[-1]] > now - _PROVEN:
        before, after = past[leaps[-1]], later[leaps[-1]]
        message = (
            f"{history.location}: nothing is cleaned up: the time is {now:%Y-%m-%d %H:%M} UTC, but no run is between "
            f"{before:%Y-%m-%d} and {after:%Y-%m-%d}. If the clock is right, it is tidied again from "
            f"{after + _PROVEN:%Y-%m-%d} on; if it is wrong, set it, and take the run out by `nightseal history forget`"
        )
        raise ClockError(message)


_SLACK: Final = timedelta(days=1)
_LEAP: Final = timedelta(days=60)
"""Without a run for longer than this, or four times as long as runs are apart, the clock is doubted."""
_PROVEN: Final = timedelta(days=7)
"""For so long runs must have gone on after a leap before it is believed."""


def _forget_evidence(history: History, before: datetime) -> int:
    return _delete(history, EVIDENCE, f"run_started_at < {_instant(before)}")


def _remove_broken(history: History, table: Table, before: datetime) -> int:
    """Rows of runs that were never finished: nobody sees them, but they take room."""
    runs, delta = history.tables.delta(RUNS), history.tables.delta(table)
    with history.location.explained("read"):
        answer = (
            QueryBuilder().register("committed", runs).register("stored", delta).execute(_BROKEN + _instant(before))
        )
        broken = pa.RecordBatchReader.from_stream(answer).read_all().column("write_id").to_pylist()
    return _delete(history, table, f"write_id IN ({', '.join(map(repr, broken))})") if broken else 0


_BROKEN = (
    "SELECT DISTINCT write_id FROM stored LEFT ANTI JOIN committed ON stored.write_id = committed.write_id "
    "WHERE written_at < "
)


def _delete(history: History, table: Table, predicate: str) -> int:
    def delete(delta: DeltaTable) -> int:
        return int(delta.delete(predicate, writer_properties=WRITER)["num_deleted_rows"] or 0)

    return _persistently(history, table, delete)


def _compact(history: History, table: Table) -> int:
    def compact(delta: DeltaTable) -> int:
        files = Counter(uri.rsplit("/", 2)[-2] for uri in delta.file_uris())
        crowded = [folder.removeprefix("run_month=") for folder, number in files.items() if number >= MANY_FILES]
        if not crowded:
            return 0
        only = [("run_month", "in", crowded)] if table.partitions else None
        return int(delta.optimize.compact(only, writer_properties=WRITER)["numFilesRemoved"])

    return _persistently(history, table, compact)


def _remove_files(history: History, table: Table) -> int:
    def remove(delta: DeltaTable) -> int:
        # In full: the files of writers that died before they could commit go as well.
        return len(delta.vacuum(int(GRACE.total_seconds() // 3600), dry_run=False, full=True))

    return _persistently(history, table, remove)


def _persistently(history: History, table: Table, step: Callable[[DeltaTable], int]) -> int:
    """Do a step again where another process changed the same files first; at last, leave it to the next time."""
    for _ in range(_ATTEMPTS):
        delta = history.tables.delta(table)
        with history.location.explained("write"):
            try:
                return step(delta)
            except CommitFailedError:
                continue
    return 0


def _instant(moment: datetime) -> str:
    return f"arrow_cast('{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
