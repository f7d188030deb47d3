"""Each line of docs/how-to/from-other-tools.md, run as it stands there, with servers of the lab in the names' places."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from scanner.lab import Lab
from tests.build.client_certificates import client_certificate
from tests.conftest import REPOSITORY, Runner, reach

_TEXT = (REPOSITORY / "docs" / "how-to" / "from-other-tools.md").read_text("utf-8")
LINES = re.findall(r"\| `nightseal ([^`]+)` \|$", _TEXT, re.MULTILINE)


def test_every_row_of_the_table_is_run() -> None:
    rows = [line for line in _TEXT.splitlines() if line.startswith("| ")]
    assert len(LINES) == len(rows) - 1 > 15


@pytest.mark.parametrize("line", LINES)
def test_it_does_what_the_table_says(quick: Runner, lab: Lab, tmp_path: Path, line: str) -> None:
    good, mail = lab.servers["good"], lab.servers["smtp-starttls"]
    client_certificate(tmp_path / "me.pem", tmp_path / "me.key")
    (tmp_path / "hosts.txt").write_text(f"{good.host}\n", "utf-8")
    names = {
        "www.example.com": good.host,
        "mail.example.com": mail.host,
        "192.0.2.7:443": f"{good.address}:{good.actual_port}",
        "192.0.2.9": "127.0.0.1",
    }
    for name, there in names.items():
        line = line.replace(name, there)
    options = reach(lab, "good", "smtp-starttls")
    done = quick(*shlex.split(line), *options, f"--connect-to=192.0.2.7:443={good.address}:{good.actual_port}")

    assert done.status in {0, 1, 3}, done.err
    seen = (tmp_path / "seen.json").read_text("utf-8") if "seen.json" in line else done.out
    assert good.host in seen or mail.host in seen, (done.out, done.err)
