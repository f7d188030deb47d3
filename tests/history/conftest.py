"""Real histories on a disk: what holds for unit tests holds here too, but what they wait for is the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.build.layers import only_what_a_unit_test_may_do
from tests.unit.conftest import nightseal

__all__ = ["nightseal"]

HERE = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with only_what_a_unit_test_may_do(histories=True):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with only_what_a_unit_test_may_do(histories=True):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a module on one worker: the histories that they share are built once."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group(f"history-{item.path.stem}"))
