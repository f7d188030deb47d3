"""What the service holds open is taken from under it: it begins again, and nothing is broken for good."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.history import History
from scanner.lab import Lab
from scanner.state.ledger import State
from tests.build.daemon import ended, health, ready, schedule, stop
from tests.build.service import PATIENCE_S, service


def _removed(state: Path) -> Path:
    for file in state.parent.glob(f"{state.name}*"):
        if not file.is_socket():
            file.unlink()
    return state


def _restored(state: Path) -> Path:
    """As whoever puts a backup back without having stopped the service."""
    shutil.copy(state, state.with_name("backup"))
    return state.with_name("backup").replace(state)


def _unlocked(state: Path) -> Path:
    lock = state.with_name(f"{state.name}.lock")
    lock.unlink()
    return lock


@pytest.mark.parametrize("take", [_removed, _restored, _unlocked])
def test_a_state_that_is_taken_from_the_service_has_it_begin_again(
    take: Callable[[Path], Path], tmp_path: Path, small_lab: Lab
) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
        ready(running)
        assert health(running) == (200, [])

        lost = take(tmp_path / "nightseal.sqlite")

        assert running.started[-1].wait(PATIENCE_S) == 4, "whatever supervises it starts it again"
        assert running.said(f"stopping: {lost} was removed or replaced")
        ready(running)
        assert running.command("run", "--via-daemon", "--schedule", "nightly").returncode in {0, 1, 3}
        ended(running, State.DONE)
        assert len(History.open(tmp_path / "history", create=False).runs()) == 1
        assert health(running) == (200, [])
        stop(running)
