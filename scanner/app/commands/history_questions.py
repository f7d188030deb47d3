"""`nightseal history failing`, `fixes`, …: what people ask of many runs together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import click

from scanner.app import options
from scanner.app.lazy import done_by

F = TypeVar("F", bound=Callable[..., None])


def _since_option(text: str) -> Callable[[F], F]:
    return click.option("--since", type=options.Since(), metavar="D", help=f"{text} A day, or a duration such as 30d.")


_environment_option = click.option(
    "--environment", "-e", "environments", multiple=True, metavar="E", help="Only these; globs. Repeatable."
)


@click.command("failing")
@options.config_option
@_environment_option
@_since_option("Only failures that began on or after this date.")
@click.option("--retired", is_flag=True, help="Include what is no longer configured, marked as retired.")
@options.table_format_option
@done_by("scanner.app.handlers.history_questions:failing")
def failing() -> None:
    """List what fails now, since when, and for how long.

    The present state of an environment is its last complete run; what the configuration no longer has is left out. A
    failure whose first run is the first of the history lasts at least as long as is shown.

    \b
    Examples:
      nightseal history failing
      nightseal history failing --environment production --since 30d
      nightseal history failing --retired
      nightseal history failing --format csv > failing.csv
    """


@click.command("fixes")
@options.config_option
@_environment_option
@_since_option("Only failures fixed on or after this date.")
@options.table_format_option
@done_by("scanner.app.handlers.history_questions:fixes")
def fixes() -> None:
    """Show how long failures lasted until they were fixed, by environment and severity.

    Time is counted from the first run that saw a failure to the first that saw it gone.

    \b
    Examples:
      nightseal history fixes
      nightseal history fixes --since 90d
    """


@click.command("keys")
@options.config_option
@_environment_option
@_since_option("Only of environments that were scanned then or later.")
@options.table_format_option
@done_by("scanner.app.handlers.history_questions:keys")
def keys() -> None:
    """List the private keys that several hosts hold, those in most environments first.

    They are identified by the public keys in the certificates that are served now. --environment keeps the keys that
    one of these environments holds, wherever else they are.

    \b
    Examples:
      nightseal history keys
      nightseal history keys --environment production
    """


@click.command("issuers")
@options.config_option
@_environment_option
@_since_option("Only of environments that were scanned then or later.")
@options.table_format_option
@done_by("scanner.app.handlers.history_questions:issuers")
def issuers() -> None:
    """List who issued the certificates in use, those with most certificates first.

    \b
    Examples:
      nightseal history issuers
    """


@click.command("renewals")
@options.config_option
@_environment_option
@_since_option("Only replacements on or after this date.")
@click.option("--surprising", is_flag=True, help="Only changes other than renewals: another authority, other names.")
@options.table_format_option
@done_by("scanner.app.handlers.history_questions:renewals")
def renewals() -> None:
    """List which certificate replaced which, and how they differ, the newest first.

    A renewal is expected to keep the names and the authority. Each certificate counts when it first appears at an
    endpoint.

    \b
    Examples:
      nightseal history renewals
      nightseal history renewals --surprising --since 30d
    """


@click.command("addresses")
@options.config_option
@_environment_option
@_since_option("Only differences that began on or after this date.")
@options.table_format_option
@done_by("scanner.app.handlers.history_questions:addresses")
def addresses() -> None:
    """List the names whose addresses answer differently, how, and since when.

    \b
    Examples:
      nightseal history addresses
      nightseal history addresses --environment "prod*" --format json
    """


@click.command("environments")
@options.config_option
@_environment_option
@_since_option("Only environments that were scanned then or later.")
@options.table_format_option
@done_by("scanner.app.handlers.history_questions:environments")
def environments() -> None:
    """Compare the same application in several environments: where the outcome of a rule differs.

    Each cell is the worst outcome among the application's targets there.

    \b
    Examples:
      nightseal history environments
      nightseal history environments --environment test --environment production
    """


@click.command("coverage")
@options.config_option
@_environment_option
@_since_option("Only runs that started then or later.")
@options.table_format_option
@done_by("scanner.app.handlers.history_questions:coverage")
def coverage() -> None:
    """Show how many targets could be assessed, run by run: in full, in part, unreachable.

    \b
    Examples:
      nightseal history coverage
      nightseal history coverage --since 2026-11-01 --environment production
    """


QUESTIONS: Final = (failing, fixes, keys, issuers, renewals, addresses, environments, coverage)
