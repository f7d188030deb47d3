"""What people are sent to in trouble reads what there is, whatever else is wrong with the configuration."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scanner.jobs import session
from scanner.jobs.exit_status import ExitStatus
from scanner.state.database import open_state
from scanner.state.ledger import Ledger
from tests.build.command_line import Done, call
from tests.build.disks import fill, read_only, small_disk
from tests.build.judged import judged_record
from tests.build.kept_history import keep_nights

SCOPE = """
[[environment]]
name = "legacy"
kind = "on-premises"
[[environment.endpoint]]
host = "erp.example.internal"
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
notify = ["ops"]
[[notify]]
name = "ops"
url = "${NIGHTSEAL_TEST_URL}"
"""
READING = (
    ["history", "runs"], ["history", "failing"], ["history", "targets"], ["history", "size"], ["diff"],
    ["report", "-f", "json", "-o", "r.json"], ["evidence", "export", "--output", "e.json"], ["policy", "replay", "bsi-tr-02102-2"],
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    keep_nights(tmp_path_factory, tmp_path / "history", 0, 1)
    state = open_state(tmp_path / "nightseal.sqlite")
    Ledger(state).add_due("nightly", datetime(2026, 3, 7, 2, tzinfo=UTC))
    state.dispose()
    return tmp_path


def asked(folder: Path, text: str, *arguments: str) -> Done:
    (folder / "config.toml").write_text(text, "utf-8")
    return call(*arguments, cwd=folder)


@pytest.mark.parametrize("command", READING)
def test_a_receivers_variable_is_not_needed_to_read(command: list[str], folder: Path) -> None:
    done = asked(folder, SCOPE, *command)

    assert done.status == ExitStatus.OK, done
    assert "NIGHTSEAL_TEST_URL" not in done.err, "nobody is to be told anything"


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            '[scan]\nproxy = "${NIGHTSEAL_TEST_PROXY}"\n',
            "scan.proxy: the environment variable NIGHTSEAL_TEST_PROXY is not",
        ),
        ('[scan]\ntimeuot = "2s"\n', "scan.timeuot"),
        ('[nightseal]\nkeep = "x"\n', "nightseal.keep"),
        ('[report]\ntemplates = "/etc"\nlocale = 3\n', "report.locale"),
    ],
)
def test_what_else_is_wrong_is_a_warning(command: list[str], wrong: str, told: str, folder: Path) -> None:
    done = asked(folder, wrong + SCOPE, *command)

    assert done.status == ExitStatus.OK, done
    assert f"nightseal: warning: config.toml:2: {told}" in done.err.replace("config.toml:3", "config.toml:2")


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        '[nightseal]\nhistory = "config.toml"\n',
        '[report]\ntemplates = "/etc"\n',
        '[scan]\ntrust_store = "gone.pem"\n',
        '[scan]\ntimeuot = "2s"\n',
        '[daemon]\nhttp = "300.0.0.1:1"\n',
    ],
)
def test_status_shows_starts_whatever_is_wrong(wrong: str, folder: Path) -> None:
    done = asked(folder, wrong + SCOPE, "daemon", "--status")

    assert done.status == ExitStatus.OK, done
    assert "2026-03-07 02:00:00" in done.out


def test_what_says_where_to_look_is_needed(folder: Path) -> None:
    done = asked(folder, f"[nightseal]\nhistory = 3\n{SCOPE}", "history", "runs")

    assert done.status == ExitStatus.USAGE
    assert "nightseal.history" in done.err


def test_a_variable_in_a_place_is_named(folder: Path) -> None:
    done = asked(folder, f'[nightseal]\nhistory = "${{NIGHTSEAL_TEST_DISK}}/history"\n{SCOPE}', "history", "runs")

    assert done.status == ExitStatus.USAGE
    said = "nightseal.history: the environment variable NIGHTSEAL_TEST_DISK is not set"
    assert f"warning: config.toml:2: {said}" in done.err


@pytest.mark.parametrize("command", [["notify", "test", "ops"], ["config", "check"], ["daemon"]])
def test_who_notifies_needs_the_secrets(command: list[str], folder: Path) -> None:
    done = asked(folder, SCOPE, *command)

    assert done.status == ExitStatus.USAGE
    assert "notify[ops].url: the environment variable NIGHTSEAL_TEST_URL is not set" in done.err


def test_a_run_by_hand_tells_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "run_with_progress", lambda *_, **__: judged_record(2).record)

    done = asked(folder, SCOPE, "run", "-q", "-f", "json", "-o", "r.json")

    assert done.status == ExitStatus.FAILED, done


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_status_is_read_from_a_disk_that_takes_nothing(trouble: str, folder: Path) -> None:
    with small_disk(folder / "disk") as disk:
        shutil.copy(folder / "nightseal.sqlite", disk)
        text = f'[daemon]\nstate = "disk/nightseal.sqlite"\n{SCOPE}'
        if trouble == "full":
            fill(disk / "filler")
            done = asked(folder, text, "daemon", "--status")
        else:
            with read_only(disk):
                done = asked(folder, text, "daemon", "--status")

    assert done.status == ExitStatus.OK, done
    assert "2026-03-07 02:00:00" in done.out
