"""Every command of the README and the documents that connects to nobody is run as it stands there.

There is a history of two nights. `tests/lab/test_documented_scans.py` runs those that connect.
"""

from __future__ import annotations

import dataclasses
import shlex
import shutil
from pathlib import Path

import openpyxl
import pytest

from scanner.history import History
from scanner.verdict import RunRecord
from tests.build.documented import ELSEWHERE, commands, connects, documented, elsewhere
from tests.build.judged import judged_record
from tests.build.signers import person
from tests.conftest import REPOSITORY, Runner

pytestmark = pytest.mark.xdist_group("documented-commands")

CONFIGURATION = """\
[nightseal]
history = "history"
output = "out"

[[environment]]
name = "production"
kind = "on-premises"

  [[environment.application]]
  name = "Shop"
  kind = "traditional-web"
  host = "shop.example.com"
  paths = [{ path = "/Shop/Checkout", https = "tls" }]
"""


OTHERS = [line for line in commands() if not connects(line)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the documents speak of: a configuration, a history, reports, lists of hosts, keys."""
    folder = tmp_path_factory.mktemp("documented")
    (folder / "config.toml").write_text(CONFIGURATION)
    history = History.open(folder / "history", create=True)
    for night in (3, 4):
        record = judged_record(night).record
        # Those of one name: reports of few targets are drawn in a moment.
        kept = tuple(target for target in record.targets if target.host == "shop.example.com")
        assert kept
        run = dataclasses.replace(record.run, environments=("production",), expected_targets=len(kept))
        history.append(RunRecord(run, kept))
    for name in ("example.com.zone", "scan.xml"):
        shutil.copy(REPOSITORY / "tests" / "data" / "inventories" / name, folder)
    (folder / "conf.d").mkdir()
    (folder / "hosts.txt").write_text("www.example.com\n")
    (folder / "secret-headers").write_text("X-Token: abcdef\n")
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["host", "owner"])
    book.active.append(["www.example.com", "team"])
    book.save(folder / "hosts.xlsx")
    jane = person("Jane Reviewer")
    (folder / "reviewer.p12").write_bytes(jane.p12)
    (folder / "company-ca.pem").write_bytes(jane.ca_pem)
    return folder


def test_commands_that_are_not_run_here_are_run_by_a_test_that_there_is() -> None:
    for command, path in ELSEWHERE.items():
        assert f'elsewhere("{command}")' in (REPOSITORY / path).read_text("utf-8"), path
        assert elsewhere(command), f"no document has a nightseal {command}"
    exempt = {line.split()[1] for _, line in documented()} - {line.split()[1] for line in commands()}
    assert exempt <= set(ELSEWHERE)
    assert len(OTHERS) > 20


@pytest.mark.parametrize("line", OTHERS)
def test_a_documented_command_works(line: str, prepared: Path, quick: Runner, tmp_path: Path) -> None:
    # The history of the tests is of March.
    told = line.replace("/etc/nightseal/config.toml", "config.toml").replace("2026-11-01", "2026-03-01")
    words = shlex.split(told)[1:]
    folder = tmp_path if words[:2] == ["config", "init"] else prepared
    if words[0] == "verify":
        sign = ["--sign", "reviewer.p12"] if "signed" in words[1] else []
        if not (folder / words[1]).exists():  # a line before may have made it
            made = quick("report", "--format", "pdf", *sign, "--output", words[1], cwd=folder)
            assert made.status == 0, made.err
    done = quick(*words, cwd=folder)

    assert done.status in {0, 1, 3}, done.err
