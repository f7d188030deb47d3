"""The PDF: tagged, archived for good, carrying its data, the same bytes for the same run."""

from __future__ import annotations

import dataclasses
import io
import itertools
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest
from page import ValidationProfile, validate_pdf_bytes

import reports
from reports import paper
from reports.export.json.v1 import to_json
from reports.render import Attachment, render_pdf
from reports.signature import load_key, reason_for, sign_pdf
from reports.view import ReportOptions, ReportView, build_view
from scanner.errors import OutputError
from scanner.rules import all_rules
from tests.build.hostile import TEXTS, hostile_record
from tests.build.judged import judged_record, judged_view
from tests.build.servers import program
from tests.build.signers import person
from tests.conftest import PYTHONPATH

# The reports are drawn once, by one worker.
pytestmark = pytest.mark.xdist_group("report-pdf")

OPTIONS = ReportOptions(organisation="Example Ltd", classification="Internal")


def whole_view() -> ReportView:
    return judged_view(options=OPTIONS)


def attachments() -> list[Attachment]:
    data = to_json(judged_record(4).record).encode()
    return [Attachment("run.json", data, "The data of the run")]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The same report being drawn by another process, where sets and dictionaries of strings have another order.

    It has it laid out apart, as all commands do.
    """
    path = tmp_path_factory.mktemp("elsewhere") / "report.pdf"
    script = (
        "import sys, pathlib\n"
        "from tests.reports.test_report_pdf import whole_view, attachments\n"
        "from reports.render import render_pdf\n"
        "pathlib.Path(sys.argv[1]).write_bytes(render_pdf(whole_view(), attachments=attachments(), apart=True))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": PYTHONPATH}
    with subprocess.Popen([sys.executable, "-c", script, str(path)], env=environment) as process:
        yield process, path
        process.kill()


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    return []


@pytest.fixture(scope="module")
def data(complaints: list[str], elsewhere: object) -> bytes:  # noqa: ARG001  # that process is to start first
    """The report. The other process starts first, so that both draw at the same time."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    logger = logging.getLogger("weasyprint")
    handler = Keep(logging.WARNING)
    logger.addHandler(handler)
    try:
        return render_pdf(whole_view(), attachments=attachments())
    finally:
        logger.removeHandler(handler)


@pytest.fixture(scope="module")
def pdf(data: bytes) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(data))


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """What drawing the hostile report asked for."""
    return []


@pytest.fixture(scope="module")
def hostile(asked: list[str]) -> bytes:
    weasyprint = paper.weasyprint
    record = hostile_record()
    # Each text once, in a third of the verdicts: what they say is the same everywhere, and long.
    targets = tuple(dataclasses.replace(item, verdicts=item.verdicts[::3]) for item in record.targets[: len(TEXTS)])
    record = dataclasses.replace(record, targets=targets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weasyprint.urls.URLFetcher, "fetch", _noting(weasyprint.urls.URLFetcher.fetch, asked))
        return render_pdf(build_view(record, rules=all_rules(), options=OPTIONS))


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


@pytest.mark.parametrize("name", ["data", "hostile", "signed", "empty"])
@pytest.mark.parametrize(
    "profile", [ValidationProfile.PDF_A_3A, ValidationProfile.PDF_UA_1], ids=["PDF/A-3a", "PDF/UA-1"]
)
def test_a_validator_finds_nothing(name: str, profile: ValidationProfile, request: pytest.FixtureRequest) -> None:
    report = validate_pdf_bytes(request.getfixturevalue(name), profile=profile)
    assert [f"{failure.rule_id}: {failure.message}" for failure in report.failures] == []
    assert report.is_compliant
    assert report.rules.total > 100


def test_the_validator_would_find_something() -> None:
    made = paper.weasyprint.HTML(string="<p>A report").write_pdf()
    assert {failure.rule_id for failure in validate_pdf_bytes(made, profile="ua1").failures} >= {
        "PDFUA1-TAGGED-DOCUMENT-001",
        "PDFUA1-METADATA-TITLE-001",
        "PDFUA1-ID-PART-001",
    }


@pytest.fixture(scope="module")
def signed(data: bytes) -> bytes:
    key = load_key(person("Jane").p12, None, source="key.p12")
    return sign_pdf(data, key, reason=reason_for(judged_record(4).record.run.id, "0" * 64))


