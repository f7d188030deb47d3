"""`nightseal policy diff P Q`: what one policy demands otherwise than another."""

from __future__ import annotations

import click

from scanner.app.lazy import done_by


@click.command("diff")
@click.argument("first", metavar="P")
@click.argument("second", metavar="Q")
@click.option("--format", "-f", "format_name", type=click.Choice(["text", "json"]), default="text", show_default=True)
@done_by("scanner.app.handlers.policy_diff:policy_diff")
def command() -> None:
    """Show how the demands of policy Q differ from those of P.

    \b
    Examples:
      nightseal policy diff mozilla-intermediate mozilla-modern
      nightseal policy diff https-by-default ./our-policy.toml --format json
    """
