"""Real histories on a disk: what holds for unit tests holds here too, but what they wait for is the disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.build.layers import only_what_a_unit_test_may_do
from tests.unit.conftest import nightseal

__all__ = ["nightseal"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with only_what_a_unit_test_may_do(histories=True):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with only_what_a_unit_test_may_do(histories=True):
        return (yield)
