"""`nightseal history size`, `tidy`, `forget` and `forgotten`: how large it is, and what is taken out of it."""

from __future__ import annotations

import getpass
import logging
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from scanner.app.history_access import open_history
from scanner.app.tables import show
from scanner.config import loading as configuration
from scanner.counting import counted
from scanner.errors import NightsealError, UsageError, nearest
from scanner.history import forgetting
from scanner.history import size as measuring
from scanner.history.maintenance import maintain, refuse_wrong_clock
from scanner.jobs.site import output_folder, report_files, update_site

_LOG = logging.getLogger(__name__)
_NO_REASON = "no reason was given"


def size(config_path: Path, format_name: str) -> None:
    """Show the size of the history, table by table, in bytes."""
    frame = measuring.size(open_history(config_path))
    show(frame, format_name)
    if format_name == "text":
        click.echo(
            f"\n{int(frame['bytes'].sum()):,} bytes are read, {int(frame['on_disk'].fillna(0).sum()):,} are on disk"
        )


def tidy(config_path: Path) -> None:
    """Put small files together, and remove evidence older than [history] keep and what broken runs left."""
    config = configuration.load(config_path)
    history = open_history(config_path)
    now = datetime.now(UTC)
    refuse_wrong_clock(history, now)
    done = maintain(history, keep=config.form.history.keep, now=now)
    click.echo(
        f"Removed: evidence of {counted(done.evidence_rows, 'target')}, {counted(done.broken_rows, 'row')} of broken "
        f"runs, {counted(done.removed_files, 'file')}. Put together: {counted(done.compacted_files, 'file')}."
    )


def forget(run_id: str, why: str | None, config_path: Path, *, yes: bool) -> None:
    """Remove a run from the history permanently, such as one made under a wrong clock."""
    config = configuration.load(config_path)
    history = open_history(config_path)
    known = history.order()
    if run_id not in known:
        if run_id in set(forgetting.forgotten(history)["run_id"].astype(str)):
            raise UsageError(f'"{run_id}" was forgotten already: `nightseal history forgotten` has who, when and why')
        hint = nearest(run_id, known) or "`nightseal history runs` lists them"
        raise UsageError(f'"{run_id}" is not a run of the history ({hint})')
    (run,) = history.runs([run_id]).to_dict("records")
    about = (
        f"Run {run_id} of {run['started_at']:%Y-%m-%d %H:%M} UTC: "
        f"{counted(run['targets'], 'target')} in {', '.join(run['environments'])}, "
        f"{counted(run['failed'], 'verdict')} failing"
    )
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{about}. There is no terminal to confirm on: add --yes to remove it")
        click.echo(f"{about}. Its verdicts, certificates and evidence are deleted permanently.", err=True)
        why = why or click.prompt("Why (this is kept)", err=True)
        click.confirm("Forget it?", abort=True, err=True)
    gone = forgetting.forget(history, run_id, who=_who(), why=why or _NO_REASON, now=datetime.now(UTC))
    click.echo(f"Forgotten: {about}; {counted(gone, 'row')}. `nightseal history forgotten` keeps who, when and why.")
    folder = output_folder(config)
    left = report_files(folder).get(run_id, ()) if folder.is_dir() else ()
    for report in left:
        click.echo(f"Its report is still there: {folder / report.name}")
    try:
        update_site(config, history)
    except NightsealError as error:
        _LOG.warning("the page of all runs was not written: %s", error)


def forgotten(config_path: Path, format_name: str) -> None:
    """List the runs that were removed from the history, by whom, when and why."""
    show(forgetting.forgotten(open_history(config_path)), format_name)


def _who() -> str:
    """The user, through sudo too, and the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry
        user = f"user id {os.getuid()}"
    real = os.environ.get("SUDO_USER")
    return f"{real} as {user}@{platform.node()}" if real and real != user else f"{user}@{platform.node()}"
