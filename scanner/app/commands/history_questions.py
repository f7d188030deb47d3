"""`nightseal history failing`, `fixes`, …: what people ask of many runs together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from scanner.app import options
from scanner.app.history_access import environments_meant, format_option, open_history, runs_since
from scanner.app.tables import show

if TYPE_CHECKING:
    import pandas as pd

F = TypeVar("F", bound=Callable[..., None])

_environment_option = click.option(
    "--environment", "-e", "environments", multiple=True, metavar="E", help="Only these; globs. Repeatable."
)


def _since_option(text: str) -> Callable[[F], F]:
    return click.option("--since", type=options.Since(), metavar="D", help=f"{text} A day, or a duration such as 30d.")


def _within(frame: pd.DataFrame, names: frozenset[str] | None) -> pd.DataFrame:
    """The rows of some environments."""
    return frame if names is None else frame[frame["environment"].astype(str).isin(names)]


def _touching(frame: pd.DataFrame, names: frozenset[str] | None) -> pd.DataFrame:
    """The rows whose list of environments has one of these."""
    if names is None:
        return frame
    return frame[[not names.isdisjoint(row) for row in frame["environments"]]]


@click.command("failing")
@options.config_option
@_environment_option
@_since_option("Only what began to fail then or later.")
@format_option
def failing(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """List what fails now, since when, and for how long.

    The present state of an environment is its last complete run. A failure whose first run is the first of the history
    lasts at least as long as is shown.

    \b
    Examples:
      nightseal history failing
      nightseal history failing --environment production --since 30d
      nightseal history failing --format csv > failing.csv
    """
    from scanner.history.questions import failing_since  # noqa: PLC0415  # pandas loads only here

    history = open_history(config_path)
    frame = _within(failing_since(history), environments_meant(history, environments))
    if since is not None:
        frame = frame[frame["since"] >= since]
    if format_name == "text":
        frame = frame[["since", "duration", "severity", "rule", "subject", "target_id", "waived", "message"]]
    show(frame, format_name)


@click.command("fixes")
@options.config_option
@_environment_option
@_since_option("Only what was mended then or later.")
@format_option
def fixes(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """Tell how long failures lasted until they were mended, by environment and severity.

    Time is counted from the first run that saw a failure to the first that saw it gone.

    \b
    Examples:
      nightseal history fixes
      nightseal history fixes --since 90d
    """
    from scanner.history.questions import mean_time_to_fix  # noqa: PLC0415  # pandas loads only here

    history = open_history(config_path)
    show(_within(mean_time_to_fix(history, since=since), environments_meant(history, environments)), format_name)


@click.command("keys")
@options.config_option
@_environment_option
@_since_option("Only of environments that were scanned then or later.")
@format_option
def keys(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """List the private keys that several hosts hold, those in most environments first.

    They are told by their public halves in the certificates that are served now. --environment keeps the keys that one
    of these environments holds, wherever else they are.

    \b
    Examples:
      nightseal history keys
      nightseal history keys --environment production
    """
    from scanner.history.questions import reused_keys  # noqa: PLC0415  # pandas loads only here

    history = open_history(config_path)
    frame = _touching(reused_keys(history, runs_since(history, since)), environments_meant(history, environments))
    show(frame, format_name)


@click.command("issuers")
@options.config_option
@_environment_option
@_since_option("Only of environments that were scanned then or later.")
@format_option
def issuers(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """List who issued the certificates in use, those with most certificates first.

    \b
    Examples:
      nightseal history issuers
    """
    from scanner.history.questions import certificates_by_issuer  # noqa: PLC0415  # pandas loads only here

    history = open_history(config_path)
    frame = certificates_by_issuer(history, runs_since(history, since))
    show(_touching(frame, environments_meant(history, environments)), format_name)


@click.command("addresses")
@options.config_option
@_environment_option
@_since_option("Only what began to differ then or later.")
@format_option
def addresses(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """List the names whose addresses do not answer alike, in what, and since when.

    \b
    Examples:
      nightseal history addresses
      nightseal history addresses --environment "prod*" --format json
    """
    from scanner.history.questions import differing_addresses  # noqa: PLC0415  # pandas loads only here

    history = open_history(config_path)
    frame = _within(differing_addresses(history), environments_meant(history, environments))
    show(frame if since is None else frame[frame["since"] >= since], format_name)


@click.command("environments")
@options.config_option
@_environment_option
@_since_option("Only environments that were scanned then or later.")
@format_option
def environments(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """Compare the same application in several environments: where a rule comes out differently.

    Each cell is the worst outcome among the application's targets there.

    \b
    Examples:
      nightseal history environments
      nightseal history environments --environment test --environment production
    """
    from scanner.history.questions import environments_compared  # noqa: PLC0415  # pandas loads only here

    history = open_history(config_path)
    frame = environments_compared(history, runs_since(history, since))
    names = environments_meant(history, environments)
    if names is not None:
        frame = frame[[name for name in frame.columns if str(name) in names]]
        frame = frame[[row.nunique() > 1 for _, row in frame.iterrows()]]  # noqa: PD101  # an outcome, or none at all
    show(frame.reset_index(), format_name)


@click.command("coverage")
@options.config_option
@_environment_option
@_since_option("Only runs that started then or later.")
@format_option
def coverage(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """Tell how much could be looked at, run by run: assessed in full, in part, unreachable.

    \b
    Examples:
      nightseal history coverage
      nightseal history coverage --since 2026-11-01 --environment production
    """
    from scanner.history.questions import coverage as coverage_of  # noqa: PLC0415  # pandas loads only here

    history = open_history(config_path)
    frame = _within(coverage_of(history, runs_since(history, since)), environments_meant(history, environments))
    if format_name == "text":
        # Cut, not rounded: 999 targets of 1,000 are not all of them.
        frame = frame.assign(share=[f"{int(share * 1000) / 10:g} %" for share in frame["share"]])
    show(frame, format_name)


QUESTIONS: Final = (failing, fixes, keys, issuers, addresses, environments, coverage)
