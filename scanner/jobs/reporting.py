"""What a report is drawn from: the run, and what the history and the configuration know besides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reports.language import UnknownLanguageError, language_of
from reports.logo import Logo, LogoError, read_logo
from scanner.errors import ConfigError, PolicyError, Problem
from scanner.jobs.output import Rendering
from scanner.policy import load

if TYPE_CHECKING:
    from reports.view import ReportOptions
    from scanner.config import Config
    from scanner.history import History
    from scanner.policy import Policy
    from scanner.verdict import RunRecord


def rendering_of(config: Config, history: History, record: RunRecord) -> Rendering:
    """Gather everything that a report of `record`, which is in the history, may show.

    The configuration is used only where it is the one that the run was made with: requirements and waivers of another
    would not be those that were judged.
    """
    run = record.run
    earlier = history.previous(run.id)
    same = config.digest == run.config_digest
    return Rendering(
        record,
        previous=history.record(earlier) if earlier else None,
        policies=policies_of(config, record),
        environments=config.inventory.environments if same else None,
        waivers=config.waivers if same else (),
        history=history,
        options=report_options(config),
    )


def policies_of(config: Config, record: RunRecord) -> list[Policy]:
    """The policies that a run was judged by, as far as they are still the same."""
    found: dict[str, Policy] = {}
    wanted = {ref.id: ref.digest for ref in (record.run.policy, *record.run.policies.values())}
    names = {config.form.nightseal.policy, *(item.policy for item in config.form.environment if item.policy), *wanted}
    for name in sorted(names):
        try:
            policy = load(name, base=config.folder)
        except PolicyError:
            continue
        if wanted.get(policy.id) == policy.digest:
            found[policy.id] = policy
    return list(found.values())


def report_options(config: Config) -> ReportOptions:
    """What [report] says of the reports' looks and language.

    Raises:
        ConfigError: there is no such language, the logo is none, or a template cannot be used; lists all of it.
    """
    from reports.view import ReportOptions  # noqa: PLC0415  # only where a report is drawn

    logo = check_looks(config)
    form, default = config.form.report, ReportOptions()
    return ReportOptions(
        title=form.title or default.title,
        organisation=form.organisation or default.organisation,
        classification=form.classification or default.classification,
        language=form.locale,
        logo=logo,
        templates=Path(config.resolve(form.templates)) if form.templates else None,
    )


def check_looks(config: Config, *, templates: bool = True) -> Logo | None:
    """See that reports can be drawn as [report] says, and return the logo.

    Without `templates`, what draws reports is not loaded for it.

    Raises:
        ConfigError: there is no such language, the logo is none, or a template cannot be used; lists all of it.
    """
    form, problems = config.form.report, list[Problem]()
    logo: Logo | None = None
    try:
        language_of(form.locale)
    except UnknownLanguageError as error:
        problems.append(Problem("report.locale", error.problem, error.hint))
    if form.logo:
        path = Path(config.resolve(form.logo))
        try:
            logo = read_logo(path)
        except LogoError as error:
            problems.append(Problem("report.logo", f"{path} {error.problem}", error.hint))
    if form.templates and templates:
        from reports.render import TemplatesError, check_templates  # noqa: PLC0415  # pandas loads with it

        try:
            check_templates(Path(config.resolve(form.templates)))
        except TemplatesError as error:
            problems.append(Problem("report.templates", error.problem, error.hint))
    if problems:
        raise ConfigError(config.source, problems)
    return logo
