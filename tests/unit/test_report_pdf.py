"""The PDF: tagged, archived for good, carrying its data, the same bytes for the same run."""

from __future__ import annotations

import dataclasses
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest

from reports import render
from reports.export.json_v1 import to_json
from reports.render import Attachment, render_pdf
from reports.view import ReportOptions, ReportView, build_view
from scanner.errors import OutputError
from scanner.rules import all_rules
from scanner.verdict import RunRecord
from tests.build.hostile import hostile_record
from tests.build.judged import WAIVERS, judged_record

OPTIONS = ReportOptions(organisation="Example Ltd", classification="Internal")


def small_view() -> ReportView:
    record = judged_record(4).record
    kept = tuple(target for target in record.targets if target.environment == "legacy")
    run = dataclasses.replace(record.run, environments=("legacy",), expected_targets=len(kept))
    return build_view(RunRecord(run, kept), rules=all_rules(), waivers=WAIVERS, options=OPTIONS)


def attachments() -> list[Attachment]:
    data = to_json(judged_record(4).record).encode()
    return [Attachment("run.json", data, "The data of the run")]


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    return []


@pytest.fixture(scope="module")
def data(complaints: list[str]) -> bytes:
    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    logger = logging.getLogger("weasyprint")
    handler = Keep(logging.WARNING)
    logger.addHandler(handler)
    try:
        judged = judged_record(4)
        view = build_view(
            judged.record,
            rules=all_rules(),
            environments=judged.environments,
            policies=judged.policies,
            waivers=WAIVERS,
            previous=judged_record(1).record,
            options=OPTIONS,
        )
        return render_pdf(view, attachments=attachments())
    finally:
        logger.removeHandler(handler)


@pytest.fixture(scope="module")
def pdf(data: bytes) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(data))


def test_draws_without_complaint(data: bytes, complaints: list[str]) -> None:
    assert data.startswith(b"%PDF-1.7")
    assert complaints == []


def test_is_tagged_and_tells_its_language(pdf: pikepdf.Pdf) -> None:
    assert pdf.Root.MarkInfo.Marked
    assert str(pdf.Root.Lang) == "en"
    assert pdf.Root.ViewerPreferences.DisplayDocTitle
    kinds = {str(item.S) for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and "/S" in item}
    assert {"/H1", "/H2", "/H3", "/P", "/Table", "/TH", "/TD", "/L", "/Link", "/Figure"} <= kinds


def test_every_figure_has_a_text(pdf: pikepdf.Pdf) -> None:
    figures = [
        item for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and str(item.get("/S", "")) == "/Figure"
    ]
    assert figures
    assert all(str(figure.get("/Alt", "")) for figure in figures)


def test_claims_pdf_a_3a(pdf: pikepdf.Pdf) -> None:
    with pdf.open_metadata() as metadata:
        assert metadata["pdfaid:part"] == "3"
        assert metadata["pdfaid:conformance"] == "A"


def test_says_what_it_is(pdf: pikepdf.Pdf) -> None:
    assert str(pdf.docinfo["/Title"]) == "HTTPS compliance report, Example Ltd, 6 March 2026"
    assert str(pdf.docinfo["/Author"]) == "Example Ltd"
    assert "https-by-default" in str(pdf.docinfo["/Keywords"])
    assert str(pdf.docinfo["/CreationDate"]).startswith("D:20260306020135")


def test_has_bookmarks_in_the_order_of_its_chapters(pdf: pikepdf.Pdf) -> None:
    with pdf.open_outline() as outline:
        titles = [item.title for item in outline.root]
    assert titles[0] == "Summary"
    assert titles[1:3] == ["Who must do what by when", "Findings by cause"]
    assert titles[-1] == "Appendix: every target"


def test_carries_its_data(pdf: pikepdf.Pdf) -> None:
    assert list(pdf.attachments) == ["run.json"]
    file = pdf.attachments["run.json"]
    assert file.get_file().read_bytes() == attachments()[0].content
    assert str(file.obj.AFRelationship) == "/Data"
    assert len(pdf.Root.AF) == 1


def test_embeds_every_font(pdf: pikepdf.Pdf) -> None:
    names = set()
    for item in pdf.objects:
        if isinstance(item, pikepdf.Dictionary) and str(item.get("/Type", "")) == "/FontDescriptor":
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(item.keys())
            names.add(str(item.FontName).rpartition("+")[2])
    assert any(name.startswith("Inter") for name in names), names
    assert any(name.startswith("JetBrains") for name in names), names


def test_same_view_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from tests.unit.test_report_pdf import small_view, attachments\n"
        "from reports.render import render_pdf\n"
        "pathlib.Path(sys.argv[1]).write_bytes(render_pdf(small_view(), attachments=attachments()))\n"
    )
    made = []
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.pdf"
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())}
        subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=environment)
        made.append(path.read_bytes())
    assert made[0] == made[1]


def test_hostile_hosts_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    weasyprint = render._weasyprint()
    monkeypatch.setattr(weasyprint.urls.URLFetcher, "fetch", _noting(weasyprint.urls.URLFetcher.fetch, asked))
    made = render_pdf(build_view(hostile_record(), rules=all_rules(), options=OPTIONS))
    assert asked
    assert all(url.startswith("file:") and "/fonts/" in url for url in asked)
    assert list(pikepdf.open(io.BytesIO(made)).attachments) == []


def _noting(fetch, asked):
    def noting(self, url, headers=None):
        asked.append(url)
        return fetch(self, url, headers)

    return noting


def test_missing_libraries_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "weasyprint":
                message = "cannot load library 'libpango-1.0-0'"
                raise OSError(message)

    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(OutputError, match=r"apt-get install .*libpango-1.0-0"):
        render_pdf(small_view())


def test_run_without_targets_is_a_document() -> None:
    record = dataclasses.replace(judged_record(4).record, targets=())
    made = pikepdf.open(io.BytesIO(render_pdf(build_view(record, rules=all_rules()))))
    assert len(made.pages) >= 2
