"""Periods for which a rule failed on a target without a break: the life of its verdicts, read and cut into episodes.

Verdicts that are `indeterminate` say nothing: a failure lasts until something else than it is seen. Only the verdicts
of those rules and targets are read that are asked about, in integers rather than in text, so that years of nights of
many targets are a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scanner.history.frames import frame
from scanner.history.schema import VERDICTS
from scanner.history.store import History

KEY: Final = ("target_id", "rule", "subject")
"""What tells one verdict of a run from the others."""
_TEXTS: Final = (*KEY, "environment", "goal", "severity", "message", "run_id")
_LIFE: Final = """
, wanted AS (SELECT DISTINCT target_id, rule, subject FROM verdicts WHERE {wanted})
SELECT {columns}, run_started_at, waived, v.status = 'fail' AS failing
FROM wanted RIGHT SEMI JOIN verdicts AS v
ON v.target_id = wanted.target_id AND v.rule = wanted.rule AND v.subject = wanted.subject
WHERE v.status <> 'indeterminate'
"""
EVER_FAILED: Final = "status = 'fail'"


def episodes_of(history: History, run_ids: Iterable[str] | None, wanted: str = EVER_FAILED) -> pd.DataFrame:
    """The episodes of all rules and targets with a verdict that meets a condition (SQL), in no order.

    Columns: `target_id`, `environment`, `rule`, `subject`, `episode` (counted from 1), `since` (first seen failing),
    `until` (first seen not failing; null while it fails), `last_seen` (last seen failing), `runs` (how often seen),
    `goal`, `severity`, `waived`, `message` (as last seen).
    """
    columns = ", ".join(f"arrow_cast(v.{name}, 'Dictionary(Int32, Utf8)') AS {name}" for name in _TEXTS)
    return _cut(history.query(_LIFE.format(wanted=wanted, columns=columns), VERDICTS, run_ids=run_ids))


def _cut(rows: pa.Table) -> pd.DataFrame:
    """Cut lives into episodes. One begins where a failure follows anything else, and lasts until the next begins.

    So the failures of an episode are its first rows, and what follows them, if anything, is what ended it.
    """
    at = rows.column("run_started_at").to_numpy()
    codes = [_codes(rows.column(name)) for name in KEY]
    order = np.lexsort((_codes(rows.column("run_id")), at, *reversed(codes)))
    at = at[order]
    keys = np.column_stack([column[order] for column in codes])
    failing = rows.column("failing").to_numpy()[order]
    another = np.ones(len(order), dtype=bool)
    another[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    failed_before = np.zeros(len(order), dtype=bool)
    failed_before[1:] = failing[:-1] & ~another[1:]
    begins = failing & ~failed_before
    first = np.flatnonzero(begins)
    # An episode ends before the next one of its key, or before the next key.
    borders = np.flatnonzero(begins | another)
    following = np.searchsorted(borders, first, side="right")
    after = np.append(borders, len(order))[following]
    failures = np.add.reduceat(failing, first) if len(first) else np.zeros(0, dtype=np.int64)
    last = first + failures - 1
    ended = last + 1 < after
    count = np.cumsum(begins)
    before_key = np.maximum.accumulate(np.where(another, count - begins, 0))
    seen = frame(rows.take(order[last]), VERDICTS)
    until = np.full(len(first), np.datetime64("NaT"), dtype=at.dtype)
    until[ended] = at[last[ended] + 1]
    return pd.DataFrame(
        {
            **{name: seen[name] for name in ("target_id", "environment", "rule", "subject")},
            "episode": (count - before_key)[first],
            "since": _moments(at[first]),
            "until": _moments(until),
            "last_seen": seen["run_started_at"],
            "runs": failures,
            **{name: seen[name] for name in ("goal", "severity", "waived", "message")},
        }
    )


def _codes(values: pa.ChunkedArray) -> Any:
    """Texts as integers that sort as they do."""
    found = values.unify_dictionaries().combine_chunks()
    chunk = found.chunk(0) if isinstance(found, pa.ChunkedArray) else found
    ranks = pc.rank(chunk.dictionary).to_numpy()
    return ranks[chunk.indices.to_numpy()]


def _moments(values: Any) -> pd.Series[Any]:
    return pd.Series(values).dt.tz_localize(UTC)
