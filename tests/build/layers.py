"""What keeps the unit tests from doing what another layer is for."""

from __future__ import annotations

import multiprocessing.process
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import weasyprint

from scanner import forkserver
from scanner.history import tables


class NotAUnitTestError(Exception):
    """A unit test did what another layer is for."""


_INHERITED: Final = object()


def _refuse(what: str, where: str) -> Any:
    def refused(*_args: object, **_kwargs: object) -> NoReturn:
        raise NotAUnitTestError(f"a unit test {what}: such a test belongs to {where} (docs/architecture.md)")

    return refused


_REFUSED = (
    *((socket.socket, name, _refuse("opens a socket", "tests/lab")) for name in ("connect", "connect_ex", "bind")),
    (subprocess.Popen, "__init__", _refuse("starts a process", "tests/acceptance")),
    # A command that scans starts the server of its workers before anything is known to be wrong with its options.
    (forkserver, "begin", lambda **_: None),
    (multiprocessing.process.BaseProcess, "start", _refuse("starts a process", "tests/acceptance")),
    (weasyprint.HTML, "render", _refuse("draws a PDF", "tests/reports")),
)
_HISTORIES = (
    (tables, "write_deltalake", _refuse("writes a history", "tests/history")),
    (tables.DeltaTable, "create", _refuse("writes a history", "tests/history")),
)


@contextmanager
def only_what_a_unit_test_may_do(*, histories: bool = False) -> Iterator[None]:
    """Make sockets, processes, PDFs and histories fail with the place for such a test; `histories` lets those be.

    Twice around each of thousands of tests, so that it has to be quicker than pytest's own way.
    """
    refused = _REFUSED if histories else _REFUSED + _HISTORIES
    own = [vars(owner).get(name, _INHERITED) for owner, name, _ in refused]
    for owner, name, refusal in refused:
        setattr(owner, name, refusal)
    try:
        yield
    finally:
        for (owner, name, _), before in zip(refused, own, strict=True):
            if before is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
