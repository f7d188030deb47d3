"""`nightseal run`: what is configured, into the history, and onto paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner import config as configuration
from scanner.app import exit_status, options
from scanner.app.output import FORMATS, ensure_writable, write
from scanner.app.policies import policies_of
from scanner.app.reporting import check_looks, rendering_of
from scanner.app.signing import sign_option, signing_key
from scanner.app.site import update_site
from scanner.errors import ConfigError, Problem, UsageError, nearest
from scanner.evaluate import WaiverReport, report_waivers
from scanner.inventory import Inventory
from scanner.verdict import Severity, Status, Trigger, count

if TYPE_CHECKING:
    from reports.signature import SigningKey
    from scanner.app.session import Overrides
    from scanner.config import Config
    from scanner.config_form import ScheduleForm
    from scanner.pipeline import Job
    from scanner.verdict import AbsentDomain, RunRecord
    from scanner.waiver import Waiver

DEFAULT_REPORTS = ("html", "pdf")


@dataclass(frozen=True, slots=True)
class Order:
    """What to run of a configuration. `environments` holds names and globs; empty means all."""

    environments: Sequence[str] = ()
    schedule: ScheduleForm | None = None
    policy: str | None = None
    formats: Sequence[str] = DEFAULT_REPORTS
    output: str | None = None
    trigger: Trigger = Trigger.MANUAL
    key: SigningKey | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run, what was written of it, and the waivers of the environments that it scanned.

    `files` are its reports, `site` is the page of all runs, where that was written.
    """

    record: RunRecord
    previous: RunRecord | None
    files: list[Path] = field(default_factory=list)
    waivers: Sequence[Waiver] = ()
    site: Path | None = None


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
        from scanner.app.daemon.orders import run_via_daemon  # noqa: PLC0415  # the service's parts load only for it

        wanted = {"schedule": schedule_name, "environments": environments, "policy": policy_name, "formats": formats}
        seconds = deadline.total_seconds() if deadline else None
        return run_via_daemon(config, {**wanted, "deadline": seconds, "fail_on": fail_on}, quiet=quiet)
    from scanner.app.session import Overrides, run_with_progress  # noqa: PLC0415  # the engines load after the checks

    schedule = schedule_of(config, schedule_name) if schedule_name else None
    formats_wanted = formats or (schedule.reports if schedule else DEFAULT_REPORTS)
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
        click.echo(summary(outcome), err=output == "-")
    return exit_status.of(outcome.record, Severity(fail_on))


def execute(config: Config, order: Order, overrides: Overrides, scan: Callable[[Job], RunRecord]) -> Outcome:
    """Check everything that can be checked before, scan, keep, report.

    Raises:
        NightsealError: something is wrong that makes the run useless; nothing was scanned then, unless it is the
            history or a report that could not be written afterwards.
    """
    from scanner.history import History  # noqa: PLC0415  # pandas and Delta load only when a run really starts

    job = job_of(config, order, overrides)
    check_looks(config)
    output = order.output or config.resolve(config.form.nightseal.output)
    if output != "-":
        single = order.output is not None and len(order.formats) == 1 and not Path(output).is_dir()
        ensure_writable(Path(output).parent if single else Path(output))
    history = History.open(config.resolve(config.form.nightseal.history), create=True)
    record = scan(job)
    history.append(record)
    rendering = dataclasses.replace(rendering_of(config, history, record), key=order.key)
    files = write(rendering, order.formats, _target(output, order), name=record.run.id)
    scanned = tuple(item for item in config.waivers if any(map(item.within, record.run.environments)))
    return Outcome(record, rendering.previous, files, scanned, update_site(config, history, files))


def _target(output: str, order: Order) -> str:
    """The configured output is a folder, even where one format goes there and it is not there yet."""
    return output if order.output is not None else f"{output.rstrip('/')}/"


def job_of(config: Config, order: Order, overrides: Overrides) -> Job:
    """The job that an order means.

    Raises:
        ConfigError: nothing is configured, or the policy is not one.
        UsageError: no environment has such a name.
    """
    from scanner.app.session import job_parts, probe_settings  # noqa: PLC0415  # the engines load after the checks
    from scanner.pipeline import Job  # noqa: PLC0415  # the same

    inventory = select(config, order.environments)
    default, policies = policies_of(config, order.policy)
    return Job(
        inventory=inventory,
        policy=default,
        policies={environment.name: policies[environment.name] for environment in inventory.environments},
        settings=probe_settings(config.scan, inventory.environments, config.folder, overrides),
        waivers=config.waivers,
        trigger=order.trigger,
        schedule=order.schedule.name if order.schedule else None,
        config_digest=config.digest,
        **job_parts(config.scan),
    )


