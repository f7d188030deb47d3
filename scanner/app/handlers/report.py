"""`nightseal report`: a run of the history on paper again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import structs

from reports.export.json.v1 import published_schema
from reports.view.options import Edition
from scanner.app.reading import config_to_read
from scanner.app.signing import signing_key
from scanner.errors import UsageError
from scanner.formats import DEFAULT_REPORTS, FORMATS
from scanner.history import History
from scanner.jobs import exit_status
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.keeping import spared, warn
from scanner.jobs.named_rules import check_judged, unasked
from scanner.jobs.output import check_output, formats_of, goes_to_stdout, write
from scanner.jobs.reporting import name_of, owned, rendering_of_environment
from scanner.jobs.rule_choice import RuleChoice, check_globs
from scanner.jobs.site import output_folder, update_site, write_site
from scanner.verdict import Severity

if TYPE_CHECKING:
    from scanner.config.loading import Config


def report(  # noqa: PLR0913, PLR0917  # one for each option
    config_path: Path,
    run_id: str | None,
    environment: str | None,
    owner: str | None,
    labels: tuple[str, ...],
    formats: tuple[str, ...],
    output: str | None,
    sign_with: Path | None,
    rules: tuple[str, ...],
    skipped: tuple[str, ...],
    fail_on_rules: tuple[str, ...],
    edition: str | None,
    *,
    site_alone: bool,
    schema: bool,
    excel: bool,
    quiet: bool,
) -> int:
    """Render a run of the history again, without network."""
    if schema:
        click.echo(json.dumps(published_schema(), indent=2))
        return ExitStatus.OK
    chosen_by = (run_id, environment, owner, labels, formats, sign_with, rules, skipped, fail_on_rules, edition)
    if site_alone and any(chosen_by):
        raise UsageError("--site can only be combined with --output: it is the page of all runs")
    formats = tuple(formats_of(formats, output, DEFAULT_REPORTS))
    if excel:
        if "csv" not in formats:
            raise UsageError("--excel is about CSV: add --format csv")
        formats = tuple("csv-excel" if name == "csv" else name for name in formats)
    choice = RuleChoice(rules, skipped)
    check_globs("--fail-on-rule", fail_on_rules)
    key = signing_key(sign_with, formats)
    config = config_to_read(config_path)
    history = History.open(config.resolve(config.form.nightseal.history), create=False)
    if site_alone:
        _tell([("All runs", write_site(config, history, _site_folder(config, output)))], quiet=quiet)
        return ExitStatus.OK
    chosen = run_id or history.latest(environment)
    if chosen is None:
        what = f'of environment "{environment}" ' if environment else ""
        raise UsageError(f"the history {config.form.nightseal.history} has no run {what}yet: nightseal run makes one")
    stored = history.record(chosen)
    check_judged({"--rule": rules, "--fail-on-rule": fail_on_rules}, stored)
    record = choice.applied(stored)
    drawn = any(FORMATS[name].drawn for name in formats)
    rendering = rendering_of_environment(config, history, record, environment, drawn=drawn)
    rendering = structs.replace(rendering, key=key)
    rendering = owned(rendering, owner, labels)
    told = dataclasses.replace(rendering.record.run, part=choice.told_by(rendering.record.run.part))
    rendering = structs.replace(rendering, record=dataclasses.replace(rendering.record, run=told))
    if edition and rendering.options is not None:
        rendering = structs.replace(rendering, options=structs.replace(rendering.options, edition=Edition(edition)))
    target = output or f"{config.resolve(config.form.nightseal.output).rstrip('/')}/"
    check_output(formats, target)
    written = write(rendering, formats, target, name=name_of(rendering.record))
    _tell([("Report", path) for path in written.files], quiet=quiet)
    troubles = list(written.troubles)
    with spared("The page of all runs was not written", troubles):
        if page := update_site(config, history, written.files):
            _tell([("All runs", page)], quiet=quiet)
    warn([*troubles, *unasked(rendering.record, {"--fail-on-rule": fail_on_rules})])
    # The reports are what this command is for; the page is not.
    if written.troubles:
        return ExitStatus.INTERNAL
    # What the run came to was said when it was done: a report judges nothing, unless it is asked to.
    return exit_status.of(rendering.record, Severity.INFO, fail_on_rules) if fail_on_rules else ExitStatus.OK


def _tell(written: Sequence[tuple[str, Path]], *, quiet: bool) -> None:
    for what, path in written if not quiet else ():
        click.echo(f"{what}: {path}")


def _site_folder(config: Config, output: str | None) -> Path:
    """Where the page of all runs is to go.

    Raises:
        UsageError: that cannot be a folder.
    """
    if output and goes_to_stdout(output):
        raise UsageError("the page of all runs goes into a folder, beside the reports: name it with --output")
    return Path(output) if output else output_folder(config)
