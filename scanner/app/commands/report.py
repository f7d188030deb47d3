"""`nightseal report`: a run of the history on paper again."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.lazy import done_by
from scanner.app.signing import sign_option


@click.command("report")
@options.config_option
@click.option("--run", "run_id", metavar="ID", help="The run; the last one by default.")
@click.option("--environment", "-e", metavar="E", help="Only this environment.")
@click.option("--owner", metavar="NAME", help="Only this owner's targets.")
@click.option("--label", "labels", metavar="K=V", multiple=True, help="Only targets with this label; may be repeated.")
@options.format_option
@options.output_option
@options.rule_option
@options.skip_option
@options.fail_on_rule_option
@sign_option
@click.option(
    "--edition", type=click.Choice(["full", "management"]), help="How much the PDF contains: [report] edition."
)
@click.option("--site", "site_alone", is_flag=True, help="Write only the page of all runs, into the folder.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of --format json, and nothing else.")
@click.option("--excel", is_flag=True, help="CSV for spreadsheets: byte order mark, separator of [report] locale.")
@options.quiet_option
@done_by("scanner.app.handlers.report:report")
def command() -> None:
    """Render a run of the history again, without network.

    What goes into the configured output folder is added to the page of all runs there, index.html.

    \b
    Examples:
      nightseal report
      nightseal report --run 20261124T020000Z-1a2b3c --format pdf --output report.pdf
      nightseal report --environment production --format json --output -
      nightseal report --output report.pdf
      nightseal report --format pdf --sign reviewer.p12 --output signed.pdf
      nightseal report --rule "https.*" --output enforcement.pdf
      nightseal report --owner team-payments --label tier=1
      nightseal report --edition management --output board.pdf
      nightseal report --site
      nightseal report --format csv --excel --output findings.csv
      nightseal report --schema
    """
