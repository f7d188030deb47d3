"""Real histories on a disk: what holds for unit tests holds here too, but what they wait for is the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.conftest import nightseal, pytest_runtest_call, pytest_runtest_setup

__all__ = ["nightseal", "pytest_runtest_call", "pytest_runtest_setup"]

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a module on one worker: the histories that they share are built once."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group(f"history-{item.path.stem}"))
