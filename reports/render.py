"""Draws a view as one self-contained HTML file, and as a PDF for the archive: tagged, with attachments, reproducible.

Both come from the same templates. Autoescaping is always on: whatever a host says arrives as text. What differs between
screen and paper is how long lists may become (`Medium`) and the style sheet.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
from markupsafe import Markup

from reports import conformance, language, wording
from reports.charts import Chart, certificates_chart, protections_chart, trend_chart
from reports.charts_history import PANELS, coverage_chart, site_charts
from reports.medium import SCREEN, Medium, as_data, paper_for, screen_for
from reports.view.model import ChangeKind
from reports.view.standing import STANDINGS, Standing
from scanner.errors import OutputError, nearest
from scanner.verdict import Goal, Severity, Status, TargetStatus

if TYPE_CHECKING:
    from reports.view.model import ReportView
    from reports.view.site import SiteView

PDF_VARIANT: Final = "pdf/a-3a"
PANGO_PACKAGES: Final = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_PACKAGE: Final = Path(__file__).parent
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a PDF carries. Its name's suffix tells its media type."""

    name: str
    content: bytes
    description: str


def templates_folder() -> Path:
    """Where the templates are: beside this module in an installed package, at the top of a checkout."""
    packaged = _PACKAGE / "templates"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "templates"


class TemplatesError(OutputError):
    """A folder of the owner's templates cannot be used. `problem` says why, with file and line; `hint` how to mend it.

    The text of an error in a template is Jinja's.
    """

    def __init__(self, problem: str, hint: str) -> None:
        self.problem, self.hint = problem, hint
        super().__init__(f"{problem} ({hint})")


_MEND_TEMPLATE: Final = (
    "docs/reports.md tells what templates are given; without [report] templates those that ship are used"
)


_TEMPLATE_SUFFIXES: Final = frozenset({".html", ".css", ".js"})


def check_templates(folder: Path) -> None:
    """See that a folder of the owner's holds templates, and that they can be compiled.

    Raises:
        TemplatesError: it does not, or one cannot; names file and line.
    """
    if not folder.is_dir():
        raise TemplatesError(f"{folder} is no folder", "name one that holds templates, or none")
    shipped = {
        path.relative_to(templates_folder()).as_posix()
        for path in templates_folder().rglob("*.*")
        if path.suffix in {*_TEMPLATE_SUFFIXES, ".woff2"}
    }
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    if not shipped & found.keys():
        known = "the files in it are called as those that ship: report.html, print.css, partials/summary.html, …"
        hint = next(filter(None, (nearest(name, shipped) for name in found)), known)
        raise TemplatesError(f"{folder} holds no file that would win over one that ships", hint)
    environment = _environment(folder)
    with _blaming(folder):
        for name, path in found.items():
            if path.suffix in _TEMPLATE_SUFFIXES:
                try:
                    source = path.read_text("utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    raise TemplatesError(f"{path}: cannot be read: {error}", "save it as UTF-8") from error
                if path.suffix == ".html":
                    environment.compile(source, name, str(path))


@contextlib.contextmanager
def _blaming(folder: Path | None) -> Iterator[None]:
    """Tell an error in a template of the owner's with its file and line; one in ours is a defect and stays as it is."""
    try:
        yield
    except TemplatesError:
        raise
    except jinja2.TemplateSyntaxError as error:
        if folder is None or error.filename is None or not Path(error.filename).is_relative_to(folder):
            raise
        raise TemplatesError(f"{error.filename}, line {error.lineno}: {error.message}", _MEND_TEMPLATE) from error
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_in(frame.filename, folder)]
        if not frames:
            raise
        where = f"{frames[-1].filename}, line {frames[-1].lineno}"
        raise TemplatesError(f"{where}: {error or type(error).__name__}", _MEND_TEMPLATE) from error


def _is_in(filename: str, folder: Path | None) -> bool:
    return folder is not None and Path(filename).is_relative_to(folder)


def render_html(view: ReportView, *, templates: Path | None = None) -> str:
    """Draw the view as one HTML file that asks nothing of anybody else.

    Args:
        view: what to show, and in which language (`view.options.language`).
        templates: a folder whose files win over those that ship; that of `view.options` by default.

    Raises:
        UnknownLanguageError: there is no catalogue for the language.
        TemplatesError: a template of that folder fails.
    """
    return _render(view, screen_for(view), templates or view.options.templates)


def render_pdf(view: ReportView, *, attachments: Sequence[Attachment] = (), templates: Path | None = None) -> bytes:
    """Draw the view as a PDF/A-3a and PDF/UA-1, with bookmarks and attachments. The same view gives the same bytes.

    Raises:
        OutputError: the libraries that WeasyPrint draws with are not installed.
        UnknownLanguageError: there is no catalogue for the language.
        TemplatesError: a template of the owner's folder fails.
    """
    templates = templates or view.options.templates
    html = _render(view, paper_for(view), templates)
    weasyprint = _weasyprint()
    from weasyprint.urls import (  # type: ignore[import-untyped]  # noqa: PLC0415  # untyped; once it is known to load
        URLFetcher,
    )

    folders = _folders(templates)

    class _FontsAlone(URLFetcher):  # type: ignore[misc]  # the library is not typed
        """Reads the fonts that the style sheet names and pictures inside the page; there is nothing else to ask for."""

        def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
            if url.startswith("data:image/"):
                return super().fetch(url, headers)
            name = url.rpartition("/")[2]
            for folder in folders:
                path = folder / "fonts" / name
                if path.parent == folder / "fonts" and path.is_file():
                    return super().fetch(path.absolute().as_uri(), headers)
            message = f"a report may load its fonts alone, not {url}"
            raise ValueError(message)

    moment = view.run.finished_at
    document = weasyprint.HTML(
        string=html, base_url=templates_folder().absolute().as_uri() + "/", url_fetcher=_FontsAlone()
    )
    pdf: bytes = document.write_pdf(
        pdf_variant=PDF_VARIANT,
        pdf_tags=True,
        pdf_identifier=hashlib.sha256(view.run.id.encode()).digest()[:16],
        finisher=conformance.finish,
        attachments=[
            weasyprint.Attachment(
                file_obj=io.BytesIO(item.content),
                name=item.name,
                description=item.description,
                created=moment,
                modified=moment,
                relationship="Data",
                url_fetcher=_FontsAlone(),
            )
            for item in attachments
        ],
    )
    return pdf


