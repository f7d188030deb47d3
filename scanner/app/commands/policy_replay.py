"""`nightseal policy replay P`: the history's evidence under another policy, or as of another day, without network."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.lazy import done_by


@click.command("replay")
@click.argument("name", metavar="P")
@options.config_option
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="D",
    help="Judge every run since this day, to show what the servers changed; the last one by default.",
)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), metavar="D", help="Judge the last run as of this day.")
@click.option("--format", "-f", "format_name", type=click.Choice(["text", "json"]), default="text", show_default=True)
@options.output_option
@done_by("scanner.app.handlers.policy_replay:policy_replay")
def command() -> None:
    """Judge the history's evidence by another policy, without network.

    Shows separately what differs because of the policy and what differs because the servers changed; with --as-of,
    what will fail on that day if nothing is done. Runs over different environments are compared separately. Nothing
    is written to the history.

    \b
    Examples:
      nightseal policy replay mozilla-modern
      nightseal policy replay nist-sp800-52r2 --since 2026-11-01
      nightseal policy replay cabf-br --as-of 2027-03-15
    """
