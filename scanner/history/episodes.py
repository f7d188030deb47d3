"""Periods for which a rule failed at an endpoint without a break: the life of its verdicts, cut into episodes.

An endpoint is an environment, host and port. Its addresses are places: a failure lasts while it is seen at any of them,
and a name that moves takes it along. Verdicts that are `indeterminate`, or were not asked for, say nothing: a failure
lasts until something else than it is seen at the address that failed or, where that is gone, at the others for `AWAY`:
a name whose addresses take turns does not begin to fail each time that one of them has its turn. Only the verdicts of
those rules and endpoints are read that are asked about, in integers rather than in text, so that years of nights of
many targets are a matter of seconds. Runs follow each other as they were written, whatever their clocks said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from scanner.history.attribution import AWAY
from scanner.history.frames import frame
from scanner.history.schema import VERDICTS
from scanner.history.store import History
from scanner.verdict import NOT_ASKED, ONE_ADDRESS, Severity

KEY: Final = ("endpoint", "rule", "subject")
"""What tells one life of verdicts from the others."""
_TEXTS: Final = ("target_id", "rule", "subject", "environment", "goal", "severity", "message", "run_id")
ENDPOINT: Final = "substr(target_id, 1, length(target_id) - strpos(reverse(target_id), '@'))"
"""`environment/host:port` of a target's id, in SQL."""
_LIFE: Final = """
, placed AS (SELECT *, {endpoint} AS endpoint FROM verdicts),
wanted AS ({wanted})
SELECT {columns}, arrow_cast(v.endpoint, 'Dictionary(Int32, Utf8)') AS endpoint, run_started_at, waived,
v.status = 'fail' AS failing, {unknown} AS unknown, coalesce(reason = '{one_address}', false) AS lone
FROM wanted RIGHT SEMI JOIN placed AS v
ON v.endpoint = wanted.endpoint AND v.rule = wanted.rule AND v.subject = wanted.subject
"""
EVER_FAILED: Final = "SELECT DISTINCT endpoint, rule, subject FROM placed WHERE status = 'fail'"
UNKNOWN: Final = f"(status = 'indeterminate' OR (status = 'not-applicable' AND reason = '{NOT_ASKED}'))"
"""Whether a verdict says nothing of the server, in SQL."""
_RANKS: Final = {severity.value: severity.rank for severity in Severity}


def episodes_of(history: History, run_ids: Iterable[str] | None, wanted: str = EVER_FAILED) -> pd.DataFrame:
    """The episodes of what is wanted, in no order: `endpoint`, `rule` and `subject`, by an SQL query of `placed`.

    Columns: `endpoint`, `target_id` (the address of it that is spoken of), `environment`, `rule`, `subject`, `episode`
    (counted from 1), `since` (first seen failing), `until` (first seen not failing; null while it fails), `last_seen`
    (last seen failing), `runs` (how often seen), `goal`, `severity`, `waived`, `message` (as last seen), `places` (at
    how many addresses, then), `began_as` and `worst` (its severity when it began, and the highest), `began_in` (the
    place of the run that saw it first in the order of runs), `seen_last_in` (of the run that saw it failing last).
    """
    columns = ", ".join(f"arrow_cast(v.{name}, 'Dictionary(Int32, Utf8)') AS {name}" for name in _TEXTS)
    sql = _LIFE.format(wanted=wanted, columns=columns, endpoint=ENDPOINT, unknown=UNKNOWN, one_address=ONE_ADDRESS)
    places = {run_id: place for place, run_id in enumerate(history.order(run_ids))}
    return _cut(history.query(sql, VERDICTS, run_ids=run_ids), places)


class _Lives(Struct, frozen=True):
    """One row for each endpoint, rule, subject and run of which anything is known, in that order.

    `row` is the row of the verdicts that is spoken of, `places` counts the addresses that fail.
    """

    keys: Any
    run: Any
    row: Any
    failing: Any
    places: Any
    rank: Any


