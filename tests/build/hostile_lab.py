"""The hostile lab, standing in a process of its own, and one scan of it by the real command line."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from scanner.lab.hostile.serving import HostileServer
from tests.conftest import PYTHONPATH, REPOSITORY

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Scanned:
    """What a scan said, by the name of the behaviour; how long it took, and the most memory that a process had."""

    targets: dict[str, dict[str, Any]]
    seconds: float
    peak_mib: dict[str, float]
    stderr: str


@contextlib.contextmanager
def standing(folder: Path, names: Sequence[str] = ()) -> Iterator[list[HostileServer]]:
    """Start it; the CA of its good server is `folder / "ca.pem"`."""
    command = [sys.executable, "-m", "scanner.lab.hostile", str(folder), *names]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield [HostileServer(**item) for item in json.loads(process.stdout.readline())]
        finally:
            process.stdin.close()
            process.wait(60)


def scan(folder: Path, servers: Sequence[HostileServer], *, deadline_s: float, concurrency: int = 8) -> Scanned:
    """Scan them all at once, each of the protocol that it speaks."""
    entries = "\n".join(f'"{item.host}:{item.port}" = ["{item.address}:{item.port}"]' for item in servers)
    places = [
        f'[[environment.endpoint]]\nhost = "{item.host}"\nport = {item.port}\n'
        + (f'role = "server"\nstarttls = "{item.starttls}"' if item.starttls else 'role = "application"')
        for item in servers
    ]
    (folder / "config.toml").write_text(
        f'[scan]\nconcurrency = {concurrency}\ndeadline = "{deadline_s:g}s"\ntimeout = "2s"\n[scan.connect_to]\n{entries}\n'
        '[[environment]]\nname = "hostile"\nkind = "on-premises"\n' + "\n".join(places),
        encoding="utf-8",
    )
    output = folder / f"report-{len(servers)}.json"
    command = [sys.executable, "-m", "scanner.app.cli", "run", "--config", "config.toml", "--quiet"]
    options = ["--ca-file", str(folder / "ca.pem"), "--format", "json", "--output", str(output)]
    begun = time.monotonic()
    with (folder / "stderr").open("w+b") as stderr:
        process = subprocess.Popen(
            [*command, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr, env=_environment()
        )
        peak: dict[str, float] = {}
        while process.poll() is None:
            _measure(process.pid, peak)
            time.sleep(0.2)
        stderr.seek(0)
        told = stderr.read().decode(errors="replace")
    seconds = time.monotonic() - begun
    by_place = {(item.host, item.port): item.name for item in servers}
    targets = json.loads(output.read_text())["targets"]
    return Scanned({by_place[item["host"], item["port"]]: item for item in targets}, seconds, peak, told)


def _environment() -> dict[str, str]:
    import os  # nothing else of it is wanted here

    return {**os.environ, "PYTHONPATH": PYTHONPATH, "NO_COLOR": "1"}


def _measure(pid: int, peak: dict[str, float]) -> None:
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        peak["main"] = max(peak.get("main", 0.0), parent.memory_info().rss / _MEBIBYTE)
        for child in parent.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                peak["worker"] = max(peak.get("worker", 0.0), child.memory_info().rss / _MEBIBYTE)
