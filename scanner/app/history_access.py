"""The history that a command looks into, and which part of it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from scanner.app.reading import config_to_read
from scanner.errors import UsageError, nearest
from scanner.history import History
from scanner.history.scope import ConfiguredScope


def open_history(config_path: Path) -> History:
    """The history that the configuration names.

    Raises:
        HistoryError: there is none.
    """
    config = config_to_read(config_path)
    return History.open(config.resolve(config.form.nightseal.history), create=False)


def history_and_scope(config_path: Path) -> tuple[History, ConfiguredScope | None]:
    """The history that the configuration names, and what the configuration has: the rest of the history is retired.

    Raises:
        HistoryError: there is none.
    """
    config = config_to_read(config_path)
    history = History.open(config.resolve(config.form.nightseal.history), create=False)
    return history, ConfiguredScope.of(config.inventory)


def environments_meant(history: History, patterns: Sequence[str]) -> frozenset[str] | None:
    """The environments of the history that names and globs stand for; None, which is all, where there is no pattern.

    Raises:
        UsageError: a pattern stands for none.
    """
    if not patterns:
        return None
    known = sorted({name for names in history.runs(columns=["environments"])["environments"] for name in names})
    found = frozenset(name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            hint = nearest(pattern, known) or f"it has: {', '.join(known) or 'none yet'}"
            raise UsageError(f'the history has no environment "{pattern}" ({hint})')
    return found


def retired_of(scope: ConfiguredScope | None, names: Collection[str] | None) -> str:
    """What to say of environments that were asked for and that the configuration no longer has; empty without any."""
    gone = sorted(set(names or ()) - scope.environments) if scope is not None else []
    if not gone:
        return ""
    chosen = " ".join(f"--environment {shlex.quote(name)}" for name in gone)
    named = ", ".join(f'"{name}"' for name in gone)
    what = f"Environment {named} is retired" if len(gone) == 1 else f"Environments {named} are retired"
    return (
        f"{what}: the configuration no longer has {'it' if len(gone) == 1 else 'them'}. "
        f"`nightseal history failing --retired {chosen}` shows what failed last, "
        f"`nightseal history coverage {chosen}` the runs."
    )


def runs_since(history: History, since: datetime | None) -> list[str] | None:
    """The ids of the runs that started then or later; None, which is all, without a moment.

    Raises:
        UsageError: there is none.
    """
    if since is None:
        return None
    runs = history.runs(columns=["run_id", "started_at"])
    found = [str(run_id) for run_id in runs.loc[runs["started_at"] >= since, "run_id"]]
    if not found:
        raise UsageError(f"the history has no run since {since:%Y-%m-%d}; `nightseal history runs` lists them")
    return found


def baseline(history: History, run_id: str, since: datetime) -> str:
    """The run to compare `run_id` with, to tell what changed since a moment.

    It is the last complete run over the same environments that started before that moment: it shows what was so then.
    Where the history does not reach back so far it is the first one since.

    Raises:
        UsageError: there is none before `run_id`.
        HistoryError: there is no run `run_id`.
    """
    if history.previous(run_id) is None:
        raise UsageError(f"there is no earlier complete run of the same scope as {run_id}")
    runs = history.runs(columns=["run_id", "started_at", "environments", "complete"]).to_dict("records")
    place = next(place for place, run in enumerate(runs) if str(run["run_id"]) == run_id)
    scope = set(runs[place]["environments"])
    earlier = [
        (run["started_at"], str(run["run_id"]))
        for run in runs[:place]
        if run["complete"] and set(run["environments"]) == scope
    ]
    before = [name for started_at, name in earlier if started_at < since]
    return before[-1] if before else earlier[0][1]
