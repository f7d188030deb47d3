"""What hosts and configurations say, through every format that a person reads; `test_report_exports` has the others."""

from __future__ import annotations

import csv
import io
import re
import subprocess

import pytest

from reports.view import ReportOptions
from scanner.formats import FORMATS
from scanner.jobs.output import Rendering, render
from tests.build.hostile import configured_record, hostile_record
from tests.build.judged import judged_record

# Each report is drawn once, by one worker.
pytestmark = pytest.mark.xdist_group("reports-hostile")

# What moves a cursor, rings, or turns the direction of what follows.
ACTING = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
READ_BY_PEOPLE = ("text", "html", "pdf")
RECORDS = {"hostile": hostile_record(), "configured": configured_record()}
# The PDF over hostile hosts is looked at where it is validated: `test_report_pdf`.
REPORTS = [(name, source) for name in READ_BY_PEOPLE for source in RECORDS if (name, source) != ("pdf", "hostile")]


@pytest.fixture(scope="module", params=REPORTS, ids="-".join)
def report(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Format, source and what a reader sees."""
    name, source = request.param
    judged = judged_record(4)
    rendering = Rendering(
        RECORDS[source],
        previous=judged.record,
        environments=tuple(judged.environments.values()),
        policies=tuple(judged.policies.values()),
    )
    data = render(rendering, name)
    if name == "pdf":
        data = subprocess.run(["pdftotext", "-raw", "-", "-"], input=data, check=True, capture_output=True).stdout
    return name, source, data.decode().replace("\f", "\n")


def test_nothing_in_it_acts(report: tuple[str, str, str]) -> None:
    _, _, text = report
    assert ACTING.findall(text) == []


def test_it_says_what_was_said(report: tuple[str, str, str]) -> None:
    name, source, text = report
    joined = re.sub(r"\s+", "", text)
    if source == "configured":
        assert "=1+1" in joined
    else:
        assert ("<script>alert(1)" if name != "html" else "&lt;script&gt;alert(1)") in joined
        assert "npp.exe" in joined or "gnp.exe" in joined
        assert "=cmd|" in joined


def test_no_text_is_without_end(report: tuple[str, str, str]) -> None:
    _, _, text = report
    joined = re.sub(r"\s+", "", text)
    assert not re.search("a{700}|w{2000}", joined)
    assert len(text) < 1_500_000


def test_the_other_formats_are_for_programs() -> None:
    from reports.export.formats import EXPORTS

    # What `verify --replay` judges is written for Nightseal itself: tests/reports/test_evidence_file.py looks at it.
    # The CSV for spreadsheets has the cells of the other one, which is among them, with the same apostrophes.
    assert set(FORMATS) - {*READ_BY_PEOPLE, "evidence", "csv-excel"} == set(EXPORTS)


@pytest.mark.parametrize("source", RECORDS)
@pytest.mark.parametrize(("language", "separator"), [("en", ","), ("pt", ";")])
def test_the_csv_for_spreadsheets_has_the_cells_of_the_csv(source: str, language: str, separator: str) -> None:
    rendering = Rendering(RECORDS[source], options=ReportOptions(language=language))
    table, told = (render(rendering, name).decode("utf-8-sig") for name in ("csv", "csv-excel"))
    cells = list(csv.reader(io.StringIO(table, newline="")))

    assert list(csv.reader(io.StringIO(told, newline=""), delimiter=separator)) == cells
    assert len(cells) > 1
    assert not [cell for row in cells for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
