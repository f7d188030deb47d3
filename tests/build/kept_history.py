"""Histories that many tests begin with: each is written once, and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scanner.history import History
from tests.build.judged import judged_record
from tests.build.once import once


def keep_nights(folders: pytest.TempPathFactory, place: Path, *nights: int) -> None:
    """Put a history of these nights of the sample where nothing is yet."""

    def write(folder: Path) -> Path:
        history = History.open(folder / "history", create=True)
        for night in nights:
            history.append(judged_record(night).record)
        return folder / "history"

    shutil.copytree(once(folders, f"nights-{'-'.join(map(str, nights))}", write), place)
