"""`nightseal run`: what is configured, into the history, and onto paper."""

from __future__ import annotations

import click

from scanner.app import options
from scanner.app.lazy import done_by
from scanner.app.signing import sign_option


@click.command("run")
@options.config_option
@click.option("--environment", "-e", "environments", multiple=True, metavar="E", help="Only these; globs. Repeatable.")
@click.option("--schedule", "schedule_name", metavar="S", help="What this schedule would run, now.")
@options.policy_option
@options.ca_file_option
@options.deadline_option
@options.connect_to_option
@options.no_intrusive_option
@options.offline_option
@options.format_option
@options.output_option
@sign_option
@options.fail_on_option
@options.rule_option
@options.skip_option
@options.fail_on_rule_option
@click.option("--resume", is_flag=True, help="Go on from a run that was interrupted in the last 12 hours.")
@click.option("--via-daemon", is_flag=True, help="Have the running `nightseal daemon` do it, and wait for the outcome.")
@options.quiet_option
@options.color_option
@done_by("scanner.app.handlers.run:run", scans=True, instead={"via_daemon": "scanner.app.handlers.run_via_daemon:run"})
def command() -> None:
    """Scan what is configured, keep it in the history, write the reports.

    \b
    Examples:
      nightseal run
      nightseal run --environment production --format pdf --output report.pdf
      nightseal run --schedule nightly --fail-on high
      nightseal run --rule "cert.*" --fail-on-rule cert.expiry
      nightseal run --schedule nightly --via-daemon
      nightseal run --resume
      nightseal run --format pdf --sign reviewer.p12
    """
