"""A run that is killed, by what nobody can heed, leaves what it has seen; `--resume` goes on from there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from scanner.history import History
from scanner.jobs.evidence_lines import FRESH
from scanner.jobs.unfinished import FOLDER
from scanner.lab import Lab
from scanner.verdict import RunRecord, TargetStatus
from tests.build.preloaded import Started
from tests.build.service import wait_for
from tests.conftest import PYTHONPATH, Runner, reach

# What a run leaves that was killed is made once, by one worker.
pytestmark = pytest.mark.xdist_group("test_resume")

SEEN = "good.lab.example"
SILENT = "127.0.0.9"
_PATIENT = 'timeout = "15s"\ndeadline = "20m"\nconcurrency = 1'
"""One after the other, and the silent one for long enough to be killed meanwhile on the busiest machine."""


@contextmanager
def silent() -> Iterator[int]:
    """A server that takes connections and never says anything; afterwards nobody is there."""
    with socket.create_server((SILENT, 0), backlog=100) as server:
        yield server.getsockname()[1]


def configure(folder: Path, lab: Lab, port: int, scan: str = _PATIENT) -> None:
    good = lab.servers["good"]
    hosts = ((good.host, good.port), (SILENT, port))
    endpoints = (f'[[environment.endpoint]]\nhost = "{host}"\nport = {at}\nrole = "server"\n' for host, at in hosts)
    text = f'[scan]\n{scan}\n[[environment]]\nname = "e"\nkind = "on-premises"\n'
    (folder / "config.toml").write_text(text + "".join(endpoints), "utf-8")


def killed_with_one_seen(folder: Path, lab: Lab, sent: signal.Signals = signal.SIGKILL) -> int:
    """Begin a run of two, and kill it when one is done, while the other, who says nothing, is waited for."""
    with silent() as port:
        configure(folder, lab, port)
        command = ["run", "--quiet", "--offline", *reach(lab, "good")]
        with Path(os.devnull).open("wb") as nowhere:
            process = Started(command, cwd=folder, env={**os.environ, "PYTHONPATH": PYTHONPATH}, output=nowhere)
        wait_for(lambda: process.poll() is not None or any(map(Path.read_bytes, left(folder))), "a target that is done")
        assert process.poll() is None
        os.killpg(process.pid, sent)
        process.wait()
    return port


@pytest.fixture(scope="module")
def killed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """What a run leaves that was killed, and the port of the silent server."""
    folder = tmp_path_factory.mktemp("killed")
    return folder, killed_with_one_seen(folder, lab)


@pytest.fixture
def folder(killed: tuple[Path, int], tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(killed[0], tmp_path, dirs_exist_ok=True)
    assert len(left(tmp_path)) == 1
    return tmp_path


def left(folder: Path) -> list[Path]:
    """The files of runs that are not done."""
    return sorted((folder / FOLDER).glob("*.jsonl"))


def runs(folder: Path) -> list[RunRecord]:
    history = History.open(folder / "history", create=False)
    return [history.record(run_id) for run_id in history.order()]


def began(record: RunRecord) -> datetime:
    """When the server that answers was looked at."""
    (evidence,) = (target.evidence for target in record.targets if target.host == SEEN)
    assert evidence is not None
    return evidence.started_at


def test_what_a_killed_run_saw_is_not_scanned_again(lab: Lab, quick: Runner, folder: Path) -> None:
    done = quick("run", "--resume", "--format", "json", "--output", "r.json", "--offline", *reach(lab, "good"))

    assert "nightseal: 1 target of an interrupted run is taken over, and not scanned again\n" in done.err
    (record,) = runs(folder)
    assert record.run.complete
    assert {target.host: target.status for target in record.targets} == {
        SEEN: TargetStatus.ASSESSED,
        SILENT: TargetStatus.UNREACHABLE,
    }
    assert began(record) < record.run.started_at, "what was seen before the run began"
    assert left(folder) == [], "the run is in the history"


def test_without_being_asked_nothing_old_is_taken_over(lab: Lab, quick: Runner, folder: Path) -> None:
    done = quick("run", "--format", "json", "--output", "r.json", "--offline", *reach(lab, "good"))

    assert "nightseal: an earlier run was interrupted after 1 target; `--resume` would not scan it again\n" in done.err
    (record,) = runs(folder)
    assert began(record) > record.run.started_at
    assert left(folder) == [], "a whole run is better than what it saw"


def test_told_to_end_a_run_can_be_gone_on_with_too(lab: Lab, quick: Runner, tmp_path: Path) -> None:
    killed_with_one_seen(tmp_path, lab, signal.SIGTERM)
    (cut,) = runs(tmp_path)
    assert not cut.run.complete

    quick("run", "--resume", "--quiet", "--format", "json", "--output", "r.json", "--offline", *reach(lab, "good"))

    cut, whole = runs(tmp_path)
    assert whole.run.complete
    assert began(whole) == began(cut)


@pytest.mark.parametrize("other", ["options", "age", "environments", "a live run"])
def test_only_what_was_asked_in_the_same_way_and_lately_is_taken_over(
    lab: Lab, quick: Runner, folder: Path, killed: tuple[Path, int], other: str
) -> None:
    (file,) = left(folder)
    options = ["--no-intrusive"] if other == "options" else []
    if other == "age":
        old = file.stat().st_mtime - FRESH.total_seconds() - 60
        os.utime(file, (old, old))
    if other == "environments":
        text = (folder / "config.toml").read_text("utf-8")
        more = '[[environment]]\nname = "f"\nkind = "on-premises"\n'
        more += f'[[environment.endpoint]]\nhost = "{SILENT}"\nport = {killed[1]}\n'
        (folder / "config.toml").write_text(text + more, "utf-8")
    holder = (
        subprocess.Popen(["flock", file, "sleep", "600"], start_new_session=True) if other == "a live run" else None
    )
    try:
        if holder is not None:
            free = ["flock", "--nonblock", file, "true"]
            wait_for(lambda: subprocess.run(free, check=False).returncode != 0, "the lock")

        done = quick(
            "run", "--resume", "--format", "json", "--output", "r.json", *options, "--offline", *reach(lab, "good")
        )
    finally:
        if holder is not None:
            os.killpg(holder.pid, signal.SIGKILL)
            holder.wait()

    assert "nightseal: there is no interrupted run to resume: all targets are scanned\n" in done.err
    (record,) = runs(folder)
    assert began(record) > record.run.started_at
    assert file.exists() == (other != "age"), "what others asked is not ours to remove"


def test_half_a_line_and_what_is_no_evidence_are_scanned_again(lab: Lab, quick: Runner, folder: Path) -> None:
    (file,) = left(folder)
    whole = file.read_bytes()
    file.write_bytes(b'{"target":"e/other@1","evidence":{"started_at":"never"}}\n[]\n' + whole[: len(whole) // 2])

    done = quick("run", "--resume", "--format", "json", "--output", "r.json", "--offline", *reach(lab, "good"))

    assert "there is no interrupted run to resume" in done.err
    (record,) = runs(folder)
    assert began(record) > record.run.started_at


def test_a_folder_that_cannot_be_written_costs_the_run_nothing(lab: Lab, quick: Runner, tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way", "utf-8")
    with silent() as port:
        configure(tmp_path, lab, port, 'timeout = "1s"\ndeadline = "5s"')

    done = quick("run", "--format", "json", "--output", "r.json", "--offline", *reach(lab, "good"))

    assert "interrupted" not in done.err
    (record,) = runs(tmp_path)
    assert record.run.complete