def _lives(rows: pa.Table, order: Mapping[str, int]) -> _Lives:
    """What each run says of each endpoint: failing where any address fails, not where an address is merely unknown."""
    codes = [_codes(rows.column(name)) for name in KEY]
    address = _codes(rows.column("target_id"))
    run = _mapped(rows.column("run_id"), order)
    failing, unknown = (rows.column(name).to_numpy() for name in ("failing", "unknown"))
    rank = _mapped(rows.column("severity"), _RANKS)
    weight = np.where(failing, 100 + rank - 50 * rows.column("waived").to_numpy(), 0)
    # Within a run the gravest comes last, and is what is spoken of.
    by = np.lexsort((weight, run, *reversed(codes)))
    keys, in_order = np.column_stack([column[by] for column in codes]), run[by]
    last = np.ones(len(by), dtype=bool)
    last[:-1] = (keys[1:] != keys[:-1]).any(axis=1) | (in_order[1:] != in_order[:-1])
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends

    def summed(values: Any) -> Any:
        return np.add.reduceat(values[by].astype(np.int64), starts) if len(starts) else np.zeros(0, dtype=np.int64)

    lasting, failed = _lasting(codes, address, run, failing, unknown)
    fails, carried, known = summed(failing), summed(lasting), summed(~unknown)
    group = np.empty(len(by), dtype=np.int64)
    group[by] = np.cumsum(last) - last
    at = rows.column("run_started_at").to_numpy()
    # Where a rule compares addresses, one of them alone says nothing of those that failed.
    asked = np.flatnonzero(~rows.column("lone").to_numpy())
    carried += _away(address[asked], group[asked], failed[asked], at=at[asked], keys=keys[ends], began=at[by[ends]])
    told = (fails > 0) | ((carried == 0) & (known > 0))
    ends = ends[told]
    return _Lives(keys[ends], in_order[ends], by[ends], fails[told] > 0, fails[told], rank[by[ends]])


def _away(address: Any, group: Any, failed: Any, *, at: Any, keys: Any, began: Any) -> Any:  # noqa: PLR0913  # three of rows, three of groups
    """Whether each group (a key in a run) lacks an address that failed when it was last looked at, not too long ago.

    Args:
        address: of each row, as a number.
        group: the group that each row is in; groups are in the order of keys, and of runs within a key.
        failed: whether the address failed when it was last known, at each row.
        at: when the run of each row began.
        keys: the key of each group.
        began: when the run of each group began.
    """
    size = len(keys)
    if not size or not len(group):
        return np.zeros(size, dtype=np.int64)
    of_key = np.zeros(size, dtype=np.int64)
    of_key[1:] = np.cumsum((keys[1:] != keys[:-1]).any(axis=1))
    # A moment within a key as one number that grows from key to key, so that all of them are searched at once.
    began, at = (moments.astype("datetime64[us]").astype(np.int64) for moments in (began, at))
    away = AWAY // timedelta(microseconds=1)
    start, span = began.min(), began.max() - began.min() + away + 1
    timeline = np.maximum.accumulate(of_key * span + began - start)
    by = np.lexsort((group, address, of_key[group]))
    group, address, failed, at = group[by], address[by], failed[by], at[by]
    key = of_key[group]
    until = np.searchsorted(timeline, key * span + at - start + away)
    same = (key[1:] == key[:-1]) & (address[1:] == address[:-1])
    until[:-1] = np.where(same, np.minimum(until[:-1], group[1:]), until[:-1])
    open_ = failed & (until > group + 1)
    covered = np.zeros(size + 1, dtype=np.int64)
    np.add.at(covered, group[open_] + 1, 1)
    np.subtract.at(covered, until[open_], 1)
    return np.cumsum(covered)[:-1]


