"""Draws a view as one self-contained HTML file, and as a PDF for the archive: tagged, with attachments, reproducible.

Both come from the same templates. Autoescaping is always on: whatever a host says arrives as text. What differs between
screen and paper is how long lists may become (`Layout`) and the style sheet.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup
from msgspec import Struct

from reports import language
from reports.charts.drawing import Chart
from reports.charts.history import PANELS, coverage_chart, site_charts
from reports.charts.run import CERTIFICATES_DRAWN, certificates_chart, protections_chart, trend_chart
from reports.drawing_process import NO_LIBRARIES, lay_out_apart
from reports.layout import SCREEN, Layout, paper_for, screen_for
from reports.packing import Attachment
from reports.templating import blaming, environment_of, folders_of, hash_of, lang_attribute, source_of, web_fonts
from reports.view.listing import anchors_of, groups_of
from scanner.errors import OutputError
from scanner.untrusted import unturned

if TYPE_CHECKING:
    from reports.view.model import ReportView
    from reports.view.site import SiteView

__all__ = ["Attachment", "ReportProof", "render_html", "render_pdf", "render_site"]
_LOG = logging.getLogger(__name__)


class ReportProof(Struct, frozen=True):
    """What a report on paper says of its own proof: the attached data, their SHA-256, and who signs; None is nobody."""

    data_name: str
    data_digest: str
    signer: str | None = None


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


def render_pdf(  # all by keyword, but for the view
    view: ReportView,
    *,
    attachments: Sequence[Attachment] = (),
    templates: Path | None = None,
    proof: ReportProof | None = None,
    apart: bool = False,
) -> bytes:
    """Draw the view as a PDF/A-3a and PDF/UA-1, with bookmarks and attachments. The same view gives the same bytes.

    Args:
        view: what to show, and in which language.
        attachments: files that it carries.
        templates: a folder whose files win over those that ship; that of `view.options` by default.
        proof: what it says of its own proof.
        apart: whether it is laid out in a process of its own.

    Raises:
        OutputError: the libraries that WeasyPrint draws with are not installed, or the process did not end well.
        UnknownLanguageError: there is no catalogue for the language.
        TemplatesError: a template of the owner's folder fails.
    """
    templates = templates or view.options.templates
    html = _render(view, paper_for(view), templates, proof)
    lay_out = lay_out_apart if apart else _lay_out_here()
    return lay_out(
        html,
        folders=folders_of(templates),
        identifier=view.run.id,
        moment=view.run.finished_at,
        attachments=attachments,
    )


def _lay_out_here() -> Callable[..., bytes]:
    try:
        from reports.paper import lay_out  # noqa: PLC0415  # it loads Pango, which may be missing
    except OSError as error:
        _LOG.debug("WeasyPrint cannot be loaded", exc_info=True)
        raise OutputError(NO_LIBRARIES) from error
    return lay_out


def _render(view: ReportView, layout: Layout, templates: Path | None, proof: ReportProof | None = None) -> str:
    environment = environment_of(templates)
    script = source_of(environment, "report.js")
    style = source_of(environment, "common.css", layout.style)
    if layout.name == SCREEN.name:
        style = f"{web_fonts()}\n{style}"
    with blaming(templates), language.speaking(language.language_of(view.options.language)) as spoken:
        groups = groups_of(view.targets) if layout.appendix and layout.grouped else ()
        html = environment.get_template("report.html").render(
            view=view,
            groups=groups,
            group_of=anchors_of(groups),
            layout=layout,
            proof=proof,
            medium=layout,  # its name in 0.1: owners' templates may still ask for it
            language=spoken,
            english=lang_attribute(language.English()),
            style=Markup(style),  # noqa: S704  # our own file, with nothing of the run in it
            style_hash=hash_of(style),
            script=Markup(script),  # noqa: S704  # the same
            script_hash=hash_of(script),
            charts=_charts(view, layout),
            certificates_drawn=CERTIFICATES_DRAWN,
            remedy_of={anchor: remedy for remedy in view.remedies for anchor in remedy.causes},
        )
    return unturned(_without_dead_links(html) if layout.chapters is not None else html)


def _without_dead_links(html: str) -> str:
    """A page without links into chapters that it does not have."""
    there = set(re.findall(r'\bid="([^"]+)"', html))
    return re.sub(r' href="#([^"]*)"', lambda found: found[0] if found[1] in there else "", html)


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
    environment = environment_of(templates)
    style = f"{web_fonts()}\n{source_of(environment, 'common.css', 'screen.css', 'site.css')}"
    with blaming(templates), language.speaking(language.language_of(view.options.language)) as spoken:
        charts = {name: (chart, Markup(chart.screen)) for name, chart in site_charts(view).items()}  # noqa: S704  # its text was escaped when its XML was written
        template = environment.get_template("site.html")
        return {
            page: unturned(
                template.render(
                    view=view,
                    title=language.gettext(view.options.title),
                    page=page,
                    index=view.pages[0],
                    first_page=page == view.pages[0],
                    months=[month for month in view.months if month.page == page],
                    layout=SCREEN,
                    medium=SCREEN,  # its name in 0.1
                    language=spoken,
                    style=Markup(style),  # noqa: S704  # our own files, with nothing of the runs in them
                    style_hash=hash_of(style),
                    charts=charts,
                    drawn=PANELS,
                )
            )
            for page in view.pages
        }


def _charts(view: ReportView, layout: Layout) -> dict[str, tuple[Chart, Markup]]:
    drawn = {
        "protections": protections_chart(view),
        "certificates": certificates_chart(view),
        "trend": trend_chart(view),
        "covered": coverage_chart(view.history.coverage) if view.history else None,
    }
    return {
        # The text in a chart was escaped when its XML was written.
        name: (chart, Markup(chart.screen if layout.name == SCREEN.name else chart.paper))  # noqa: S704  # as the line above says
        for name, chart in drawn.items()
        if chart is not None
    }
