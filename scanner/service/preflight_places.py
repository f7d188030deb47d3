"""What is wrong with the places that a configuration names to write to, told without writing there."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from scanner.errors import HistoryError, Problem, nearest
from scanner.service.orders import LONGEST_SOCKET
from scanner.state.database import VERSION

_STORES: Final = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "file")
"""Schemes of the object stores that hold a history."""


def place(key: str, folder: Path, *, made: bool = True) -> tuple[Problem | None, Problem | None]:
    """What is wrong with a folder that is written to: an error or a warning. One that is `made` need not be there."""
    there = next(item for item in (folder, *folder.parents) if os.path.lexists(item))
    if not there.is_dir():
        return Problem(key, f"{there} is not a directory", "name another place"), None
    if there != folder and not made:
        return Problem(key, f"there is no directory {folder}", "make it, or name another place"), None
    if not os.access(there, os.W_OK | os.X_OK):
        hint = "as the service's user it may be another matter"
        return None, Problem(key, f"{there} cannot be written to by the user who asks", hint)
    return None, None


def history_problem(place: str) -> Iterator[Problem]:
    """Why no history can be there, as far as that is seen without asking an object store."""
    key = "nightseal.history"
    if "://" in place:
        scheme = urlsplit(place).scheme
        if scheme not in _STORES:
            hint = nearest(scheme, _STORES) or "s3://, az:// and gs:// are"
            yield Problem(key, f'"{scheme}" is not the scheme of an object store', hint)
        return
    folder = Path(place).absolute()
    if not folder.is_dir() or (folder / "runs").is_dir():
        return
    from scanner.history import History  # noqa: PLC0415  # pandas and Delta load only where it looks odd

    try:
        History(str(folder)).location.holds_history()
    except HistoryError as error:
        yield Problem(key, str(error))


def state_problem(path: Path) -> Iterator[Problem]:
    """Why a file that is there is not a state file that can be used."""
    key = "daemon.state"
    try:
        found = path.stat()
    except OSError:
        return  # it is begun, or it is told of its folder
    if not stat.S_ISREG(found.st_mode):
        yield Problem(key, f"{path} is not a file", "name a file, which is made where there is none")
        return
    if not found.st_size or not os.access(path, os.R_OK):
        return
    # As SQLite opens it: closing it by ourselves would end this process's locks on it, where it is the service. Nothing
    # is made beside it, and what its log still holds is not looked at.
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as connection:
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                yield Problem(key, f"{path} is not a state file", "move it away, or name another place")
            return
        with contextlib.suppress(sqlite3.DatabaseError, TypeError, ValueError):
            (version,) = connection.execute("SELECT value FROM about WHERE key = 'version'").fetchone()
            if int(version) > VERSION:
                yield Problem(key, f"{path} was written by a newer Nightseal (version {version} of its form)")


def socket_problem(path: Path) -> Iterator[Problem]:
    """Why nothing can listen there."""
    key = "daemon.socket"
    if not path.parent.is_dir():
        yield Problem(key, f"there is no directory {path.parent}", "make it, or name another place")
    elif path.exists() and not path.is_socket():
        yield Problem(key, f"{path} is there and is not a socket", "name another place")


def socket_warning(path: Path) -> Iterator[Problem]:
    """Why the service does without it."""
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        hint = f"[daemon] socket names one of at most {LONGEST_SOCKET} bytes; without it no run can be asked for"
        yield Problem("daemon.socket", f"{path} is too long for a Unix socket", hint)
