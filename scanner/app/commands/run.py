"""`nightseal run`: what is configured, into the history, and onto paper."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from scanner import config as configuration
from scanner.app import options
from scanner.app.signing import sign_option, signing_key
from scanner.errors import UsageError
from scanner.jobs import exit_status
from scanner.jobs.keeping import warn
from scanner.jobs.output import FORMATS, formats_of, goes_to_stdout
from scanner.jobs.run import DEFAULT_REPORTS, Order, execute, schedule_of
from scanner.jobs.summary import summary
from scanner.verdict import Severity


@click.command("run")
@options.config_option
@click.option("--environment", "-e", "environments", multiple=True, metavar="E", help="Only these; globs. Repeatable.")
@click.option("--schedule", "schedule_name", metavar="S", help="What this schedule would run, now.")
@options.policy_option
@options.ca_file_option
@options.deadline_option
@options.connect_to_option
@options.format_option(*FORMATS)
@options.output_option
@sign_option
@options.fail_on_option
@click.option("--via-daemon", is_flag=True, help="Have the running `nightseal daemon` do it, and wait for the outcome.")
@options.quiet_option
@options.color_option
def command(  # noqa: PLR0913, PLR0917  # one for each option
    config_path: Path,
    environments: tuple[str, ...],
    schedule_name: str | None,
    policy_name: str | None,
    ca_file: Path | None,
    deadline: timedelta | None,
    connect_to: tuple[str, ...],
    formats: tuple[str, ...],
    output: str | None,
    sign_with: Path | None,
    fail_on: str,
    *,
    via_daemon: bool,
    quiet: bool,
    no_color: bool,  # noqa: ARG001  # nothing that it prints is coloured; scripts pass it everywhere
) -> int:
    """Scan what is configured, keep it in the history, write the reports.

    \b
    Examples:
      nightseal run
      nightseal run --environment production --format pdf --output report.pdf
      nightseal run --schedule nightly --fail-on high
      nightseal run --schedule nightly --via-daemon
      nightseal run --format pdf --sign reviewer.p12
    """
    config = configuration.load(config_path)
    if via_daemon:
        if ca_file or connect_to or output or sign_with:
            own = "--ca-file, --connect-to, --output and --sign"
            raise UsageError(f"--via-daemon goes without {own}: the service has its own, and signs nothing")
        from scanner.service.orders import run_via_daemon  # noqa: PLC0415  # the service's parts load only for it

        wanted = {"schedule": schedule_name, "environments": environments, "policy": policy_name, "formats": formats}
        seconds = deadline.total_seconds() if deadline else None
        return run_via_daemon(config, {**wanted, "deadline": seconds, "fail_on": fail_on}, quiet=quiet)
    from scanner.jobs.session import Overrides, run_with_progress  # noqa: PLC0415  # the engines load after the checks

    schedule = schedule_of(config, schedule_name) if schedule_name else None
    formats_wanted = formats_of(formats, output, schedule.reports if schedule else DEFAULT_REPORTS)
    order = Order(
        environments=environments or (schedule.environments if schedule else ()),
        schedule=schedule,
        policy=policy_name,
        formats=formats_wanted,
        output=output,
        key=signing_key(sign_with, formats_wanted),
    )
    overrides = Overrides(ca_file, deadline, options.parse_connect_to(connect_to))
    outcome = execute(config, order, overrides, lambda job: run_with_progress(job, quiet=quiet))
    if not quiet:
        click.echo(summary(outcome), err=output is not None and goes_to_stdout(output))
    warn(outcome.troubles)
    return exit_status.of(outcome.record, Severity(fail_on))