def _lasting(codes: Sequence[Any], address: Any, run: Any, failing: Any, unknown: Any) -> tuple[Any, Any]:
    """Which rows say nothing of an address that failed when it was last seen; and at which it failed when last seen."""
    by = np.lexsort((run, address, *reversed(codes)))
    group = np.column_stack([*(column[by] for column in codes), address[by]])
    first = np.ones(len(by), dtype=bool)
    first[1:] = (group[1:] != group[:-1]).any(axis=1)
    blind = unknown[by]
    known = np.maximum.accumulate(np.where(first | ~blind, np.arange(len(by)), 0)) if len(by) else by
    carried, failed = np.zeros(len(by), dtype=bool), np.zeros(len(by), dtype=bool)
    failed[by] = failing[by][known]
    carried[by] = blind & failed[by]
    return carried, failed


def _cut(rows: pa.Table, order: Mapping[str, int]) -> pd.DataFrame:
    """Cut lives into episodes. One begins where a failure follows anything else, and lasts until the next begins.

    So the failures of an episode are its first rows, and what follows them, if anything, is what ended it.
    """
    lives = _lives(rows, order)
    at = rows.column("run_started_at").to_numpy()[lives.row]
    keys, failing, size = lives.keys, lives.failing, len(lives.row)
    another = np.ones(size, dtype=bool)
    another[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    failed_before = np.zeros(size, dtype=bool)
    failed_before[1:] = failing[:-1] & ~another[1:]
    begins = failing & ~failed_before
    first = np.flatnonzero(begins)
    # An episode ends before the next one of its key, or before the next key.
    borders = np.flatnonzero(begins | another)
    following = np.searchsorted(borders, first, side="right")
    after = np.append(borders, size)[following]
    failures = np.add.reduceat(failing, first) if len(first) else np.zeros(0, dtype=np.int64)
    last = first + failures - 1
    ended = last + 1 < after
    count = np.cumsum(begins)
    before_key = np.maximum.accumulate(np.where(another, count - begins, 0)) if size else count
    seen = frame(rows.take(lives.row[last]), VERDICTS)
    until = np.full(len(first), "NaT", dtype=at.dtype)
    until[ended] = at[last[ended] + 1]
    grades = np.where(failing, lives.rank, -1)
    worst = np.maximum.reduceat(grades, first) if len(first) else np.zeros(0, dtype=np.int64)
    return pd.DataFrame(
        {
            **{name: seen[name] for name in ("endpoint", "target_id", "environment", "rule", "subject")},
            "episode": (count - before_key)[first],
            "since": _moments(at[first]),
            "until": _moments(until),
            "last_seen": seen["run_started_at"],
            "runs": failures,
            **{name: seen[name] for name in ("goal", "severity", "waived", "message")},
            "places": lives.places[last],
            "began_as": _severities(lives.rank[first]),
            "worst": _severities(worst),
            "began_in": lives.run[first],
            "seen_last_in": lives.run[last],
        }
    )


def _severities(ranks: Any) -> Any:
    return pd.Categorical.from_codes(ranks, pd.Index([severity.value for severity in Severity]), ordered=True)


def _mapped(values: pa.ChunkedArray, meaning: Mapping[str, int]) -> Any:
    """Texts as the numbers that they mean; 0 where they mean none."""
    chunk = _dictionary(values)
    numbers = np.array([meaning.get(str(text), 0) for text in chunk.dictionary.to_pylist()] or [0], dtype=np.int64)
    return numbers[chunk.indices.to_numpy()]


def _dictionary(values: pa.ChunkedArray) -> Any:
    found = values.unify_dictionaries().combine_chunks()
    return found.chunk(0) if isinstance(found, pa.ChunkedArray) else found


def _codes(values: pa.ChunkedArray) -> Any:
    """Texts as integers that sort as they do."""
    chunk = _dictionary(values)
    ranks = pc.rank(chunk.dictionary).to_numpy()
    return ranks[chunk.indices.to_numpy()]


def _moments(values: Any) -> pd.Series[Any]:
    return pd.Series(values).dt.tz_localize(UTC)
