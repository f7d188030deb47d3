"""`nightseal import FILE…`: configuration from what others know of our hosts."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.lazy import done_by
from scanner.inventories.table import SOURCES
from scanner.inventory import EnvironmentKind


@click.command("import")
@click.argument("sources", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--from", "form", type=click.Choice(list(SOURCES)), help="Format of the files, if their names do not show it."
)
@click.option(
    "--to", type=click.Choice(["toml", "csv"]), help="Format to write. Default: by the suffix of --output, else TOML."
)
@click.option(
    "--output",
    "-o",
    callback=options.named,
    metavar="PATH",
    help="File to write; it is not replaced. Stdout by default.",
)
@click.option("--replace", is_flag=True, help="Replace the file, if there is one.")
@click.option("--environment", "-e", metavar="E", help='Environment of the hosts; "imported" if none is given.')
@click.option(
    "--kind", type=click.Choice([kind.value for kind in EnvironmentKind]), help="Kind of the environment, if it is new."
)
@click.option(
    "--diff", is_flag=True, help="Show what is new, gone and changed against the configuration; write nothing."
)
@click.option("--column", "columns", multiple=True, metavar="KEY=NAME", help="Column of a table. Repeatable.")
@click.option("--sheet", metavar="NAME", help="Sheet of a workbook; the first by default.")
@click.option("--origin", metavar="DOMAIN", help="Domain of a zone file that does not name it.")
@click.option("--all-ports", is_flag=True, help="Also import open ports that are not known for TLS.")
@click.option(
    "--expand",
    type=click.IntRange(1),
    metavar="COUNT",
    help="Expand networks into their hosts, if they have COUNT hosts in total.",
)
@options.config_option
@done_by("scanner.app.handlers.import_hosts:import_hosts")
def command() -> None:
    """Write configuration from files that name hosts, to be read first; nothing is scanned.

    FILE is CSV, an Excel workbook, a plain list, nmap's XML, JSON lines of masscan, naabu or tlsx, a DNS zone,
    Kubernetes manifests (YAML or JSON), Terraform state, certificates, JSON of crt.sh, Prometheus targets, or JSON of
    sslyze or testssl.sh. "-" is stdin, axfr://SERVER/ZONE asks a name server. Where a file has an error, nothing is
    written.

    \b
    Examples:
      nightseal import hosts.xlsx --environment production -o conf.d/production.toml
      nightseal import hosts.csv --column host=FQDN --column owner=Team -o conf.d/production.toml
      nightseal import db.example.com -o hosts.csv
      nightseal import axfr://ns1.example.com/example.com
      nmap -p 443,8443 -oX scan.xml 192.0.2.0/28; nightseal import scan.xml --diff
      kubectl get ingress,service -A -o json | nightseal import --from kubernetes -
      nightseal import networks.txt --expand 254
      nightseal import hosts.csv --diff
    """
