"""What the history answers about the past of a run, for its report.

Only runs count that had ended when the run ended: its report is the same whenever it is drawn, whatever came later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from reports.view.history import HistoryAnswers
from reports.view.trend import LOOKED_BACK
from scanner.history import questions
from scanner.history.diff import diff

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from scanner.history import History
    from scanner.jobs.output import Rendering
    from scanner.verdict import RunRecord

_COUNTS: Final = ("passed", "failed", "not_applicable", "indeterminate")
_COLUMNS: Final = ("run_id", "sequence", "started_at", "finished_at", "complete", "environments", *_COUNTS)
_MOST_VERDICTS: Final = 10_000_000
"""How long failures took is read from the newest runs with so many verdicts: seconds, and a gigabyte at most."""


def answers_of(history: History, record: RunRecord, previous: RunRecord | None) -> HistoryAnswers:
    """Ask everything that a report tells of the past of a run which is in the history, or of a part of it.

    Args:
        history: where the run is.
        record: the run, or what is reported of it.
        previous: the run before, in the same extent.

    Raises:
        HistoryError: the history cannot be read.
    """
    known = history.runs(columns=_COLUMNS)
    # In the order in which they were written, which is that of `known`; what was still going on then does not count.
    upto = known[: int((known["run_id"] == record.run.id).argmax()) + 1]
    runs = upto[upto["finished_at"] <= record.run.finished_at]
    scanned = runs.explode("environments", ignore_index=True)
    scope = set(record.run.environments)
    covering = [scope <= set(environments) for environments in runs["environments"]]
    complete = runs[covering]
    complete = complete[complete["complete"]]
    earlier = complete[complete["run_id"] != record.run.id]
    names = runs["run_id"].astype(str).tolist()
    recent = _daily(complete, record)
    read = _newest(runs)
    answers = HistoryAnswers(
        earlier=len(earlier),
        first=earlier["started_at"].min().to_pydatetime() if len(earlier) else record.run.started_at,
        begun={
            str(name): at.to_pydatetime() for name, at in scanned.groupby("environments")["started_at"].min().items()
        },
        difference=diff(previous, record) if previous is not None else None,
        failing_since=questions.failing_since(history, names),
        mean_time_to_fix=questions.mean_time_to_fix(history, read["run_id"].astype(str)),
        fixes_from=read["started_at"].min().to_pydatetime() if len(read) < len(runs) else None,
        differing_addresses=questions.differing_addresses(history, names),
        coverage=questions.coverage(history, recent),
        trend=questions.trend(history, recent),
    )
    return _of_endpoints(answers, record) if record.run.part and record.run.part.by_endpoint else answers


def _of_endpoints(answers: HistoryAnswers, record: RunRecord) -> HistoryAnswers:
    """The answers about the endpoints of a record; of what is only counted by environment, nothing."""
    places = {(target.environment, target.host, target.port) for target in record.targets}
    names = answers.differing_addresses
    keys = zip(names["environment"], names["host"], names["port"], strict=True)
    theirs = [(str(environment), str(host), int(port)) in places for environment, host, port in keys]
    return structs.replace(
        answers,
        differing_addresses=names[theirs],
        mean_time_to_fix=answers.mean_time_to_fix.iloc[:0],
        fixes_from=None,
        coverage=answers.coverage.iloc[:0],
        trend=answers.trend.iloc[:0],
    )


def first_seen_of(rendering: Rendering) -> dict[tuple[str, str, str], datetime]:
    """Since when what fails in a run fails without a break, by endpoint, rule and subject; empty without a history.

    Raises:
        HistoryError: the history cannot be read.
    """
    if rendering.history is None:
        return {}
    run = rendering.record.run
    known = rendering.history.runs(columns=("run_id", "sequence", "started_at", "finished_at"))
    upto = known[: int((known["run_id"] == run.id).argmax()) + 1]
    names = upto[upto["finished_at"] <= run.finished_at]["run_id"].astype(str).tolist()
    failing = questions.failing_since(rendering.history, names)
    keys = (failing[name].astype(str) for name in ("endpoint", "rule", "subject"))
    return {
        (endpoint, rule, subject): since
        for endpoint, rule, subject, since in zip(*keys, failing["since"].dt.to_pydatetime(), strict=True)
    }


def _newest(runs: pd.DataFrame) -> pd.DataFrame:
    """The newest runs with so many verdicts as can be read at once, one of them in any case."""
    newest = runs[::-1]
    before = newest[list(_COUNTS)].sum(axis="columns").cumsum().shift(fill_value=0)
    return newest[before < _MOST_VERDICTS]


def _daily(complete: pd.DataFrame, record: RunRecord) -> list[str]:
    """The last run of each day that a report looks back at, oldest first."""
    recent = complete[complete["started_at"] >= record.run.started_at - LOOKED_BACK]
    last = recent.groupby(recent["started_at"].dt.date)["run_id"].max()
    return sorted(last.astype(str))