@pytest.mark.parametrize("name", ["data", "hostile", "empty"])
def test_no_stream_ends_in_what_is_taken_for_the_end_of_a_line(name: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(name)
    assert len(re.findall(rb"\r\nendstream", data)) > 10
    assert re.findall(rb"(?<!\r\n)endstream", data) == []


def test_declares_what_it_conforms_to(pdf: pikepdf.Pdf) -> None:
    with pdf.open_metadata() as metadata:
        assert metadata["pdfaid:part"] == "3"
        assert metadata["pdfaid:conformance"] == "A"
        assert metadata["pdfuaid:part"] == "1"
    assert b"pdfuaid" in pdf.Root.Metadata.read_raw_bytes(), "readable without decoding"


def elements(pdf: pikepdf.Pdf) -> Iterator[pikepdf.Dictionary]:
    """The elements of the document in reading order."""

    def below(element: pikepdf.Object) -> Iterator[pikepdf.Dictionary]:
        if isinstance(element, pikepdf.Dictionary) and "/S" in element:
            yield element
            for kid in element.get("/K", []):
                yield from below(kid)

    for kid in pdf.Root.StructTreeRoot.K:
        yield from below(kid)


def test_every_header_cell_says_what_it_is_the_header_of(pdf: pikepdf.Pdf) -> None:
    scopes = Counter(str(item.A.Scope) for item in elements(pdf) if item.S == "/TH")
    assert scopes["/Column"] > 50
    assert scopes["/Row"] > 50
    assert set(scopes) == {"/Column", "/Row"}


def test_headings_descend_one_level_at_a_time(pdf: pikepdf.Pdf) -> None:
    levels = [int(str(item.S)[2]) for item in elements(pdf) if re.fullmatch("/H[1-6]", str(item.S))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_pages_with_links_are_walked_in_the_order_of_their_content(pdf: pikepdf.Pdf) -> None:
    with_links = [page for page in pdf.pages if "/Annots" in page]
    assert with_links
    assert all(page.Tabs == "/S" for page in with_links)
    links = [link for page in with_links for link in page.Annots]
    assert all(str(link.get("/Contents", "")) for link in links), "and each link says where it leads"


def test_running_heads_and_feet_are_no_content(pdf: pikepdf.Pdf) -> None:
    page = pdf.pages[4]
    kinds = [
        str(operands[1].Subtype)
        for operands, operator in pikepdf.parse_content_stream(page)
        if str(operator) == "BDC" and str(operands[0]) == "/Artifact"
    ]
    assert kinds == ["/Header", "/Header", "/Footer", "/Footer"], "title, classification, chapter, page"
    marks = {
        int(operands[1].MCID)
        for operands, operator in pikepdf.parse_content_stream(page)
        if str(operator) == "BDC" and "/MCID" in operands[1]
    }
    parents = dict(zip(*(list(pdf.Root.StructTreeRoot.ParentTree.Nums)[start::2] for start in (0, 1)), strict=True))
    of_page = parents[page.StructParents]
    assert {mark for mark, element in enumerate(of_page) if element is not None} == marks


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


def test_same_view_gives_the_same_bytes_in_every_process(
    data: bytes, elsewhere: tuple[subprocess.Popen[bytes], Path]
) -> None:
    process, path = elsewhere
    assert process.wait(timeout=120) == 0
    assert path.read_bytes() == data


def test_hostile_hosts_are_text(hostile: bytes, asked: list[str], tmp_path: Path) -> None:
    assert asked
    assert all(url.startswith("file:") and "/fonts/" in url for url in asked)
    made = pikepdf.open(io.BytesIO(hostile))
    assert list(made.attachments) == []
    actions = [item for item in made.objects if isinstance(item, pikepdf.Dictionary) and "/JS" in item]
    assert actions == []
    text = text_of(hostile, tmp_path)
    assert "<script>alert(1)</script>" in "".join(text.split("\n"))
    assert "=cmd|' /C calc'!A1" in text
    assert "\\u202egnp.exe" in text, "what turns the direction of writing is told, and does nothing"
    assert not re.search("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def text_of(data: bytes, folder: Path) -> str:
    pdftotext = program("pdftotext", "poppler-utils")
    path = folder / "report.pdf"
    path.write_bytes(data)
    return subprocess.run([pdftotext, "-raw", str(path), "-"], check=True, capture_output=True).stdout.decode()


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

    for name in ("weasyprint", "reports.paper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(reports, "paper", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(OutputError, match=r"apt-get install .*libpango-1.0-0"):
        render_pdf(whole_view())


@pytest.fixture(scope="module")
def empty() -> bytes:
    record = dataclasses.replace(judged_record(4).record, targets=())
    return render_pdf(build_view(record, rules=all_rules()))


def test_run_without_targets_is_a_document(empty: bytes) -> None:
    assert len(pikepdf.open(io.BytesIO(empty)).pages) >= 2


def test_no_line_ends_inside_a_port(tmp_path: Path) -> None:
    """In whichever column: half a port reads as another one, and a host without its port is another place."""
    judged = judged_record(4)
    pool = itertools.cycle(range(8, 60, 3))
    targets = tuple(
        dataclasses.replace(target, host=f"{'a-b' * 20}"[:size] + ".lab.example", id=f"{target.environment}/{number}")
        for number, (target, size) in enumerate(zip(judged.record.targets * 3, pool, strict=False))
    )
    record = dataclasses.replace(judged.record, targets=targets)
    path = tmp_path / "report.pdf"
    path.write_bytes(render_pdf(build_view(record, rules=all_rules(), environments=judged.environments)))
    arguments = [program("pdftotext", "poppler-utils"), "-raw", str(path), "-"]
    lines = subprocess.run(arguments, capture_output=True, check=True, text=True).stdout.splitlines()
    assert sum(bool(re.search(r"\.example:(443|25)\b", line)) for line in lines) > len(targets)
    assert [line for line in lines if re.search(r"\.example:\d?$", line)] == []
