"""What is forked for a test (`tests/build/preloaded.py`) is as what a user starts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.build import preloaded
from tests.build.service import wait_for
from tests.conftest import PYTHONPATH

HERE = {**os.environ, "PYTHONPATH": PYTHONPATH, "NO_COLOR": "1"}


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (("explain", "cert.expiry"), {"COLUMNS": "60"}),
        (("scan", "127.0.0.1:9", "--format", "text"), {"COLUMNS": "100"}),
        (("explain", "cert.expyri"), {}),
        (("config", "init"), {}),
    ],
)
def test_it_prints_and_leaves_what_a_command_does(
    arguments: tuple[str, ...], settings: dict[str, str], tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        places = [tmp_path / name for name in ("started", "forked")]
        for place in places:
            place.mkdir()
        started = subprocess.run(
            [sys.executable, "-m", "scanner.app.cli", *arguments],
            cwd=places[0],
            env=HERE | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        forked = preloaded.run(arguments, cwd=places[1], env=HERE | settings, timeout=200)
    finally:
        os.umask(before)

    assert (forked.returncode, forked.stderr) == (started.returncode, started.stderr)
    assert without_moments(forked.stdout) == without_moments(started.stdout)
    assert len(started.stdout + started.stderr) > 20
    left = [{path.name: path.stat().st_mode for path in place.iterdir()} for place in places]
    assert left[0] == left[1]


def without_moments(text: bytes) -> list[bytes]:
    """Lines that do not tell when somebody looked."""
    return [line for line in text.splitlines() if b"UTC" not in line and b"looked at" not in line]


def test_it_is_a_process_of_its_own_and_ends_as_one(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[scan]\ntimeout = "10m"\n')
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(200)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        command = ["scan", address, "--deadline", "1200", "--config", "config.toml", "--quiet"]
        process = preloaded.Started(command, cwd=tmp_path, env=HERE)
        silent.accept()
        seen = psutil.Process(process.pid)
        assert seen.cwd() == str(tmp_path)
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
        assert process.poll() is None
        server = forked_for(process.pid)
        assert len(server) == 1, "what its workers are forked from"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(200)

    assert (process.returncode, out) == (143, b"")
    assert b"Traceback" not in err
    wait_for(lambda: not seen.is_running(), "its end")
    wait_for(lambda: not server[0].is_running(), "the end of what it started")


def forked_for(number: int) -> list[psutil.Process]:
    """What a command had forked: it is no child of that, and has its folder."""
    command = psutil.Process(number)
    found = []
    for other in psutil.Process(command.ppid()).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # one of another test
            if other.pid != number and other.cwd() == command.cwd():
                found.append(other)
    return found


def test_one_that_is_killed_ends_by_that_signal(tmp_path: Path) -> None:
    process = preloaded.Started(["scan", "127.0.0.1:9"], cwd=tmp_path, env=HERE)
    process.kill()

    assert process.wait(200) == -signal.SIGKILL
    assert process.poll() == -signal.SIGKILL
    process.terminate()
