"""What log lines about problems hold for programs, and that their sentences stay whole for people."""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.errors import ConfigError, HistoryFullError, NotKeptError, Problem
from scanner.jobs.keeping import spared
from scanner.service import logs
from scanner.service.log_fields import log_error, log_trouble, of_error, of_problem

LOG = logging.getLogger("nightseal.test")
CONFIG = """
[daemon]
log = "json"
http = "nowhere"
[[environment]]
name = "production"
kind = "on-premises"
polycy = "x"
"""


@pytest.fixture(autouse=True)
def _loggers_as_before() -> object:
    root, ours = logging.getLogger(), logging.getLogger("nightseal")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("place", "file", "line"),
    [
        ("a.toml:12", "a.toml", 12),
        ("", "config.toml", None),
        ("/x/a:b.toml:3", "/x/a:b.toml", 3),
        ("hosts", "hosts", None),
    ],
)
def test_a_problem_is_file_line_key_reason_and_hint(place: str, file: str, line: int | None) -> None:
    fields = of_problem(Problem("scan.proxy", "is none", "name one", place), "config.toml")

    assert fields == {"file": file, "line": line, "key": "scan.proxy", "reason": "is none", "hint": "name one"}


def test_each_problem_of_a_refused_configuration_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    error = ConfigError("c.toml", [Problem("a.b", "is 100 %s wrong", None, "c.toml:7"), Problem("d", "is none")])
    log_error(LOG, logging.ERROR, error, "refused: ")

    first, second = lines(capsys)
    assert first["event"] == "refused: c.toml:7: a.b: is 100 %s wrong"
    assert (first["file"], first["line"], first["key"], first["reason"]) == ("c.toml", 7, "a.b", "is 100 %s wrong")
    assert "hint" not in first
    assert (second["file"], second["key"]) == ("c.toml", "d")
    assert "line" not in second


def test_people_read_the_sentence_alone(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("human")
    log_error(LOG, logging.ERROR, ConfigError("c.toml", [Problem("a.b", "is 5 % off", None, "c.toml:7")]))

    told = capsys.readouterr().err
    assert "c.toml:7: a.b: is 5 % off" in told
    assert "reason=" not in told


def test_the_errno_and_the_path_are_found_behind_what_was_made_of_them() -> None:
    full = HistoryFullError("there: cannot be written")
    full.place, full.number = "/data/history", errno.ENOSPC
    lost = NotKeptError("run x was done, but its results could not be kept")
    lost.__cause__ = full

    assert of_error(lost) == {
        "error": "NotKeptError", "reason": str(lost), "path": "/data/history", "errno": "ENOSPC",
    }  # fmt: skip
    assert of_error(PermissionError(errno.EACCES, "denied", "/x"))["errno"] == "EACCES"
    assert "errno" not in of_error(ValueError("x"))


def test_what_went_wrong_beside_a_run_brings_its_fields_along(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    troubles = list[str]()
    with spared("No report was written", troubles):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/out/x.html")
    log_trouble(LOG, logging.ERROR, troubles[0])
    log_trouble(LOG, logging.WARNING, "a plain one")

    told, plain = lines(capsys)
    assert str(told["event"]).startswith("No report was written: OSError: ")
    assert (told["path"], told["errno"], told["error"]) == ("/out/x.html", "EROFS", "OSError")
    assert plain["event"] == "a plain one"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (CONFIG, "json"),
        (CONFIG.replace('"json"', '"human"'), "human"),
        ("\ufeff" + CONFIG, "json"),
        ("[daemon]\nlog = 3", "human"),
        ("daemon = 3", "human"),
        ("not TOML", "human"),
    ],
)
def test_the_form_is_known_though_the_configuration_is_refused(text: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text, "utf-8")

    assert logs.form_of(tmp_path / "config.toml") == form
    assert logs.form_of(tmp_path / "none.toml") == "human"


def test_a_service_that_is_refused_says_so_in_the_form_that_its_log_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(CONFIG, "utf-8")
    assert run(["daemon"]) == 2
    (refused,) = lines(capsys)
    assert (refused["file"], refused["line"], refused["key"]) == ("config.toml", 8, "environment[production].polycy")
    assert (refused["reason"], refused["level"], refused["exit_status"]) == ("unknown key", "error", 2)
    assert 'did you mean "policy"?' in str(refused["hint"])

    Path("config.toml").write_text(CONFIG.replace('"json"', '"human"'), "utf-8")
    assert run(["daemon"]) == 2
    assert capsys.readouterr().err.startswith("nightseal: config.toml:8: environment[production].polycy: unknown key")
