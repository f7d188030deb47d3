"""How the counts went from run to run, out of the history's table of verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.view.model import TrendPoint

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("run_id", "run_started_at", "environment", "status", "severity", "waived")
"""The columns of the history's table `verdicts` that a trend is made of."""


def trend_of(verdicts: pd.DataFrame) -> tuple[TrendPoint, ...]:
    """Count the verdicts of past runs, by run and environment, as `Tally` counts them; oldest first."""
    if verdicts.empty:
        return ()
    status, severity = verdicts["status"].astype(str), verdicts["severity"].astype(str)
    waived = verdicts["waived"].astype(bool)
    counted = verdicts[["run_id", "run_started_at", "environment"]].astype({"run_id": str, "environment": str})
    counted = counted.assign(
        failed=(status == "fail") & ~waived & (severity != "info"),
        waived=waived,
        indeterminate=status == "indeterminate",
        passed=status == "pass",
    )
    grouped = counted.groupby(["run_started_at", "run_id", "environment"], sort=True, observed=True).sum()
    numbers = grouped[["failed", "waived", "indeterminate", "passed"]].to_numpy(dtype="int64").tolist()
    return tuple(
        TrendPoint(run_id, at.to_pydatetime(), environment, failed, waived, indeterminate, passed)
        for (at, run_id, environment), (failed, waived, indeterminate, passed) in zip(
            grouped.index, numbers, strict=True
        )
    )
