"""What the reports look like, by [report] of the configuration: checked before anything is scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.errors import ConfigError

if TYPE_CHECKING:
    from reports.logo import Logo
    from scanner.config.loading import Config

ENGLISH = "en"
"""The language that reports are written in: it is not looked for among the translations."""


def check_looks(config: Config, *, templates: bool = True) -> Logo | None:
    """See that reports can be drawn as [report] says, and return the logo.

    Without `templates` those are not looked at.

    Raises:
        ConfigError: there is no such language, the logo is none, or a template cannot be used; lists all of it.
    """
    form = config.form.report
    if form.locale == ENGLISH and not form.logo and not form.templates and not form.signature_roots:
        return None
    from scanner.jobs.looks_opened import opened  # noqa: PLC0415  # what reads them loads only where one is named

    logo, problems = opened(config, templates=templates)
    if problems:
        raise ConfigError(config.source, problems)
    return logo
