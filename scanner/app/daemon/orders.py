"""`nightseal run --via-daemon`: the side of whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from scanner.app.daemon.control import ask
from scanner.app.daemon.setup import socket_of
from scanner.app.exit_status import ExitStatus
from scanner.config import Config


def run_via_daemon(config: Config, order: Mapping[str, Any], *, quiet: bool) -> int:
    """Ask the running service of this configuration for a run, wait, and return the run's exit status.

    Raises:
        UsageError: there is no such service, or it refuses.
    """
    answer = ask(socket_of(config), {name: value for name, value in order.items() if value})
    if answer["summary"] and not quiet:
        click.echo(answer["summary"])
    if answer["reason"]:
        click.echo(f"nightseal: {answer['state']}: {answer['reason']}", err=True)
    status = answer["exit_status"]
    return ExitStatus.INTERNAL if status is None else int(status)
