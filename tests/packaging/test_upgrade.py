"""What an earlier release wrote is read by this one: a history of three runs, a state file, reports, evidence."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from reports.export.json.v1 import from_json
from scanner import __version__
from scanner.state import VERSION
from scanner.state.database import open_state
from tests.build.archives import unpack
from tests.conftest import REPOSITORY, Runner

GOLDEN = REPOSITORY / "tests" / "golden"
RUNS = ["20260303T020000Z-000001", "20260304T020000Z-000002", "20260305T020000Z-000003"]


@pytest.fixture
def from_0_1(tmp_path: Path) -> Path:
    """A folder as 0.1.0 left it, with a configuration of its day."""
    unpack(GOLDEN / "nightseal-0.1.tar.gz", tmp_path)
    (tmp_path / "config.toml").write_text(
        '[nightseal]\nhistory = "v0.1/history"\noutput = "out"\n\n[daemon]\nstate = "v0.1/state.sqlite"\n\n'
        '[[schedule]]\nname = "nightly"\ncron = "0 2 * * *"\n\n[[environment]]\nname = "lab"\nkind = "on-premises"\n\n'
        '  [[environment.endpoint]]\n  host = "127.0.0.1"\n  port = 9\n  role = "server"\n'
    )
    return tmp_path


def test_the_history_of_0_1_is_read_reported_and_gone_on_with(from_0_1: Path, quick: Runner) -> None:
    def runs() -> list[str]:
        done = quick("history", "runs", "--format", "csv")
        assert done.status == 0, done.err
        return re.findall(r"^(\d{8}T\d{6}Z-[0-9a-f]+),", done.out, re.MULTILINE)

    old = runs()
    assert len(old) == 3
    assert quick("diff").status == 0
    for name in ("html", "pdf", "json"):
        done = quick("report", "--run", old[0], "--format", name, "--output", f"old.{name}", "--quiet")
        assert done.status == 0, done.err
    written = from_json((from_0_1 / "old.json").read_bytes())
    assert written.run.id == old[0]
    assert written.summary.targets > 1
    assert quick("policy", "replay", "https-by-default").status == 0

    assert quick("run", "--quiet").status == 3, "the only target refuses connections"
    assert runs()[:3] == old
    assert len(runs()) == 4


def test_the_state_file_of_0_1_is_taken_over_and_a_newer_one_refused(from_0_1: Path, quick: Runner) -> None:
    path = from_0_1 / "v0.1" / "state.sqlite"
    open_state(path).dispose()
    assert quick("daemon", "--status").status == 0

    newer = sqlite3.connect(path)
    with newer:
        newer.execute("UPDATE about SET value = ? WHERE key = 'version'", (str(VERSION + 1),))
    newer.close()
    done = quick("daemon", "--status")

    assert done.status == 2
    assert "version" in done.err


def test_each_released_form_has_its_fixture() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    released = {
        "0.1",
        *(version.rpartition(".")[0] for version in re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog, re.MULTILINE)),
    }

    for version in released - {__version__.rpartition(".")[0]} | {"0.1"}:
        assert (GOLDEN / f"nightseal-{version}.tar.gz").is_file(), f"the history and state that {version} wrote"
        assert list((REPOSITORY / "tests" / "build" / "stored").glob(f"evidence-{version}-*.json")), version
        assert (GOLDEN / "released" / f"report-{version}.json").is_file(), f"a nightseal.report/1 of {version}"


@pytest.mark.parametrize("path", sorted((GOLDEN / "released").glob("report-*.json")), ids=lambda path: path.stem)
def test_a_released_report_is_still_read(path: Path) -> None:
    report = from_json(path.read_bytes())

    assert report.schema_ == json.loads(path.read_text("utf-8"))["schema"] == "nightseal.report/1"
    assert report.targets
