"""A run that waits for the history is found again, whichever places the configuration names by then."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.errors import HistoryFullError
from scanner.history import History
from scanner.jobs import session
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.waiting_places import WAITING
from scanner.verdict import RunRecord
from tests.build.judged import judged_record

FIRST, SECOND = judged_record(0).record, judged_record(1).record
CONFIG = """
[nightseal]
history = "{history}"
output = "{output}"
[daemon]
state = "{state}/nightseal.sqlite"
[[environment]]
name = "legacy"
kind = "on-premises"
[[environment.endpoint]]
host = "erp.example.internal"
"""
PLACES = {"history": "data/history", "output": "out", "state": "state"}


def configure(path: Path, **places: str) -> None:
    path.parent.mkdir(exist_ok=True)
    for name in {**PLACES, **places}.values():
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
    (path.parent / {**PLACES, **places}["state"]).mkdir(exist_ok=True)
    path.write_text(CONFIG.format(**{**PLACES, **places}), "utf-8")


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose first run waits in the output folder, since its history's disk was full."""
    scanned = iter([FIRST, SECOND])
    monkeypatch.setattr(session, "run_with_progress", lambda *_, **__: next(scanned))
    config = tmp_path / "etc" / "config.toml"
    configure(config)
    with monkeypatch.context() as full:
        full.setattr(History, "append", _full(History.append))
        assert run(["run", "-q", "-f", "json", "--config", str(config)]) == ExitStatus.INTERNAL
    assert waits(config.parent / "out")
    return config


def _full(append: Callable[[History, RunRecord], None]) -> Callable[[History, RunRecord], None]:
    def refuse(history: History, record: RunRecord) -> None:
        if WAITING not in str(history.location):
            raise HistoryFullError(os.strerror(errno.ENOSPC))
        append(history, record)

    return refuse


def waits(folder: Path) -> bool:
    return (folder / WAITING / FIRST.run.id).is_dir()


@pytest.mark.parametrize(
    "changed",
    [
        {"output": "elsewhere"},
        {"history": "larger/history"},
        {"state": "other"},
        {"output": "elsewhere", "history": "larger/history"},
        {"output": "elsewhere", "state": "other"},
    ],
    ids=str,
)
def test_it_is_taken_in_after_a_place_has_changed(
    changed: dict[str, str], left: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(left, **changed)
    capsys.readouterr()

    assert run(["config", "check", "--config", str(left)]) == ExitStatus.OK
    said = f"run {FIRST.run.id}, which could not be added to it, waits in {left.parent / 'out' / WAITING}"
    assert f"warning: nightseal.history: {said}" in capsys.readouterr().err
    assert run(["run", "-q", "-f", "json", "--config", str(left)]) == ExitStatus.FAILED

    history = History.open(left.parent / {**PLACES, **changed}["history"], create=False)
    assert history.order() == [FIRST.run.id, SECOND.run.id]
    assert not waits(left.parent / "out")


def test_it_is_taken_in_from_another_working_folder(
    left: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(left, output="elsewhere")
    monkeypatch.chdir(left.parent)
    capsys.readouterr()

    assert run(["run", "-q", "-f", "json"]) == ExitStatus.FAILED

    assert f"Run {FIRST.run.id}, which could not be kept when it was done, is in the history" in capsys.readouterr().err
    assert not waits(left.parent / "out")


def test_another_configuration_with_the_same_state_folder_leaves_it(left: Path) -> None:
    other = left.with_name("staging.toml")
    configure(other, history="staging/history", output="staging/out")

    assert run(["run", "-q", "-f", "json", "--config", str(other)]) == ExitStatus.FAILED

    assert History.open(left.parent / "staging" / "history", create=False).order() == [SECOND.run.id]
    assert waits(left.parent / "out")
