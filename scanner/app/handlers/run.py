"""`nightseal run`: what is configured, into the history, and onto paper."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from scanner.app import options
from scanner.app.signing import signing_key
from scanner.config import loading as configuration
from scanner.formats import DEFAULT_REPORTS
from scanner.jobs import exit_status, session
from scanner.jobs.keeping import warn
from scanner.jobs.named_rules import unasked
from scanner.jobs.output import formats_of, goes_to_stdout
from scanner.jobs.rule_choice import RuleChoice, check_globs
from scanner.jobs.run import Order, execute
from scanner.jobs.selection import schedule_of, select
from scanner.jobs.session import Overrides
from scanner.jobs.stopping import Stopping
from scanner.jobs.summary import summary
from scanner.pipeline import Job
from scanner.service import preflight
from scanner.verdict import RunRecord, Severity


def run(  # noqa: PLR0913, PLR0917  # one for each option
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
    rules: tuple[str, ...],
    skipped: tuple[str, ...],
    fail_on_rules: tuple[str, ...],
    *,
    no_intrusive: bool,
    offline: bool,
    resume: bool,
    via_daemon: bool,  # noqa: ARG001  # with it, another handler is called
    quiet: bool,
    no_color: bool,  # noqa: ARG001  # nothing that it prints is coloured; scripts pass it everywhere
) -> int:
    """Scan what is configured, keep it in the history, write the reports."""
    config = configuration.load(config_path, unset=("notify",))
    check_globs("--fail-on-rule", fail_on_rules)
    schedule = schedule_of(config, schedule_name) if schedule_name else None
    formats_wanted = formats_of(formats, output, schedule.reports if schedule else DEFAULT_REPORTS)
    order = Order(
        environments=environments or (schedule.environments if schedule else ()),
        schedule=schedule,
        policy=policy_name,
        formats=formats_wanted,
        output=output,
        key=signing_key(sign_with, formats_wanted),
        resume=resume,
        choice=RuleChoice(rules, skipped),
        failing=fail_on_rules,
    )
    select(config, order.environments)
    checked = preflight.check(config)
    if not quiet:
        warn([f"{problem.place or config.source}: {problem}" for problem in checked.warnings])
    overrides = Overrides(
        ca_file, deadline, options.parse_connect_to(connect_to), intrusive=not no_intrusive, online=not offline
    )

    def scan(job: Job) -> RunRecord:
        return session.run_with_progress(job, stopping, quiet=quiet)

    def tell(sentence: str) -> None:
        if not quiet:
            click.echo(f"nightseal: {sentence}", err=True)

    with Stopping() as stopping:
        outcome = execute(config, order, overrides, scan, tell)
    if not quiet:
        click.echo(summary(outcome), err=output is not None and goes_to_stdout(output))
    warn(outcome.troubles)
    warn(unasked(outcome.record, order.by_name))
    if outcome.lost is not None:
        raise outcome.lost
    return stopping.status(
        exit_status.of(outcome.record, Severity(fail_on), fail_on_rules, rules), complete=outcome.record.run.complete
    )
