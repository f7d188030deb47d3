"""A run that outlived its service is known again by what it is, whatever was done to the clock meanwhile."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from msgspec import structs

from scanner.service.children import Children, birth_of
from scanner.state.database import open_state
from scanner.state.ledger import Ledger, Start

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
LIVES = "import time; print(flush=True); time.sleep(600)"
WORKER = ("-m", "scanner.service.worker", "--start")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    engine = open_state(tmp_path / "state.sqlite")
    ledger = Ledger(engine)
    ledger.add_due("nightly", NOW)
    yield ledger.waiting(NOW)[0]
    engine.dispose()


@pytest.fixture
def begun(start: Start) -> Iterator[Start]:
    """The start, with a process that is called like one that runs it."""
    with subprocess.Popen([sys.executable, "-c", LIVES, *WORKER, str(start.id)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield structs.replace(start, pid=process.pid, pid_started=birth_of(psutil.Process(process.pid)))
        process.kill()


def adopts(folder: Path, start: Start) -> bool:
    return Children(folder / "state.sqlite", folder / "config.toml").adopt(start, None)


@pytest.mark.parametrize("stepped_s", [0, 3600, -3600, 86_400 * 730])
def test_a_clock_that_was_set_does_not_hide_it(
    stepped_s: int, tmp_path: Path, begun: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that is set moves the time at which the kernel says that the machine was started.
    processes = tmp_path / "proc"
    processes.mkdir()
    (processes / str(begun.pid)).symlink_to(f"/proc/{begun.pid}")
    moved = re.sub(
        r"(?m)^btime (\d+)$", lambda found: f"btime {int(found[1]) + stepped_s}", Path("/proc/stat").read_text()
    )
    (processes / "stat").write_text(moved)
    before = psutil.Process(begun.pid).create_time()
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(processes))
    assert psutil.Process(begun.pid).create_time() - before == pytest.approx(stepped_s, abs=1.5)

    assert adopts(tmp_path, begun)


def test_another_process_of_its_number_is_not_taken_for_it(tmp_path: Path, begun: Start) -> None:
    assert begun.pid_started is not None
    assert not adopts(tmp_path, structs.replace(begun, pid_started=begun.pid_started - 60)), "another age"
    assert not adopts(tmp_path, structs.replace(begun, id=begun.id + 1)), "the process of another attempt"
    own = psutil.Process()
    assert not adopts(tmp_path, structs.replace(begun, pid=own.pid, pid_started=birth_of(own))), "no run at all"
    assert not adopts(tmp_path, structs.replace(begun, pid=None))
