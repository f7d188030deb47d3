"""Unit tests open no socket, start no process and draw no PDF: what does belongs to another layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from scanner.state.database import open_state
from tests.build.command_line import Done, call
from tests.build.layers import only_what_a_unit_test_may_do
from tests.conftest import Runner


# Hooks of this folder's tests alone, around the fixtures of every scope.
@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with only_what_a_unit_test_may_do():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with only_what_a_unit_test_may_do():
        return (yield)


@pytest.fixture
def nightseal(tmp_path: Path) -> Runner:
    """The command line in this process, in an empty folder."""

    def run(*arguments: str, cwd: Path = tmp_path, env: dict[str, str] | None = None) -> Done:
        return call(*arguments, cwd=cwd, env=env)

    return run


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A new state file."""
    state = open_state(tmp_path / "state.sqlite")
    yield state
    state.dispose()
