"""`nightseal history`: what the history knows."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.commands.history_questions import QUESTIONS
from scanner.app.lazy import done_by


@click.group("history")
def command() -> None:
    """Look into the history."""


@command.command("runs")
@options.config_option
@options.table_format_option
@done_by("scanner.app.actions.history:runs")
def runs() -> None:
    """List the runs, the latest last.

    \b
    Examples:
      nightseal history runs
      nightseal history runs --format csv > runs.csv
    """


@command.command("targets")
@options.config_option
@options.table_format_option
@done_by("scanner.app.actions.history:targets")
def targets() -> None:
    """List the targets of the last run.

    \b
    Examples:
      nightseal history targets
    """


@command.command("target")
@click.argument("target", metavar="T")
@options.config_option
@options.table_format_option
@done_by("scanner.app.actions.history:target")
def target() -> None:
    """Show what became of one target, run by run, and what fails there now.

    T is a target's id, or a part of it that only one has.

    \b
    Examples:
      nightseal history target production/shop.example.com:443@192.0.2.7
      nightseal history target shop.example.com
    """


@command.command("certificates")
@options.config_option
@options.table_format_option
@done_by("scanner.app.actions.history:certificates")
def certificates() -> None:
    """List the certificates in use, the next to expire first.

    \b
    Examples:
      nightseal history certificates
    """


for question in QUESTIONS:
    command.add_command(question)
