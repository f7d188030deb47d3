"""What is wrong with the places that a configuration names to write to, told without leaving anything there."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import scanner.history
from scanner.errors import HistoryError, Problem, nearest
from scanner.jobs.destinations import NO_ROOM, refusal
from scanner.service.address import system
from scanner.service.orders import LONGEST_SOCKET
from scanner.state import VERSION

_STORES: Final = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "file")
"""Schemes of the object stores that hold a history."""
_KERNELS_OWN: Final = frozenset({
    "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs", "fusectl", "proc", "pstore",
    "securityfs", "selinuxfs", "sysfs", "tracefs",
})  # fmt: skip
_PASSING: Final = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EMFILE, errno.ENFILE})
"""What somebody mends without configuring it."""


def place(key: str, folder: Path, *, made: bool = True) -> tuple[Problem | None, Problem | None]:
    """What is wrong with a folder that is written to: an error or a warning. One that is `made` need not be there.

    What may be mended while it is used, or is another matter for the service's user, is a warning.
    """
    problem = _impossible(key, folder, made=made)
    if problem is not None:
        return problem, None
    there = _there(folder)
    refused = refusal(there) if os.access(there, os.W_OK | os.X_OK) else _inaccessible(there)
    return _refused(key, there, refused, exists=there == folder) if refused is not None else (None, None)


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(item for item in (folder, *folder.parents) if os.path.lexists(item))


def _impossible(key: str, folder: Path, *, made: bool) -> Problem | None:
    """Why there can be no such folder, whoever asks and whatever is mended."""
    if "\0" in str(folder):
        return Problem(key, "contains a NUL character, which no path can have", "name another place")
    there = _there(folder)
    if not there.is_dir():
        return Problem(key, f"{there} is not a directory", "name another place")
    if there != folder and not made:
        return Problem(key, f"there is no directory {folder}", "make it, or name another place")
    if kind := _kernels_own(there):
        message = f"{there} is on the file system {kind}, which shows the kernel's state: no file can be created there"
        return Problem(key, message, "name another place")
    return None


def _inaccessible(there: Path) -> OSError:
    """Why access is denied: to everybody, where the file system is read-only."""
    with contextlib.suppress(OSError):
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            return OSError(errno.EROFS, os.strerror(errno.EROFS))
    return OSError(errno.EACCES, os.strerror(errno.EACCES))


def _refused(key: str, there: Path, error: OSError, *, exists: bool) -> tuple[Problem | None, Problem | None]:
    if error.errno in NO_ROOM:
        hint = "make room: until then runs wait outside of a full history, and reports are not written"
        return None, Problem(key, f"{there} is on a disk that is full: {error.strerror}", hint)
    if error.errno in {errno.EACCES, errno.EPERM}:
        hint = "it may be writable for the service's user"
        return None, Problem(key, f"{there} is not writable for the user who runs the check", hint)
    # A folder that is there was written to before: its disk failed and was mounted anew, and will be mended.
    if error.errno in _PASSING or (error.errno == errno.EROFS and exists):
        hint = "check the disk"
        if error.errno == errno.EROFS:
            hint += "; under systemd, ReadWritePaths= in the unit says where the service may write"
        return None, Problem(key, f"{there} cannot be written to: {error.strerror}", hint)
    return Problem(key, f"{there} cannot be written to: {error.strerror}", "name another place"), None


def _kernels_own(folder: Path) -> str:
    """The type of the kernel's own file system that a folder is on, in which nobody can make files; else empty."""
    real = Path(os.path.realpath(folder))
    with contextlib.suppress(OSError):
        if os.major(real.stat().st_dev):
            return ""  # on a device
        mounted = {Path(item.mountpoint): item.fstype for item in system().disk_partitions(all=True)}
        kind = next((mounted[item] for item in (real, *real.parents) if item in mounted), "")
        return kind if kind in _KERNELS_OWN else ""
    return ""


def history_place(place: str) -> tuple[Problem | None, Problem | None]:
    """Why no history can be there, as far as that is seen without asking an object store: an error or a warning."""
    key = "nightseal.history"
    if "://" in place:
        scheme = urlsplit(place).scheme
        if scheme not in _STORES:
            hint = nearest(scheme, _STORES) or "s3://, az:// and gs:// are"
            return Problem(key, f'"{scheme}" is not the scheme of an object store', hint), None
        return None, None
    folder = Path(place).absolute()
    try:
        if not folder.is_dir() or (folder / "runs").is_dir():
            return None, None
        # Pandas and Delta load with the class, only where it looks odd.
        scanner.history.History(str(folder)).location.holds_history()
    except HistoryError as error:
        # What the system refuses to read is an outage, or another matter for the service's user.
        problem = Problem(key, str(error))
        return (problem, None) if error.number is None else (None, problem)
    except OSError as error:
        return None, Problem(key, f"{folder} cannot be read: {error.strerror}", "check the disk")
    return None, None


def state_problem(path: Path) -> Iterator[Problem]:
    """Why a file that is there is not a state file that can be used."""
    key = "daemon.state"
    try:
        found = path.stat()
    except OSError:
        return  # it is begun, or it is told of its folder
    if not stat.S_ISREG(found.st_mode):
        yield Problem(key, f"{path} is not a file", "name a file; it is created if it does not exist")
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
        yield Problem(key, f"{path} exists and is not a socket", "name another place")


def socket_warning(path: Path) -> Iterator[Problem]:
    """Why the service does without it."""
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        hint = f"[daemon] socket can be a path of at most {LONGEST_SOCKET} bytes; without it no run can be requested"
        yield Problem("daemon.socket", f"{path} is too long for a Unix socket", hint)
