"""Thousands of targets, good and hostile, round after round in one process: nothing of what it holds may grow."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, StartTls, Target
from scanner.lab import Lab
from scanner.lab.hostile.serving import HostileServer
from scanner.pipeline import probe_targets
from scanner.probe import ProbeSettings
from tests.build.hostile_lab import standing

TARGETS = int(os.environ.get("NIGHTSEAL_SOAK_TARGETS", "2000"))
ROUNDS = 5
FLAWED = ("good", "good-rsa", "legacy-tls", "rc4", "static-rsa", "weak-dh", "heartbleed", "robot", "smtp-starttls")
ENVIRONMENTS = {"soak": Environment("soak", EnvironmentKind.ON_PREMISES)}
SETTINGS = ProbeSettings(timeout_s=1.0, deadline_s=10.0)
_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Held:
    """What the process holds after a round."""

    descriptors: int
    threads: int
    mebibytes: float
    temporary: int
    zombies: int

    @classmethod
    def now(cls, folder: Path) -> Held:
        gc.collect()
        process = psutil.Process()
        children = process.children(recursive=True)
        return cls(
            process.num_fds(),
            threading.active_count(),
            process.memory_info().rss / _MEBIBYTE,
            sum(1 for _ in folder.rglob("*")),
            sum(_is_zombie(child) for child in children),
        )


def _is_zombie(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return False


def targets_of(lab: Lab, hostile: list[HostileServer]) -> list[Target]:
    """As many targets as wanted: each server again and again, under another name."""
    flawed = [
        (server.host, Address(server.address, server.actual_port, server.actual_http_port or 1), server.starttls)
        for server in lab.servers.values()
    ]
    mean = [(item.host, Address(item.address, item.port, 1), item.starttls) for item in hostile]
    found = []
    for number in range(TARGETS):
        host, address, starttls = (*flawed, *mean)[number % (len(flawed) + len(mean))]
        endpoint = Endpoint(
            "soak",
            f"n{number}.{host}",
            address.port,
            role=Role.SERVER if starttls else Role.APPLICATION,
            starttls=StartTls(starttls) if starttls else None,
        )
        found.append(Target(endpoint, address))
    return found


async def scanned(targets: list[Target]) -> int:
    return len([seen async for _, seen in probe_targets(targets, ENVIRONMENTS, SETTINGS, concurrency=20)])


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_nothing_grows_over_five_rounds(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    held = []
    with Lab(only=FLAWED) as lab, standing(tmp_path) as hostile:
        targets = targets_of(lab, hostile)
        for _ in range(ROUNDS):
            assert asyncio.run(scanned(targets)) == len(targets)
            held.append(Held.now(tmp_path / "temporary"))
            print(held[-1])  # noqa: T201  # it takes hours: whoever waits sees how far it is

    first, last = held[1], held[-1]  # the first round loads what stays
    assert last.descriptors <= first.descriptors + 2
    assert last.threads <= first.threads + 1
    assert last.temporary <= first.temporary
    assert last.zombies == 0
    assert last.mebibytes <= first.mebibytes * 1.1 + 10
