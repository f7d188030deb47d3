"""`nightseal clients HOST…`: who connects, and whom a change would cut off."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app import options
from scanner.app.lazy import done_by
from scanner.app.slips import HintingCommand


@click.command("clients", cls=HintingCommand)
@click.argument("targets", metavar="[HOST]...", nargs=-1)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Where [scan] and the history are.")
@click.option(
    "--if",
    "change",
    metavar="CHANGE",
    help='Show which clients this change would cut off: "no tls1.2 cbc", "only tls1.3".',
)
@click.option(
    "--policy", "policy_name", metavar="P", help="Show which clients compliance with this policy would cut off."
)
@click.option("--client", "globs", multiple=True, metavar="GLOB", help="Only these clients, by id. Repeatable.")
@click.option("--core", is_flag=True, help="Only the clients that matter most.")
@click.option("--now", is_flag=True, help="Scan the host now, even if the history of --config has it.")
@options.ca_file_option
@options.deadline_option
@options.connect_to_option
@options.starttls_option
@options.sni_option
@options.proxy_option
@options.source_option
@options.helo_option
@options.resolver_option
@options.file_option
@click.option("--format", "-f", "format_name", type=click.Choice(("text", "json")), default="text", help="Form.")
@options.quiet_option
@done_by("scanner.app.handlers.clients:clients", scans=True)
def command() -> None:
    """Show which clients connect, and which ones a change would cut off.

    No client is started: what each client offers and requires is known, and compared with what the server accepts.
    With --config, a host in its history is not scanned again: HOST is then a target of the history, or part of its
    id, and no network is used.

    \b
    Words of CHANGE are protocols (tls1.2), kinds of suites (cbc, aead, rsa,
    dhe, rc4, 3des, sha1, …), suites and groups by name. "no tls1.2 cbc" removes
    what all its words describe, "only aead" everything else; commas separate
    several changes.

    \b
    Examples:
      nightseal clients www.example.com
      nightseal clients www.example.com --if "no tls1.2 cbc"
      nightseal clients www.example.com --if "only tls1.3" --core
      nightseal clients shop.example.com --config config.toml --policy mozilla-modern
      nightseal clients www.example.com --client "java-*" --format json
      nightseal clients smtp://mail.example.com --if "no tls1.0"
      nightseal clients intra.example.com --proxy socks5://bastion.example.com:1080
    """
