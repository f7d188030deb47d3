"""`nightseal daemon`: the configured schedules, until SIGTERM, and what it remembers of them."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.lazy import done_by


@click.command("daemon")
@options.config_option
@click.option("--status", "only_status", is_flag=True, help="Show the last starts and their outcomes, then exit.")
@click.option("--alive", "only_alive", is_flag=True, help="Ask whether the service of this configuration is alive.")
@done_by("scanner.app.handlers.daemon:daemon")
def command() -> None:
    """Run the configured schedules until told to stop.

    SIGTERM stops it; SIGHUP makes it read its configuration again. docs/operations.md explains how to install it as a
    service.

    \b
    Examples:
      nightseal daemon --config /etc/nightseal/config.toml
      nightseal daemon --status
      nightseal daemon --alive        status 0 where it is, 4 where it is not
    """
