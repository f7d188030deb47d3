"""How the counts went from run to run, out of what the history counts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from reports.view.model import TrendPoint

if TYPE_CHECKING:
    import pandas as pd

LOOKED_BACK: Final = timedelta(days=90)
"""How far a report looks back from its run."""


def trend_of(counts: pd.DataFrame) -> tuple[TrendPoint, ...]:
    """Count the verdicts of past runs, by run and environment, as `Tally` counts them; oldest first.

    Args:
        counts: what `scanner.history.questions.trend` answers.
    """
    if counts.empty:
        return ()
    status, severity = counts["status"].astype(str), counts["severity"].astype(str)
    waived, number = counts["waived"].astype(bool), counts["verdicts"]
    counted = counts[["run_id", "run_started_at", "environment"]].astype({"run_id": str, "environment": str})
    counted = counted.assign(
        failed=number.where((status == "fail") & ~waived & (severity != "info"), 0),
        waived=number.where(waived, 0),
        indeterminate=number.where(status == "indeterminate", 0),
        passed=number.where(status == "pass", 0),
    )
    grouped = counted.groupby(["run_started_at", "run_id", "environment"], sort=True, observed=True).sum()
    numbers = grouped[["failed", "waived", "indeterminate", "passed"]].to_numpy(dtype="int64").tolist()
    return tuple(
        TrendPoint(run_id, at.to_pydatetime(), environment, failed, waived, indeterminate, passed)
        for (at, run_id, environment), (failed, waived, indeterminate, passed) in zip(
            grouped.index, numbers, strict=True
        )
    )
