"""`nightseal scan TARGET…`: hosts, now."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app import options
from scanner.app.lazy import done_by
from scanner.app.slips import HintingCommand
from scanner.formats import VIEWS


@click.command("scan", cls=HintingCommand)
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Take [scan] and the history from here.")
@options.policy_option
@options.ca_file_option
@options.deadline_option
@options.connect_to_option
@options.starttls_option
@options.sni_option
@options.proxy_option
@options.source_option
@options.helo_option
@options.header_option
@options.client_cert_option
@options.client_key_option
@options.resolver_option
@options.no_intrusive_option
@options.offline_option
@options.format_option
@options.output_option
@options.fail_on_option
@options.rule_option
@options.skip_option
@options.fail_on_rule_option
@click.option("--show", type=click.Choice(VIEWS), help="Print what was observed instead of the verdicts.")
@options.view_options(*VIEWS[1:])
@click.option("--summary", is_flag=True, help="One line for each target.")
@options.file_option
@click.option("--record", is_flag=True, help="Keep the run in the history.")
@click.option("--verbose", "-v", is_flag=True, help="Also show passed requirements and what was observed.")
@click.option("--pem", is_flag=True, help="Print the certificates themselves, too.")
@options.quiet_option
@options.color_option
@done_by("scanner.app.handlers.scan:scan", scans=True)
def command() -> None:
    """Scan hosts now and print what was found.

    A TARGET is host, host:port, host:443,8443, https://host/path, [v6]:port, or a protocol that upgrades to TLS:
    smtp://host:25. mx:domain is every mail server of a domain.
    Nothing is kept, unless --record asks for it.

    \b
    Examples:
      nightseal scan www.example.com
      nightseal scan www.example.com --format json | jq .summary
      nightseal scan www.example.com --output report.pdf
      nightseal scan www.example.com:443,8443 --summary
      nightseal scan www.example.com --ciphers
      nightseal scan www.example.com --show facts
      nightseal scan www.example.com --pem
      nightseal scan www.example.com --clients
      nightseal scan --file hosts.txt --rule "cert.*" --fail-on-rule cert.expiry
      nightseal scan smtp://mail.example.com imap://mail.example.com
      nightseal scan mx:example.com --resolver 192.0.2.53
      nightseal scan mail.example.com:587 --starttls smtp
      nightseal scan 192.0.2.7 --sni www.example.com
      nightseal scan internal.example.com --ca-file our-ca.pem --policy mozilla-modern
      nightseal scan intra.example.com --proxy socks5://bastion.example.com:1080
      nightseal scan www.example.com --header "Authorization: Bearer 0123"
      nightseal scan www.example.com --client-cert me.pem --client-key me.key
      nightseal scan intra.example.com --resolver 192.0.2.53
      nightseal scan www.example.com --connect-to www.example.com:443=192.0.2.7:443
    """
