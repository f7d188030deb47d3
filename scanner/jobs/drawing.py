"""The reports for people, drawn from the view of a run: what the history answers, the page, the paper.

It loads everything that draws, so it is named in the table of formats and loaded when one of them is asked for.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reports import render
from reports.export.csv import csv_pieces
from reports.export.formats import exported
from reports.language import separator_of
from reports.packing import Attachment, pack
from reports.view import ReportOptions, ReportView, build_view
from scanner.jobs.evidence_file import evidence_pieces
from scanner.jobs.history_answers import answers_of, first_seen_of
from scanner.rules import all_rules
from scanner.untrusted import unturned_utf8

if TYPE_CHECKING:
    from scanner.jobs.output import Rendering


def view_of(rendering: Rendering) -> ReportView:
    """What both drawn formats show of a run.

    Raises:
        HistoryError: the history cannot be read.
    """
    history, environments = rendering.history, rendering.environments
    return build_view(
        rendering.record,
        rules=all_rules(),
        environments={item.name: item for item in environments} if environments is not None else None,
        policies={policy.id: policy for policy in rendering.policies},
        waivers=rendering.waivers,
        previous=rendering.previous,
        history=answers_of(history, rendering.record, rendering.previous) if history is not None else None,
        options=rendering.options or ReportOptions(),
        owners=rendering.owners,
    )


def html(_: Rendering, view: ReportView) -> str:
    """The page."""
    return render.render_html(view)


def excel_csv(rendering: Rendering) -> Iterator[bytes]:
    """The table as spreadsheets open it: with a byte order mark, and a semicolon where commas are in numbers."""
    language = rendering.options.language if rendering.options else "en"
    beside = rendering.beside(first_seen_of(rendering))
    yield codecs.BOM_UTF8
    for piece in csv_pieces(rendering.record, **beside, delimiter=separator_of(language)):
        yield unturned_utf8(piece)


def pdf(rendering: Rendering, view: ReportView) -> bytes:
    """The paper, which carries its evidence, and is signed where there is a key.

    Raises:
        OutputError: the libraries that it is drawn with are not installed.
    """
    run_id = rendering.record.run.id
    beside = rendering.beside(first_seen_of(rendering))
    data, table = (pack(exported(rendering.record, name, **beside)) for name in ("json", "csv"))
    digest, key = data.sha256, rendering.key
    drawn = render.render_pdf(
        view,
        proof=render.ReportProof(f"{run_id}.json", digest, key.name if key else rendering.signer),
        attachments=[
            Attachment(f"{run_id}.json", data, "The run, as data"),
            Attachment(f"{run_id}.csv", table, "The verdicts, as a table"),
            Attachment(f"{run_id}.evidence.json", pack(evidence_pieces(rendering)), "What it was judged from"),
        ],
        apart=True,
    )
    if key is None:
        return drawn
    options = view.options
    return key.sign(drawn, run_id=run_id, data_digest=digest, tsa=options.tsa, roots=options.signature_roots)
