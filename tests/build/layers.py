"""What keeps the unit tests from doing what another layer is for."""

from __future__ import annotations

import multiprocessing.process
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
import weasyprint

from scanner import forkserver
from scanner.history import tables


class NotAUnitTestError(Exception):
    """A unit test did what another layer is for."""


def _refuse(what: str, where: str) -> Any:
    def refused(*_args: object, **_kwargs: object) -> NoReturn:
        raise NotAUnitTestError(f"a unit test {what}: such a test belongs to {where} (docs/architecture.md)")

    return refused


@contextmanager
def only_what_a_unit_test_may_do(*, histories: bool = False) -> Iterator[None]:
    """Make sockets, processes, PDFs and histories fail with the place for such a test; `histories` lets those be."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "bind"):
            patch.setattr(socket.socket, name, _refuse("opens a socket", "tests/lab"), raising=False)
        patch.setattr(subprocess.Popen, "__init__", _refuse("starts a process", "tests/acceptance"))
        # A command that scans starts the server of its workers before anything is known to be wrong with its options.
        patch.setattr(forkserver, "begin", lambda: None)
        patch.setattr(multiprocessing.process.BaseProcess, "start", _refuse("starts a process", "tests/acceptance"))
        patch.setattr(weasyprint.HTML, "render", _refuse("draws a PDF", "tests/reports"))
        if not histories:
            patch.setattr(tables, "write_deltalake", _refuse("writes a history", "tests/history"))
            patch.setattr(tables.DeltaTable, "create", _refuse("writes a history", "tests/history"))
        yield