def select(config: Config, names: Sequence[str]) -> Inventory:
    """The environments that the names and globs mean; all of them for none."""
    known = [environment.name for environment in config.inventory.environments]
    if not config.inventory.endpoints:
        hint = "`nightseal config init` writes an example"
        raise ConfigError(config.source, [Problem("environment", "nothing is configured to be scanned", hint)])
    for name in names:
        if not any(fnmatchcase(other, name) for other in known):
            hint = nearest(name, known) or f"configured: {', '.join(known)}"
            raise UsageError(f'{config.source} has no environment "{name}" ({hint})')
    return Inventory(
        tuple(
            environment
            for environment in config.inventory.environments
            if not names or any(fnmatchcase(environment.name, name) for name in names)
        )
    )


def schedule_of(config: Config, name: str) -> ScheduleForm:
    """The schedule of that name, or a usage error with the nearest."""
    for schedule in config.schedules:
        if schedule.name == name:
            return schedule
    known = [schedule.name for schedule in config.schedules]
    hint = nearest(name, known) or f"configured: {', '.join(known) or 'none'}"
    raise UsageError(f'{config.source} has no schedule "{name}" ({hint})')


def summary(outcome: Outcome) -> str:
    """A few lines for people: what was scanned, what failed where, and where the reports are."""
    record = outcome.record
    counts = count(record.verdicts)
    statuses = [target.status.value for target in record.targets]
    seconds = (record.run.finished_at - record.run.started_at).total_seconds()
    by_status = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    lines = [
        f"Run {record.run.id}: {len(record.targets)} targets in {seconds:.1f} s ({by_status or 'none'})",
        (
            f"{counts.passed} passed, {counts.failed} failed ({counts.waived} waived), "
            f"{counts.not_applicable} not applicable, {counts.indeterminate} indeterminate"
        ),
    ]
    for name in record.run.environments:
        verdicts = [verdict for target in record.targets if target.environment == name for verdict in target.verdicts]
        failed = [verdict.severity for verdict in verdicts if verdict.counts_as_failure]
        unknown = sum(verdict.status is Status.INDETERMINATE for verdict in verdicts)
        worst = f", worst {max(failed).value}" if failed else ""
        lines.append(f"  {name}: {len(failed)} failures{worst}, {unknown} indeterminate")
    lines += [f"No answer at {named_absent(domain)}" for domain in record.run.absent_domains]
    lines += waiver_lines(report_waivers(record.targets, outcome.waivers, record.run.finished_at.date()))
    lines += [f"Report: {path}" for path in outcome.files]
    lines += [f"All runs: {outcome.site}"] if outcome.site else []
    return "\n".join(lines)


def named_absent(domain: AbsentDomain) -> str:
    """A platform's host name at which nobody answers, with the key that names it and how that was found."""
    detail = f" ({domain.failure.detail})" if domain.failure.detail else ""
    where = f"{domain.host}:{domain.port} ({domain.environment}, {domain.named_by})"
    return f"{where}: {domain.failure.reason}{detail}; the other domain answers"


def waiver_lines(report: WaiverReport) -> Iterator[str]:
    """What whoever accepts failures must know: what ends soon, what has ended, what accepts nothing."""
    for waiver, failures in report.expired:
        still = f"; {_counted(failures)} no longer accepted" if failures else ""
        yield f"Waiver expired on {waiver.expires}: {_named(waiver)}{still}"
    for waiver, failures in report.soon:
        yield f"Waiver ends on {waiver.expires}: {_named(waiver)}: {_counted(failures)} accepted"
    for waiver in report.unused:
        yield f"Waiver without use: {_named(waiver)}"


def _named(waiver: Waiver) -> str:
    return f"{waiver.rule} at {waiver.scope} ({waiver.owner})"


def _counted(failures: int) -> str:
    return f"{failures} failure{'' if failures == 1 else 's'}"
