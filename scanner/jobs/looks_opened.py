"""Opens what [report] names: the language, the logo, templates, the certificates of those who sign.

Loaded only where one is named: what reads them takes longer to load than a configuration takes to check.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from reports.language import UnknownLanguageError, language_of
from reports.logo import Logo, LogoError, read_logo
from reports.templating import TemplatesError, check_templates
from scanner.errors import Problem, UsageError

if TYPE_CHECKING:
    from scanner.config.loading import Config


def opened(config: Config, *, templates: bool) -> tuple[Logo | None, list[Problem]]:
    """The logo, and what is wrong with all that is named."""
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
        try:
            check_templates(Path(config.resolve(form.templates)))
        except TemplatesError as error:
            problems.append(Problem("report.templates", error.problem, error.hint))
    try:
        signature_roots(config)
    except UsageError as error:
        problems.append(Problem("report.signature_roots", str(error)))
    if form.signature_roots and not form.tsa:
        problems.append(
            Problem("report.signature_roots", "needs tsa: without a time stamp nothing proves when it was signed")
        )
    return logo, problems


def signature_roots(config: Config) -> bytes:
    """The certificates of the CAs of signer and time stamp, PEM; empty where none are named.

    Raises:
        UsageError: the file cannot be read, or holds no certificate.
    """
    name = config.form.report.signature_roots
    if name is None:
        return b""
    path = Path(config.resolve(name))
    try:
        data = path.read_bytes()
        found = x509.load_pem_x509_certificates(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} holds no certificate in PEM") from error
    return data if found else b""
