"""`nightseal doctor`: what this machine lacks, and the command that mends it."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.lazy import done_by


@click.command("doctor")
@options.config_option
@done_by("scanner.app.handlers.doctor:doctor")
def command() -> None:
    """Check what is missing on this machine, and print how to install it.

    \b
    Examples:
      nightseal doctor
    """
