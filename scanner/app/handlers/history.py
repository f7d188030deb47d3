"""`nightseal history`: what the history knows."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app.history_access import history_and_scope, open_history
from scanner.app.tables import show
from scanner.errors import UsageError, nearest
from scanner.history.questions import certificates_by_expiry, counts_of_runs


def runs(config_path: Path, format_name: str) -> None:
    """List the runs, the latest last."""
    history = open_history(config_path)
    frame = history.runs()
    counts = counts_of_runs(history)
    frame = frame.drop(columns=["waived"]).join(counts, on="run_id")
    wanted = [
        "run_id", "trigger", "started_at", "complete", "targets", "assessed", *counts.columns, "policy_id",
    ]  # fmt: skip
    show(frame[[name for name in wanted if name in frame]], format_name)


def targets(config_path: Path, format_name: str) -> None:
    """List the targets of the last run."""
    history, scope = history_and_scope(config_path)
    latest = history.latest()
    frame = history.targets([latest] if latest else [])
    frame["retired"] = ~scope.of_frame(frame) if scope is not None else False
    wanted = [
        "target_id", "environment", "applications", "role", "status", "error_reason", "connections", "duration_s",
        "retired",
    ]  # fmt: skip
    show(frame[[name for name in wanted if name in frame]], format_name)


def target(target: str, config_path: Path, format_name: str) -> None:
    """Show the results of one target, run by run, and what fails there now."""
    history, scope = history_and_scope(config_path)
    frame = history.targets()
    ids = sorted(set(frame["target_id"].astype(str)))
    found = [target] if target in ids else [item for item in ids if target in item]
    if len(found) != 1:
        hint = ", ".join(found[:5]) or nearest(target, ids) or "`nightseal history targets` lists them"
        problem = "means several targets" if found else "is not in the history"
        raise UsageError(f'"{target}" {problem} ({hint})')
    rows = frame[frame["target_id"].astype(str) == found[0]]
    wanted = ["run_id", "run_started_at", "status", "error_reason", "policy_id", "connections", "duration_s"]
    show(rows[[name for name in wanted if name in rows]], format_name)
    order = {run_id: place for place, run_id in enumerate(history.order())}
    latest = max(rows["run_id"].astype(str), key=order.__getitem__)
    verdicts = history.verdicts([latest])
    failing = verdicts[(verdicts["target_id"].astype(str) == found[0]) & (verdicts["status"].astype(str) == "fail")]
    if format_name == "text":
        if scope is not None and not scope.has(found[0].rpartition("@")[0]):
            click.echo("\nRetired: it is no longer configured.")
        click.echo(f"\nFailing in {latest}:")
        show(failing[["rule", "severity", "reason", "subject", "message"]], format_name)


def certificates(config_path: Path, format_name: str) -> None:
    """List the certificates in use, the next to expire first."""
    history, scope = history_and_scope(config_path)
    frame = certificates_by_expiry(history, scope=scope)
    if format_name == "text":
        frame = frame[["not_after", "days_left", "subject", "issuer", "environments", "hosts", "targets"]]
    show(frame, format_name)
