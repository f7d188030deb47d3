"""`nightseal history failing`, `fixes`, …: what people ask of many runs together."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner.app.history_access import environments_meant, history_and_scope, open_history, retired_of, runs_since
from scanner.app.tables import show
from scanner.counting import counted
from scanner.history.questions import (
    certificates_by_issuer,
    differing_addresses,
    environments_compared,
    failing_since,
    mean_time_to_fix,
    reused_keys,
)
from scanner.history.questions import coverage as coverage_of
from scanner.history.replaced import certificate_changes

if TYPE_CHECKING:
    import pandas as pd


def _within(frame: pd.DataFrame, names: frozenset[str] | None) -> pd.DataFrame:
    """The rows of some environments."""
    return frame if names is None else frame[frame["environment"].astype(str).isin(names)]


def _touching(frame: pd.DataFrame, names: frozenset[str] | None) -> pd.DataFrame:
    """The rows whose list of environments has one of these."""
    if names is None:
        return frame
    return frame[[not names.isdisjoint(row) for row in frame["environments"]]]


def failing(
    config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str, *, retired: bool
) -> None:
    """List what fails now, since when, and for how long."""
    history, scope = history_and_scope(config_path)
    names = environments_meant(history, environments)
    frame = _within(failing_since(history), names).copy()
    frame["retired"] = ~scope.of_frame(frame) if scope is not None else False
    left_out = 0 if retired else int(frame["retired"].sum())
    if not retired:
        frame = frame[~frame.pop("retired").astype(bool)]
    if since is not None:
        frame = frame[frame["since"] >= since]
    if format_name == "text":
        wanted = ["since", "duration", "severity", "began_as", "rule", "subject", "endpoint", "places", "waived"]
        frame = frame[[*wanted, *(["retired"] if retired else []), "message"]]
    told = "" if retired else retired_of(scope, names)
    show(frame, format_name, nothing=told)
    if told and not frame.empty:
        click.echo(told, err=True)
    elif left_out and not told:
        what = counted(left_out, "failure")
        click.echo(f"Left out: {what} of what the configuration no longer has; --retired shows them.", err=True)


def fixes(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """Show how long failures lasted until they were fixed, by environment and severity."""
    history = open_history(config_path)
    show(_within(mean_time_to_fix(history, since=since), environments_meant(history, environments)), format_name)


def keys(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """List the private keys that several hosts hold, those in most environments first."""
    history, scope = history_and_scope(config_path)
    names = environments_meant(history, environments)
    frame = _touching(reused_keys(history, runs_since(history, since), scope=scope), names)
    show(frame, format_name, nothing=retired_of(scope, names))


def issuers(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """List who issued the certificates in use, those with most certificates first."""
    history, scope = history_and_scope(config_path)
    frame = certificates_by_issuer(history, runs_since(history, since), scope=scope)
    names = environments_meant(history, environments)
    show(_touching(frame, names), format_name, nothing=retired_of(scope, names))


def renewals(
    config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str, *, surprising: bool
) -> None:
    """List which certificate replaced which, and how they differ, the newest first."""
    history = open_history(config_path)
    frame = _within(certificate_changes(history), environments_meant(history, environments))
    if since is not None:
        frame = frame[frame["since"] >= since]
    if surprising:
        frame = frame[~frame["expected"]]
    if format_name == "text":
        frame = frame[["since", "endpoint", "expected", "changes", "not_after"]]
    show(frame, format_name)


def addresses(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """List the names whose addresses answer differently, how, and since when."""
    history, scope = history_and_scope(config_path)
    names = environments_meant(history, environments)
    frame = _within(differing_addresses(history, scope=scope), names)
    frame = frame if since is None else frame[frame["since"] >= since]
    show(frame, format_name, nothing=retired_of(scope, names))


def environments(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """Compare the same application in several environments: where the outcome of a rule differs."""
    history, scope = history_and_scope(config_path)
    frame = environments_compared(history, runs_since(history, since), scope=scope)
    names = environments_meant(history, environments)
    if names is not None:
        frame = frame[[name for name in frame.columns if str(name) in names]]
        frame = frame[[row.nunique() > 1 for _, row in frame.iterrows()]]  # noqa: PD101  # an outcome, or none at all
    show(frame.reset_index(), format_name, nothing=retired_of(scope, names))


def coverage(config_path: Path, environments: tuple[str, ...], since: datetime | None, format_name: str) -> None:
    """Show how many targets could be assessed, run by run: in full, in part, unreachable."""
    history = open_history(config_path)
    frame = _within(coverage_of(history, runs_since(history, since)), environments_meant(history, environments))
    if format_name == "text":
        # Cut, not rounded: 999 targets of 1,000 are not all of them.
        frame = frame.assign(share=[f"{int(share * 1000) / 10:g} %" for share in frame["share"]])
    show(frame, format_name)
