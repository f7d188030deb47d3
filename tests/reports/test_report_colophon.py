"""What the paper says to type is typed, on the paper's own file."""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path

import pytest

from scanner.rules import all_rules
from tests.build.judged import judged_view
from tests.build.servers import program
from tests.reports.test_evidence_file import drawn

COMMANDS = ("pdfsig", "pdfdetach", "sha256sum", "grep")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the paper lies, under the name by which it calls itself."""
    made = tmp_path_factory.mktemp("paper")
    (made / "report.pdf").write_bytes(drawn(tmp_path_factory))
    return made


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    done = subprocess.run(
        [program("pdftotext", "poppler-utils"), "-layout", "report.pdf", "-"],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


def test_the_commands_extract_check_and_find(folder: Path, said: str) -> None:
    typed = [text.strip() for text in said.splitlines() if text.strip().startswith(COMMANDS)]
    assert [text.split()[0] for text in typed] == list(COMMANDS)
    outputs = {}
    for command in typed:
        done = subprocess.run(["bash", "-c", command], cwd=folder, check=False, capture_output=True, text=True)
        outputs[command.split()[0]] = done.stdout
        assert "pdfsig" in command or done.returncode == 0, (command, done.stderr)

    assert "does not contain any signatures" in outputs["pdfsig"], "it is unsigned, and page one says so"
    assert re.search(r"\bunsigned\b", said)
    digest = outputs["sha256sum"].split()[0]
    assert f"SHA-256 {digest}" in " ".join(said.split())

    (table,) = folder.glob("*.csv")
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["finding"] == "F1"]
    assert rows
    assert len(outputs["grep"].splitlines()) == len(rows)
    first = judged_view(previous=None).causes[0]
    assert first.label == "F1"
    assert {row["rule"] for row in rows} >= {first.rule}
    assert all(row["rule"] in all_rules() for row in rows)
