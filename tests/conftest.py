"""What every kind of test shares: the lab, and the real command line in a process of its own."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import settings

from scanner import confidential
from scanner.lab import Lab
from tests.build import preloaded
from tests.build.command_line import Done, call
from tests.build.in_turn import in_turn
from tests.build.late_iris import load_iris_late

__all__ = ["COMMAND_SECONDS", "PYTHONPATH", "REPOSITORY", "Done", "Runner", "reach"]

# How long one example takes says how busy the machine is, nothing of what is tested.
# The same examples each time, so that a change is refused for what it changes; `make fuzz` looks for others, and deeper.
settings.register_profile("nightseal", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("NIGHTSEAL_HYPOTHESIS", "nightseal"))

load_iris_late()

REPOSITORY = Path(__file__).parent.parent
PYTHONPATH = f"{os.environ['PYTHONPATH']}{os.pathsep}{REPOSITORY}"
"""For commands that are started elsewhere than here."""
TOGETHER = frozenset({"history", "lab", "reports", "unit"})
"""Folders whose tests go to workers by module, unless they name a group of their own.

A module's tests share what is long in the making: servers and scans of them, histories, documents, the house's syntax
trees. And after each test the scheduler counts all groups that it ever gave out: with thousands of short tests, each by
itself, it takes longer than they do.
"""
COMMAND_SECONDS = 300.0


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage while tests are collected, nor among what is there afterwards: all of it stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """What workers are to have in the order in which they take it (`--no-loadscope-reorder`)."""
    for path, within in groupby(items, lambda item: item.path) if config.pluginmanager.has_plugin("xdist") else ():
        if (folder := path.parent.name) in TOGETHER:
            own = pytest.mark.xdist_group(f"{folder}-{path.stem}")
            for item in within:
                if item.get_closest_marker("xdist_group") is None:
                    item.add_marker(own)
    yield
    if getattr(config.option, "loadgroup", False):
        items[:] = in_turn(items)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process remembers the secrets that it read, and takes them out of all that it says: here, of another test."""
    monkeypatch.setattr(confidential, "_kept", set())
    monkeypatch.setattr(confidential, "_ordered", [])


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Every server of the lab. One whose behaviour depends on what came before wants a lab of its own."""
    with Lab() as running:
        assert not running.skipped, f"the lab lacks something: {dict(running.skipped)}"
        yield running


@pytest.fixture(scope="session")
def small_lab() -> Iterator[Lab]:
    """A server that is fine, one that fails and one that is silent, for services, which start in a moment with so few."""
    with Lab(only=("good", "expired", "silent")) as running:
        yield running


Runner = Callable[..., Done]


@pytest.fixture
def nightseal(tmp_path: Path) -> Runner:
    """Run the command line in a process of its own, in an empty folder; a traceback is always a failure.

    It is forked from one that has loaded, and need not load (`tests/build/preloaded.py`).
    """

    def command(*arguments: str, cwd: Path = tmp_path, env: Mapping[str, str] | None = None) -> Done:
        there = {**os.environ, "PYTHONPATH": PYTHONPATH, "NO_COLOR": "1", **(env or {})}
        done = preloaded.run(arguments, cwd=cwd, env=there, timeout=COMMAND_SECONDS)
        result = Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode())
        assert "Traceback" not in result.err, result.err
        return result

    return command


@pytest.fixture
def quick(tmp_path: Path) -> Runner:
    """The command line in this process, in an empty folder: where the process is not the point."""

    def run(*arguments: str, cwd: Path = tmp_path, env: Mapping[str, str] | None = None) -> Done:
        return call(*arguments, cwd=cwd, env=env)

    return run


def reach(lab: Lab, *names: str) -> list[str]:
    """The options with which a command finds the lab's servers (all, or those named) and trusts their CA."""
    hosts = {lab.servers[name].host for name in names}
    entries = [
        f"--connect-to={source}={address}"
        for source, addresses in lab.connect_to.items()
        for address in addresses
        if not names or source.rpartition(":")[0] in hosts
    ]
    return ["--ca-file", str(lab.ca_file), *entries]
