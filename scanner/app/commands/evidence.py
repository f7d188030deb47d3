"""`nightseal evidence`: what was observed, for somebody else to judge."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.lazy import done_by


@click.group("evidence")
def command() -> None:
    """Export what was observed, with names and addresses replaced."""


@command.command("export")
@options.config_option
@click.option("--run", "run_id", metavar="ID", help="The run; the last one by default.")
@click.option("--target", "target_glob", metavar="GLOB", help="Only targets whose id matches.")
@click.option("--redact", is_flag=True, help="Replace hosts, addresses, names and keys, the same everywhere.")
@options.output_option
@done_by("scanner.app.handlers.evidence:export")
def export() -> None:
    """Write a run's evidence and verdicts as JSON, format nightseal.evidence/1.

    `nightseal verify FILE --replay` judges it again, on another machine.

    With --redact, a host, an address, a name, a path, a digest or a key gets one substitute everywhere in the file, and
    another in the next file. The file is judged again before it is written: what would be judged differently is listed.
    Look it over before you publish it: cookie names, policy names and what servers say of their software are kept.

    \b
    Examples:
      nightseal evidence export --redact --output evidence.json
      nightseal evidence export --redact --target "*/shop.example.com:443*" --output shop.json
    """
