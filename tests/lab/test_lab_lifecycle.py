"""The lab begins, ends and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from scanner.lab import Lab, LabError
from tests.build.service import wait_for


def listening_sockets() -> set[str]:
    """Every socket that listens on this machine, by its inode.

    A port that was closed may be another test's a moment later, and then takes connections again; a socket is nobody
    else's.
    """
    rows = [
        row.split() for table in ("tcp", "tcp6") for row in Path("/proc/net", table).read_text("ascii").splitlines()
    ]
    return {row[9] for row in rows if row[3] == "0A"}


def listening_below(pid: int) -> set[str]:
    """Those that a process holds, or one that it began."""
    here = psutil.Process(pid)
    open_files = [
        file for one in (here, *here.children(recursive=True)) for file in Path(f"/proc/{one.pid}/fd").iterdir()
    ]
    held = {str(file.readlink()) for file in open_files if file.is_symlink()}
    return {inode for inode in listening_sockets() if f"socket:[{inode}]" in held}


def test_stopping_closes_every_port_and_removes_the_files() -> None:
    running = Lab().start()
    opened = listening_below(running.pid)
    directory = running.ca_file.parent
    assert len(opened) > 100
    running.stop()
    running.stop()
    assert opened.isdisjoint(listening_sockets())
    assert not directory.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lab_ends_with_a_parent_that_is_killed(number: signal.Signals) -> None:
    # It forks a child which goes on living and holds all its pipes, as a pool of workers would.
    program = """
import json, os, sys, time
from scanner.lab import Lab
lab = Lab(only=("good", "early-data", "post-quantum")).start()
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print("started", flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout.readline() == "started\n"
        opened = listening_below(parent.pid)
        assert opened
        parent.send_signal(number)
        parent.wait()
        wait_for(lambda: opened.isdisjoint(listening_sockets()), "the end of the lab")


def test_a_lab_that_cannot_start_says_why() -> None:
    with pytest.raises(LabError, match="no such case: unheard-of"):
        Lab(only=("unheard-of",)).start()


def test_a_lab_that_is_not_running_says_so() -> None:
    with pytest.raises(LabError, match="not running"):
        _ = Lab().servers


def test_the_lab_can_serve_a_few_cases_alone(tmp_path: Path) -> None:
    with Lab(only=("good", "silent"), directory=tmp_path) as few:
        assert sorted(few.servers) == ["good", "silent"]
        assert few.ca_file.parent == tmp_path
