"""Whole outputs compared with kept ones: what a reader of each format sees, word by word.

Made anew by `NIGHTSEAL_GOLDEN=write pytest tests/golden`, and then read in the diff, or looked at where they are pictures
of pages (`-k pictures` makes those alone), before they are committed. The runs
here stand apart from the rules' own words, so that a better sentence in a rule changes nothing here.
"""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
from pathlib import Path

import pikepdf
import pytest
from PIL import Image, ImageFilter

from reports.export.json.v1 import to_json
from reports.logo import Logo
from reports.render import render_pdf
from reports.text import render_text
from reports.view import ReportOptions, build_view
from scanner.verdict import RunRecord
from tests.build.judged import WAIVERS
from tests.build.pictures import compare_picture, differing, page_as_picture
from tests.build.records import sample_record
from tests.build.servers import program

# What is drawn is drawn once, by one worker.
pytestmark = pytest.mark.xdist_group("golden")

FOLDER = Path(__file__).parent


def record_of(night: int) -> RunRecord:
    """The run of a night, without two environments' worth of repetition."""
    record = sample_record(night)
    kept = tuple(target for target in record.targets if target.environment != "production")
    run = dataclasses.replace(record.run, environments=("test", "legacy"), expected_targets=len(kept))
    return RunRecord(run, kept)


def compare(name: str, text: str) -> None:
    path = FOLDER / name
    if os.environ.get("NIGHTSEAL_GOLDEN") == "write":
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def test_json() -> None:
    compare("report.json", to_json(record_of(4)))


@pytest.mark.parametrize("width", [60, 100])
def test_terminal(width: int) -> None:
    compare(f"terminal-{width}.txt", render_text(record_of(4), rules={}, width=width))


def pdf_of(options: ReportOptions) -> bytes:
    view = build_view(record_of(4), rules={}, previous=record_of(3), waivers=WAIVERS, options=options)
    return render_pdf(view)


def text_of(pdf: bytes) -> str:
    pdftotext = program("pdftotext", "poppler-utils")
    text = subprocess.run([pdftotext, "-raw", "-", "-"], input=pdf, check=True, capture_output=True).stdout.decode()
    return text.replace("\f", "\n--- next page ---\n")


@pytest.fixture(scope="module")
def english() -> bytes:
    return pdf_of(ReportOptions(organisation="Example Ltd", classification="Internal"))


def test_pdf(english: bytes) -> None:
    compare("report.pdf.txt", text_of(english))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("executive", "Page 1 of "),
        ("charts", "Page 2 of "),
        ("findings", "Findings by cause"),
        ("certificates-and-enforcement", "5 Enforcement matrix"),
        ("appendix", "10 Appendix: every target"),
    ],
)
def test_pictures_of_pages(english: bytes, name: str, line: str, tmp_path: Path) -> None:
    pages = text_of(english).split("--- next page ---\n")
    found = [number for number, text in enumerate(pages, start=1) if f"\n{line}" in f"\n{text}"]
    page = found[-1]  # a chapter's title stands among the contents before
    compare_picture(page_as_picture(english, page), FOLDER / f"page-{name}.png", tmp_path)


def test_pictures_that_differ_are_found_out(english: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIGHTSEAL_GOLDEN", raising=False)
    page = page_as_picture(english, 1)
    smoothed = page.filter(ImageFilter.GaussianBlur(0.5))
    assert differing(page, smoothed)[0] < 0.001, "edges of letters may look a little otherwise"
    assert differing(page, page.transform(page.size, Image.Transform.AFFINE, (1, 0, 0, 0, 1, 6)))[0] > 0.02
    marked = page.copy()
    marked.paste("#1d6b45", (40, 90, 60, 110))
    with pytest.raises(AssertionError, match=r"page-executive.png: .* NIGHTSEAL_GOLDEN=write"):
        compare_picture(marked, FOLDER / "page-executive.png", tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        f"page-executive-{name}.png" for name in ("got", "expected", "difference")
    }


def test_pdf_in_portuguese_with_a_logo() -> None:
    picture = io.BytesIO()
    Image.new("RGB", (400, 100), "#0b5d4e").save(picture, "PNG")
    options = ReportOptions(
        organisation="Exemplo, Lda.",
        classification="Interno",
        language="pt",
        logo=Logo("image/png", picture.getvalue()),
    )
    pdf = pdf_of(options)
    compare("report.pt.pdf.txt", text_of(pdf))
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        assert str(opened.Root.Lang) == "pt-PT"
        with opened.open_metadata() as metadata:
            assert metadata["dc:title"] == "Relatório de conformidade HTTPS, Exemplo, Lda., 6 de março de 2026"
        alternatives = {
            str(item.Alt) for item in opened.objects if isinstance(item, pikepdf.Dictionary) and "/Alt" in item
        }
        assert "Logótipo de Exemplo, Lda." in alternatives
        assert not [
            item for item in opened.open_outline().root if item.title in {"Summary", "Findings by cause", "Waivers"}
        ]
        images = [
            item for item in opened.objects if isinstance(item, pikepdf.Stream) and item.get("/Subtype") == "/Image"
        ]
        assert [(int(item.Width), int(item.Height)) for item in images] == [(400, 100)]
