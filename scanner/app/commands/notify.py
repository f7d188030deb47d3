"""`nightseal notify`: whether receivers can be reached, before it matters."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.lazy import done_by


@click.group("notify")
def command() -> None:
    """Try the receivers of notifications."""


@command.command("test")
@click.argument("name")
@options.config_option
@done_by("scanner.app.handlers.notify:test")
def test() -> None:
    """Send a message to the receiver NAME of the configuration, and say whether it was taken.

    \b
    Examples:
      nightseal notify test security
    """