def _weasyprint() -> Any:
    try:
        import weasyprint  # type: ignore[import-untyped]  # noqa: PLC0415  # untyped; loads Pango, which may be missing
    except OSError as error:
        _LOG.debug("WeasyPrint cannot be loaded", exc_info=True)
        message = (
            "a PDF cannot be drawn, because the libraries of Pango are not installed; "
            f"this installs them: sudo apt-get install -y --no-install-recommends {PANGO_PACKAGES}"
        )
        raise OutputError(message) from error
    return weasyprint


def _render(view: ReportView, medium: Medium, templates: Path | None) -> str:
    environment = _environment(templates)
    script = _source(environment, "report.js")
    style = _source(environment, "common.css", medium.style)
    with _blaming(templates), language.speaking(language.language_of(view.options.language)) as spoken:
        return environment.get_template("report.html").render(
            view=view,
            medium=medium,
            language=spoken,
            english=_lang(language.English()),
            style=Markup(style),  # noqa: S704  # our own file, with nothing of the run in it
            style_hash=_hash(style),
            script=Markup(script),  # noqa: S704  # the same
            script_hash=_hash(script),
            charts=_charts(view, medium),
            remedy_of={anchor: remedy for remedy in view.remedies for anchor in remedy.causes},
        )


def render_site(view: SiteView, *, templates: Path | None = None) -> dict[str, str]:
    """Draw the site of all runs: its pages by the names of their files, the first page first.

    Args:
        view: what to show, and in which language (`view.options.language`).
        templates: a folder whose files win over those that ship; that of `view.options` by default.

    Raises:
        UnknownLanguageError: there is no catalogue for the language.
        TemplatesError: a template of that folder fails.
    """
    templates = templates or view.options.templates
    environment = _environment(templates)
    style = _source(environment, "common.css", "screen.css", "site.css")
    with _blaming(templates), language.speaking(language.language_of(view.options.language)) as spoken:
        charts = {name: (chart, Markup(chart.screen)) for name, chart in site_charts(view).items()}  # noqa: S704  # its text was escaped when its XML was written
        template = environment.get_template("site.html")
        return {
            page: template.render(
                view=view,
                title=language.gettext(view.options.title),
                page=page,
                index=view.pages[0],
                first_page=page == view.pages[0],
                months=[month for month in view.months if month.page == page],
                medium=SCREEN,
                language=spoken,
                style=Markup(style),  # noqa: S704  # our own files, with nothing of the runs in them
                style_hash=_hash(style),
                charts=charts,
                drawn=PANELS,
            )
            for page in view.pages
        }


def _source(environment: jinja2.Environment, *names: str) -> str:
    """Style sheets or a script as they are."""
    if environment.loader is None:  # pragma: no cover  # _environment sets one
        raise AssertionError
    return "\n".join(environment.loader.get_source(environment, name)[0] for name in names)


def _folders(templates: Path | None) -> list[Path]:
    """Where files are looked for: the owner's folder, where there is one, wins."""
    return [folder for folder in (templates, templates_folder()) if folder is not None]


def _environment(templates: Path | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_folders(templates)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension brings it
        language.gettext, language.ngettext, newstyle=True, pgettext=language.pgettext
    )
    environment.filters |= {
        **language.FORMATS,
        "counted": wording.counted,
        "span": wording.span,
        "capital": _capital,
        "data": as_data,
        "lang": _lang,
    }
    environment.globals |= {
        "words": wording,
        "standings": STANDINGS,
        **{item.__name__: item for item in (Standing, Status, Goal, Severity, TargetStatus, ChangeKind)},
    }
    return environment


def _charts(view: ReportView, medium: Medium) -> dict[str, tuple[Chart, Markup]]:
    drawn = {
        "protections": protections_chart(view),
        "certificates": certificates_chart(view),
        "trend": trend_chart(view),
        "covered": coverage_chart(view.history.coverage) if view.history else None,
    }
    return {
        # The text in a chart was escaped when its XML was written.
        name: (chart, Markup(chart.screen if medium.name == SCREEN.name else chart.paper))  # noqa: S704  # as the line above says
        for name, chart in drawn.items()
        if chart is not None
    }


def _hash(text: str) -> str:
    """What a Content-Security-Policy wants of an inline style or script, line feeds as the browser normalises them."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _lang(text: str) -> Markup:
    """The attribute that tells that an element's text is English on a page in another language (WCAG 3.1.2)."""
    foreign = isinstance(text, language.English) and not language.current().is_source
    return Markup(' lang="en"') if foreign else Markup()


def _capital(text: str) -> str:
    capital = text[:1].upper() + text[1:]
    return language.English(capital) if isinstance(text, language.English) else capital
