"""`nightseal scan TARGET…`: hosts, now."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app import options
from scanner.app.lazy import done_by
from scanner.formats import FORMATS


@click.command("scan")
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Take [scan] and the history from here.")
@options.policy_option
@options.ca_file_option
@options.deadline_option
@options.connect_to_option
@options.format_option(*FORMATS)
@options.output_option
@options.fail_on_option
@click.option("--record", is_flag=True, help="Keep the run in the history.")
@click.option("--verbose", "-v", is_flag=True, help="Show what is met as well.")
@options.quiet_option
@options.color_option
@done_by("scanner.app.actions.scan:scan")
def command() -> None:
    """Scan hosts now and print what was found.

    A TARGET is host, host:port, https://host/path, [v6]:port, or a protocol that upgrades to TLS: smtp://host:25.
    Nothing is kept, unless --record asks for it.

    \b
    Examples:
      nightseal scan www.example.com
      nightseal scan www.example.com --format json | jq .summary
      nightseal scan www.example.com --output report.pdf
      nightseal scan smtp://mail.example.com imap://mail.example.com
      nightseal scan internal.example.com --ca-file our-ca.pem --policy mozilla-modern
      nightseal scan www.example.com --connect-to www.example.com:443=192.0.2.7:443
    """
