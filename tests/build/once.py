"""What takes long to make, made by the first of the workers that asks for it."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def once(folders: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """Make something in a folder of its own, or take it from the worker that has; whoever comes meanwhile waits.

    Where it cannot be made whoever asks next tries again, so that each test fails for the reason itself.
    """
    own = folders.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    made = shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            known: Made = pickle.loads(made.read_bytes())  # noqa: S301  # our own worker wrote it
            return known
        found = make(folders.mktemp(name))
        made.with_suffix(".part").write_bytes(pickle.dumps(found))
        made.with_suffix(".part").rename(made)
        return found
