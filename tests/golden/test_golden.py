"""Whole outputs compared with kept ones: what a reader of each format sees, word by word.

Made anew by `NIGHTSEAL_GOLDEN=write pytest tests/golden`, and then read in the diff before it is committed. The runs
here stand apart from the rules' own words, so that a better sentence in a rule changes nothing here.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.export.json_v1 import to_json
from reports.render import render_pdf
from reports.text import render_text
from reports.view import ReportOptions, build_view
from scanner.verdict import RunRecord
from tests.build.judged import WAIVERS
from tests.build.records import sample_record

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


def test_pdf(tmp_path: Path) -> None:
    pdftotext = shutil.which("pdftotext")
    assert pdftotext, "pdftotext is missing: apt-get install poppler-utils"
    options = ReportOptions(organisation="Example Ltd", classification="Internal")
    view = build_view(record_of(4), rules={}, previous=record_of(3), waivers=WAIVERS, options=options)
    path = tmp_path / "report.pdf"
    path.write_bytes(render_pdf(view))
    text = subprocess.run([pdftotext, "-raw", str(path), "-"], check=True, capture_output=True).stdout.decode()
    compare("report.pdf.txt", text.replace("\f", "\n--- next page ---\n"))
