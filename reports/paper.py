"""Lays out a page of HTML as a PDF/A-3a and PDF/UA-1, with its attachments. Alone sees WeasyPrint.

WeasyPrint loads the libraries of Pango when it is imported, and fails where they are not installed: so this module is
loaded when a PDF is drawn, by `reports.render`, which says how to install them.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import weasyprint  # type: ignore[import-untyped]  # it ships no types
from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]  # the same

from reports import conformance
from reports.glyphs import drawable
from reports.identifier import identifier_of

if TYPE_CHECKING:
    from reports.packing import Attachment

PDF_VARIANT: Final = "pdf/a-3a"


class _FontsAlone(URLFetcher):  # type: ignore[misc]  # the library is not typed
    """Reads the fonts that the style sheet names and pictures inside the page; there is nothing else to ask for."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__()
        self._folders = [folder / "fonts" for folder in folders]

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        if url.startswith("data:image/"):
            return super().fetch(url, headers)
        name = url.rpartition("/")[2]
        for folder in self._folders:
            path = folder / name
            if path.parent == folder and path.is_file():
                return super().fetch(path.absolute().as_uri(), headers)
        message = f"a report may load only its fonts, not {url}"
        raise ValueError(message)


def lay_out(html: str, **given: Any) -> bytes:
    """Write a page of HTML as a PDF. The same page, identifier and moment give the same bytes.

    Args:
        html: the page, with its style sheet inside.
        given: the other arguments of `lay_out_into`.
    """
    drawn = io.BytesIO()
    lay_out_into(drawn, html, **given)
    return drawn.getvalue()


def lay_out_into(  # noqa: PLR0913  # the page, and all by keyword
    target: IO[bytes],
    html: str,
    *,
    folders: Sequence[Path],
    identifier: str,
    moment: datetime,
    attachments: Sequence[Attachment],
) -> None:
    """The same into a file, of which nothing is in memory twice.

    Args:
        target: where it is written.
        html: the page, with its style sheet inside.
        folders: where its fonts are, the first that has one wins; the last is where addresses in it begin.
        identifier: what the document's identity is made of.
        moment: when its attachments were made.
        attachments: files that it carries.
    """
    fetcher = _FontsAlone(folders)
    document = weasyprint.HTML(
        string=drawable(html, folders), base_url=folders[-1].absolute().as_uri() + "/", url_fetcher=fetcher
    )
    document.write_pdf(
        target,
        pdf_variant=PDF_VARIANT,
        pdf_tags=True,
        pdf_identifier=identifier_of(identifier),
        finisher=functools.partial(conformance.finish, packed=[item.packed for item in attachments]),
        attachments=[
            weasyprint.Attachment(
                file_obj=io.BytesIO(),  # its content is packed already, and comes in at the end
                name=item.name,
                description=item.description,
                created=moment,
                modified=moment,
                relationship="Data",
                url_fetcher=fetcher,
            )
            for item in attachments
        ],
    )
