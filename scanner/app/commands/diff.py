"""`nightseal diff`: what changed from one run to another, and through whom."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app import options
from scanner.app.lazy import done_by


@click.command("diff")
@click.argument("runs", metavar="[RUN [RUN]]", nargs=-1)
@options.config_option
@click.option(
    "--since", type=options.Since(), metavar="D", help="Show what changed since this day, or in a period such as 30d."
)
@click.option(
    "--since-report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.pdf",
    help="What changed since this signed report; its signature must hold.",
)
@done_by("scanner.app.handlers.diff:diff")
def command() -> None:
    """Show what changed between two runs.

    By default the last two of the same scope are compared. One RUN is compared with the one before it. With --since the
    comparison is with the last run before that day, or with the first one where the history does not reach back so far.

    \b
    Examples:
      nightseal diff
      nightseal diff --since 2026-11-01
      nightseal diff --since 90d
      nightseal diff --since-report signed.pdf
      nightseal diff 20261123T020000Z-1a2b3c 20261124T020000Z-4d5e6f
    """
