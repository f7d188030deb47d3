"""`nightseal history`: what the history knows."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.commands.history_questions import QUESTIONS
from scanner.app.lazy import done_by


@click.group("history")
def command() -> None:
    """Query the history."""


@command.command("runs")
@options.config_option
@options.table_format_option
@done_by("scanner.app.handlers.history:runs")
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
@done_by("scanner.app.handlers.history:targets")
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
@done_by("scanner.app.handlers.history:target")
def target() -> None:
    """Show the results of one target, run by run, and what fails there now.

    T is a target's id, or a part of it that only one has.

    \b
    Examples:
      nightseal history target production/shop.example.com:443@192.0.2.7
      nightseal history target shop.example.com
    """


@command.command("certificates")
@options.config_option
@options.table_format_option
@done_by("scanner.app.handlers.history:certificates")
def certificates() -> None:
    """List the certificates in use, the next to expire first.

    \b
    Examples:
      nightseal history certificates
    """


@command.command("size")
@options.config_option
@options.table_format_option
@done_by("scanner.app.handlers.history_keeping:size")
def size() -> None:
    """Show the size of the history, table by table, in bytes.

    The size on disk includes files that are no longer needed; they are removed after a day.

    \b
    Examples:
      nightseal history size
    """


@command.command("tidy")
@options.config_option
@done_by("scanner.app.handlers.history_keeping:tidy")
def tidy() -> None:
    """Put small files together, and remove evidence older than [history] keep and what broken runs left.

    The service does so after each of its runs; where `nightseal run` is started by cron, do it once a month or so.

    \b
    Examples:
      nightseal history tidy
    """


@command.command("forget")
@click.argument("run_id", metavar="RUN")
@click.option("--why", metavar="TEXT", help="The reason, which stays on record.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.config_option
@done_by("scanner.app.handlers.history_keeping:forget")
def forget() -> None:
    """Remove a run from the history permanently, such as one made under a wrong clock.

    Its verdicts, certificates and evidence are deleted. Which run it was, and who removed it, when and why, stays on
    record.

    \b
    Examples:
      nightseal history forget 20281124T020000Z-4d5e6f
      nightseal history forget 20281124T020000Z-4d5e6f --why "the clock was two years ahead" --yes
    """


@command.command("forgotten")
@options.config_option
@options.table_format_option
@done_by("scanner.app.handlers.history_keeping:forgotten")
def forgotten() -> None:
    """List the runs that were removed from the history, by whom, when and why.

    \b
    Examples:
      nightseal history forgotten
    """


for question in QUESTIONS:
    command.add_command(question)
