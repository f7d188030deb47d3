"""How many verdicts of each kind a run has, kept with its row: nobody has to go through millions of them for a trend.

Runs of versions that kept none are counted from their verdicts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from scanner.history.frames import frame
from scanner.history.schema import COUNT, RUNS, VERDICTS

if TYPE_CHECKING:
    import pandas as pd

    from scanner.history.store import History
    from scanner.verdict import RunRecord

_OF_RUN: Final = ("run_id", "run_started_at")
_KIND: Final = ("environment", "goal", "severity", "status", "waived")
_COUNTED: Final = pa.schema(
    [
        *(pa.field(name, VERDICTS.column(name).type) for name in (*_OF_RUN, *_KIND)),
        pa.field("verdicts", COUNT),
    ]
)


def counted(record: RunRecord) -> str:
    """What is kept with the row of a run: a list of kinds, each with its number behind it."""
    kinds = Counter(
        (
            target.environment,
            verdict.goal.value,
            verdict.severity.value,
            verdict.status.value,
            verdict.waiver is not None,
        )
        for target in record.targets
        for verdict in target.verdicts
    )
    return json.dumps([(*kind, number) for kind, number in sorted(kinds.items())])


def verdict_counts(history: History, run_ids: Iterable[str] | None = None) -> pd.DataFrame:
    """How many verdicts of each kind there are, by run, in no order.

    Columns: `run_id`, `run_started_at`, `environment`, `goal`, `severity`, `status`, `waived`, `verdicts`.
    """
    runs = history.arrow(RUNS, run_ids, columns=("run_id", "started_at", "verdict_counts")).to_pylist()
    kept = [
        dict(zip(_COUNTED.names, (run["run_id"], run["started_at"], *kind), strict=True))
        for run in runs
        if run["verdict_counts"] is not None
        for kind in json.loads(run["verdict_counts"])
    ]
    rows = pa.Table.from_pylist(kept, _COUNTED)
    uncounted = [str(run["run_id"]) for run in runs if run["verdict_counts"] is None]
    if uncounted:
        by = ", ".join((*_OF_RUN, *_KIND))
        sql = f"SELECT {by}, count(*) AS verdicts FROM verdicts GROUP BY {by}"  # noqa: S608  # constants alone
        rows = pa.concat_tables([rows, history.query(sql, VERDICTS, run_ids=uncounted).cast(_COUNTED)])
    return frame(rows, VERDICTS)
