"""`nightseal explain RULE`: what a rule demands, why, on whose authority, and how to mend what it finds."""

from __future__ import annotations

import click

from scanner.app.lazy import done_by


@click.command("explain")
@click.argument("rule_id", metavar="[RULE]", required=False)
@done_by("scanner.app.handlers.explain:explain")
def command() -> None:
    """Explain a rule: what, why, sources, fixes.

    Without RULE, list them all.

    \b
    Examples:
      nightseal explain
      nightseal explain cert.expiry
    """
