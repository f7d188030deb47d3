"""`nightseal policy`: list, show, check, compare and replay policies."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app.commands import policy_diff, policy_replay
from scanner.app.lazy import done_by


@click.group("policy")
def command() -> None:
    """List, show, check, compare and replay policies."""


@command.command("list")
@done_by("scanner.app.handlers.policy:list_policies")
def list_policies() -> None:
    """List the policies that ship.

    \b
    Examples:
      nightseal policy list
    """


@command.command("show")
@click.argument("name", metavar="P")
@done_by("scanner.app.handlers.policy:show")
def show() -> None:
    """Show a policy: its rules, severities, parameters and sources.

    \b
    Examples:
      nightseal policy show mozilla-intermediate
      nightseal policy show ./our-policy.toml
    """


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@done_by("scanner.app.handlers.policy:check")
def check() -> None:
    """Check a policy file.

    Checks the format, the names, and whether the requirements can be met together: what no server can meet is an
    error. What has no effect, or no source, is a warning.

    \b
    Examples:
      nightseal policy check our-policy.toml
    """


command.add_command(policy_diff.command)
command.add_command(policy_replay.command)
