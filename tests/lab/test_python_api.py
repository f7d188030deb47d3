"""The Python API on real servers: the cells of docs/python.md, and the examples in its docstrings."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner import api
from scanner.errors import PolicyError, UsageError
from scanner.lab import Lab
from tests.conftest import REPOSITORY


def test_the_examples_in_docstrings_are_right() -> None:
    failed, tried = doctest.testmod(api)

    assert tried >= 3
    assert failed == 0


def test_the_cells_of_the_document_run(lab: Lab, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "python.md").read_text("utf-8")
    cells = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    servers = [lab.servers["expired"], lab.servers["tls12"]] if "tls12" in lab.servers else [lab.servers["expired"]]
    names: dict[str, Any] = {
        "hosts": [f"{server.host}:{server.port}" for server in servers],
        "options": {"ca_file": lab.ca_file, "connect_to": lab.connect_to},
        "folder": tmp_path,
    }
    assert len(cells) >= 7

    for cell in cells:
        exec(compile(cell, "docs/python.md", "exec"), names)  # noqa: S102  # the document's own cells

    assert set(names["failing"].rule) >= {"cert.valid-now"}
    assert names["by_status"]["fail"] == len(names["failing"])
    assert list(names["runs"].run_id) == [names["record"].run.id]
    assert names["soonest"].not_after < names["runs"].started_at.iloc[0]
    assert names["by_rule"].loc["cert.valid-now", "fail"] == 1
    assert set(names["met"]) == {"nist-sp800-52r2", "mozilla-modern"}
    assert (tmp_path / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert b"sarif" in names["sarif"]
    assert servers[0].host not in repr(names["nameless"])


def test_the_cells_of_the_document_are_typed_for_those_who_use_them(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    text = (REPOSITORY / "docs" / "python.md").read_text("utf-8")
    cells = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    given = "import pathlib\nfrom typing import Any\n\nhosts: list[str] = []\noptions: dict[str, Any] = {}\nfolder = pathlib.Path()\n"
    (tmp_path / "cells.py").write_text(given + "\n".join(cells) + "\napi.judge(record, 3)\n", "utf-8")

    # From where nothing of the checkout's settings holds: as a user's own program is checked. What mypy knows of the
    # libraries is kept from one run of the tests to the next, where pytest keeps anything.
    cache = getattr(pytestconfig, "cache", None)
    kept = cache.mkdir("mypy") if cache is not None else tmp_path / "mypy"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(kept), "cells.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1, done.stdout
    assert "[arg-type]" in errors[0], "the last line alone is wrong"


def test_wrong_use_is_an_error_of_ours() -> None:
    with pytest.raises(UsageError, match="nothing to scan"):
        api.scan()
    with pytest.raises(PolicyError):
        api.scan("localhost:9", policy="no-such")
    record = api.scan("127.0.0.1:9")
    assert {item.status for item in record.targets} == {"unreachable"}
    with pytest.raises(UsageError, match="no format"):
        api.render(record, "doc")


def test_what_is_promised_is_there_and_described() -> None:
    text = (REPOSITORY / "docs" / "python.md").read_text("utf-8")

    for name in api.__all__:
        assert hasattr(api, name), name
    for name in ("scan", "history", "judge", "verdicts", "render", "redact"):
        assert f"api.{name}(" in text
