"""Reports of a part of a run: they say so, count only the part, and leave the report of the whole run where it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import openpyxl
import pytest

from scanner.app.cli import run
from scanner.jobs.reporting import name_of
from scanner.jobs.site import REPORT_NAME
from scanner.standpoint import Part
from scanner.verdict import count
from tests.build.judged import judged_record
from tests.build.kept_history import keep_nights

CONFIG = """
[[environment]]
name = "production"
kind = "paas"
  [[environment.application]]
  name = "Shop"
  kind = "reactive-web"
  host = "shop.example.com"
  owner = "payments"
  labels = { tier = "1" }
  [[environment.endpoint]]
  host = "monitor.example.com"
  role = "monitoring"
  owner = "operations"
[[environment]]
name = "legacy"
kind = "on-premises"
  [[environment.endpoint]]
  host = "erp.example.internal"
  owner = "Team ERP & Ops"
"""
RECORD = judged_record(4).record
RUN = RECORD.run.id
OWNER = "Part of the run: only what belongs to payments. All numbers are of this part."


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history of two runs, and the report of the last."""
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    keep_nights(tmp_path_factory, tmp_path / "history", 0, 4)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "out").iterdir()} - {"index.html"}


def test_the_report_of_an_owner_is_a_file_of_its_own_and_says_whose_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", "-f", "json,html"]) == 0
    whole = {name: (folder / "out" / name).read_bytes() for name in (f"{RUN}.json", f"{RUN}.html")}

    assert run(["report", "-f", "json,html,xlsx,text,sarif", "--owner", "payments"]) == 0

    assert {name: (folder / "out" / name).read_bytes() for name in whole} == whole, "as it was"
    theirs = [f"{RUN}.owner-payments.{suffix}" for suffix in ("json", "html", "xlsx", "txt", "sarif")]
    assert files(folder) == {*whole, *theirs, *(name for name in files(folder) if name.startswith("index-"))}
    data, page, book, text, sarif = (folder / "out" / name for name in theirs)
    shop = [target for target in RECORD.targets if target.host == "shop.example.com"]
    found = json.loads(data.read_text())
    assert found["run"]["part"] == {
        "environment": None, "owner": "payments", "labels": {}, "rules": [], "skipped_rules": [],
    }  # fmt: skip
    assert json.loads(whole[f"{RUN}.json"])["run"]["part"] is None
    counted = count([verdict for target in shop for verdict in target.verdicts])
    assert (found["summary"]["targets"], found["summary"]["not_met"]) == (len(shop), counted.not_met)
    drawn = page.read_text()
    assert drawn.count(OWNER) == 2, "in the title of the window and at the head of the page"
    assert OWNER not in whole[f"{RUN}.html"].decode()
    assert "erp.example.internal" not in drawn
    assert "Requirements not met: the last runs" not in drawn, "that is of everybody"
    assert "has been fixed so far" not in drawn
    assert OWNER in text.read_text()
    about = [cell.value for row in openpyxl.load_workbook(book)["Run"].iter_rows() for cell in row]
    assert OWNER in about
    assert json.loads(sarif.read_text())["runs"][0]["properties"]["part"]["owner"] == "payments"
    index = (folder / "out" / "index.html").read_text()
    assert f"{RUN}.html" in index
    assert "owner-payments" not in index, "the page of all runs links whole runs"
    assert "owner-payments.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "suffix"),
    [("junit", "junit.xml"), ("oscal", "oscal.json"), ("cyclonedx", "cdx.json"), ("cyclonedx-1.7", "1.7.cdx.json")],
)
def test_formats_of_programs_say_inside_that_they_are_a_part(folder: Path, form: str, suffix: str) -> None:
    assert run(["report", "-f", form]) == 0
    assert run(["report", "-f", form, "--owner", "payments"]) == 0

    whole, theirs = (
        (folder / "out" / name).read_text("utf-8") for name in (f"{RUN}.{suffix}", f"{RUN}.owner-payments.{suffix}")
    )
    assert OWNER in theirs
    assert "Part of the run" not in whole
    for key in ("uuid", "serialNumber"):
        assert theirs.count(f'"{key}"') == 0 or json.loads(theirs).get(key, 0) != json.loads(whole).get(key, 1)
    if form == "oscal":
        ids = [json.loads(text)["assessment-results"]["uuid"] for text in (whole, theirs)]
        assert ids[0] != ids[1]


@pytest.mark.parametrize(
    ("options", "name", "words"),
    [
        (("--label", "tier=1"), "label-tier-1", "what has the label tier=1"),
        (("--environment", "legacy"), "environment-legacy", "environment legacy"),
        (
            ("--environment", "production", "--owner", "operations"),
            "environment-production-owner-operations",
            "environment production, what belongs to operations",
        ),
        (("--rule", "cert.*"), "rules-cert", "the rules cert.*"),
        (("--skip", "vuln.*"), "without-vuln", "rules other than vuln.*"),
        (("--owner", "Team ERP & Ops"), "owner-Team-ERP-Ops", "what belongs to Team ERP & Ops"),
    ],
)
def test_each_choice_has_a_name_of_its_own(folder: Path, options: tuple[str, ...], name: str, words: str) -> None:
    assert run(["report", "-f", "text", *options]) == 0

    (file,) = files(folder)
    assert file.startswith(f"{RUN}.{name}")
    assert REPORT_NAME.fullmatch(file), "so that it goes with the others when it is old"
    said = " ".join((folder / "out" / file).read_text().split())
    assert f"Part of the run: only {words}. All numbers are of this part." in said


def test_what_names_cannot_hold_leaves_them_distinct() -> None:
    names = set()
    for owner in ("a b", "a/b", "a-b", "../../a", "x" * 300, "x" * 301):
        part = Part(owner=owner)
        names.add(name_of(dataclasses.replace(RECORD, run=dataclasses.replace(RECORD.run, part=part))))
    assert len(names) == 6
    assert all(REPORT_NAME.fullmatch(f"{name}.html") and len(name) < 120 for name in names)


@pytest.mark.usefixtures("folder")
def test_the_status_is_of_the_part() -> None:
    """A rule that only others fail leaves the status of an owner's report at 0."""
    failing = {
        target.host: {verdict.rule for verdict in target.verdicts if verdict.counts_as_failure}
        for target in RECORD.targets
    }
    rule = min(failing["erp.example.internal"] - failing["shop.example.com"])

    assert run(["report", "-f", "json", "--fail-on-rule", rule]) == 1
    assert run(["report", "-f", "json", "--fail-on-rule", rule, "--owner", "payments"]) == 0


@pytest.mark.usefixtures("folder")
def test_a_rule_that_decides_and_was_left_out_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["report", "-f", "json", "--fail-on-rule", "cert.expiry", "--skip", "cert.*", "--owner", "payments"])

    assert status == 3
    assert "--fail-on-rule cert.expiry was not judged at" in capsys.readouterr().err
    assert run(["report", "-f", "json", "--rule", "headers.csp"]) == 2
    assert "was not judged by it" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_paper_of_a_part_is_verified_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "-f", "pdf", "--owner", "payments", "--rule", "cert.*", "--output", "part.pdf"]) == 0
    capsys.readouterr()

    run(["verify", "part.pdf", "--history"])

    said = capsys.readouterr()
    assert "the same verdicts" in said.out, said
    assert "byte for byte as rendered from it now" in said.out
