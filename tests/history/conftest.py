"""Real histories on a disk: what holds for unit tests holds here too, but what they wait for is the disk."""

from __future__ import annotations

from tests.unit.conftest import nightseal, pytest_runtest_call, pytest_runtest_setup

__all__ = ["nightseal", "pytest_runtest_call", "pytest_runtest_setup"]
