"""`nightseal report`: a run of the history on paper again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanner import config as configuration
from scanner.app import options
from scanner.app.signing import sign_option, signing_key
from scanner.errors import UsageError, nearest
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.keeping import spared, warn
from scanner.jobs.output import FORMATS, check_output, formats_of, goes_to_stdout, write
from scanner.jobs.reporting import rendering_of
from scanner.jobs.run import DEFAULT_REPORTS
from scanner.jobs.site import output_folder, update_site, write_site
from scanner.verdict import RunRecord

if TYPE_CHECKING:
    from scanner.config import Config
    from scanner.history import History
    from scanner.jobs.output import Rendering


@click.command("report")
@options.config_option
@click.option("--run", "run_id", metavar="ID", help="The run; the last one by default.")
@click.option("--environment", "-e", metavar="E", help="Only this environment.")
@options.format_option(*FORMATS)
@options.output_option
@sign_option
@click.option("--site", "site_alone", is_flag=True, help="Write the page of all runs alone, into the folder.")
@options.quiet_option
def command(  # noqa: PLR0913, PLR0917  # one for each option
    config_path: Path,
    run_id: str | None,
    environment: str | None,
    formats: tuple[str, ...],
    output: str | None,
    sign_with: Path | None,
    *,
    site_alone: bool,
    quiet: bool,
) -> int:
    """Render a run of the history again, without network.

    What goes into the configured output folder is added to the page of all runs there, index.html.

    \b
    Examples:
      nightseal report
      nightseal report --run 20261124T020000Z-1a2b3c --format pdf --output report.pdf
      nightseal report --environment production --format json --output -
      nightseal report --output report.pdf
      nightseal report --format pdf --sign reviewer.p12 --output signed.pdf
      nightseal report --site
    """
    from scanner.history import History  # noqa: PLC0415  # pandas and Delta load only here

    if site_alone and (run_id or environment or formats or sign_with):
        raise UsageError("--site goes with --output alone: it is the page of all runs")
    formats = tuple(formats_of(formats, output, DEFAULT_REPORTS))
    key = signing_key(sign_with, formats)
    config = configuration.load(config_path)
    history = History.open(config.resolve(config.form.nightseal.history), create=False)
    if site_alone:
        _tell([("All runs", write_site(config, history, _site_folder(config, output)))], quiet=quiet)
        return ExitStatus.OK
    chosen = run_id or history.latest(environment)
    if chosen is None:
        what = f'of environment "{environment}" ' if environment else ""
        raise UsageError(f"the history {config.form.nightseal.history} has no run {what}yet: nightseal run makes one")
    record = history.record(chosen)
    rendering = dataclasses.replace(rendering_of_environment(config, history, record, environment), key=key)
    target = output or f"{config.resolve(config.form.nightseal.output).rstrip('/')}/"
    check_output(formats, target)
    written = write(rendering, formats, target, name=chosen)
    _tell([("Report", path) for path in written.files], quiet=quiet)
    troubles = list(written.troubles)
    with spared("The page of all runs was not written", troubles):
        if page := update_site(config, history, written.files):
            _tell([("All runs", page)], quiet=quiet)
    warn(troubles)
    # The reports are what this command is for; the page is not.
    return ExitStatus.INTERNAL if written.troubles else ExitStatus.OK


def _tell(written: Sequence[tuple[str, Path]], *, quiet: bool) -> None:
    for what, path in written if not quiet else ():
        click.echo(f"{what}: {path}")


def _site_folder(config: Config, output: str | None) -> Path:
    """Where the page of all runs is to go.

    Raises:
        UsageError: that cannot be a folder.
    """
    if output and goes_to_stdout(output):
        raise UsageError("the page of all runs goes into a folder, beside the reports: name it by --output")
    return Path(output) if output else output_folder(config)


def rendering_of_environment(config: Config, history: History, record: RunRecord, environment: str | None) -> Rendering:
    """What the report of a run is made of; with an environment, of that alone.

    Raises:
        UsageError: the run has no such environment.
    """
    rendering = rendering_of(config, history, record)
    if environment is None:
        return rendering
    previous = rendering.previous
    return dataclasses.replace(
        rendering,
        record=_only(record, environment),
        previous=_only(previous, environment) if previous else None,
    )


def _only(record: RunRecord, environment: str) -> RunRecord:
    """The part of a run that is about one environment."""
    if environment not in record.run.environments:
        known = record.run.environments
        hint = nearest(environment, known) or f"it has: {', '.join(known)}"
        raise UsageError(f'run {record.run.id} has no environment "{environment}" ({hint})')
    targets = tuple(target for target in record.targets if target.environment == environment)
    run = dataclasses.replace(
        record.run,
        environments=(environment,),
        expected_targets=len(targets) if record.run.complete else record.run.expected_targets,
        policies={name: ref for name, ref in record.run.policies.items() if name == environment},
    )
    return RunRecord(run, targets)
