"""Where bytes go that somebody names a place for: into files, which are replaced whole, or into what only takes them.

A regular file is there whole or not at all; where a symbolic link leads to it, the link stays. Devices, pipes, and what
is already open (`/dev/stdout`, `/dev/fd/N`, which is what a shell makes of `>(command)`) are written into: they are
somebody else's, and a file in their place would be of use to nobody. A descriptor is only somebody else's where this
process was started with it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Final, cast

import click

from scanner.errors import OutputError
from scanner.inherited import is_callers

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What passes when somebody makes room."""
_SAMPLE: Final = b"\0" * 65_536
"""As much is written to see whether a disk is full; the last blocks of one can be had by root alone."""
_NUMBER: Final = re.compile(r"0|[1-9][0-9]*")
"""How the kernel writes them, and the only way in which it reads them."""
_NONE: Final = -1
"""What no descriptor has as its number."""
_STDOUT: Final = 1
_NOT_FOR_BYTES: Final = frozenset({errno.EINVAL, errno.EISDIR, errno.ENXIO, errno.EOPNOTSUPP})
"""What is said by descriptors that take no bytes: those of timers, of events, of a socket that listens."""
_READER_PAUSE_S: Final = 0.05
"""Seconds between two looks for the reader of a pipe."""
_MOST_LINKS = 40
"""As many symbolic links are followed as Linux follows."""
_IN_MEMORY: Final = 8 << 20
"""Bytes of what is to be written whole that wait in memory; more is put into a file."""
_PIECE: Final = 1 << 16

Data = bytes | Iterable[bytes]
"""What is written: all at once, or piece by piece as it is made."""


def ensure_writable(folder: Path, *, outages: bool = False) -> None:
    """Make a folder if it is not there, and see that files can be made in it.

    A disk that is full for now refuses nothing: what is scanned is kept elsewhere, and there may be room by then. With
    `outages` this holds for a folder that is there and on a disk that was made read-only, as a disk that fails is.

    Raises:
        OutputError: neither can be had.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{folder} is not a directory: name another with --output or [nightseal] output") from error
    except OSError as error:
        if error.errno in NO_ROOM or (outages and error.errno == errno.EROFS and folder.is_dir()):
            return
        hint = "name another folder with --output or [nightseal] output"
        raise OutputError(f"{folder} cannot be written to: {error.strerror} ({hint})") from error


def refusal(folder: Path) -> OSError | None:
    """Why no file can be made and written in a folder that is there; None where it can. Nothing is left in it."""
    try:
        # It has no name, so that it is in nobody's way, and is gone with its descriptor.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_SAMPLE)
            file.flush()
    except OSError as error:
        return error
    return None


def ensure_destination(path: Path) -> None:
    """See that `put` can write to this place, as far as that can be seen without writing; make its folder.

    Raises:
        OutputError: it cannot.
    """
    try:
        number = descriptor_of(path)
        if number is not None:
            _refuse_unopened(path, number)
            if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
                raise OutputError(f"{path} is open only for reading")
            return
        if _is_written_into(path):
            # Opening a pipe would wait for its reader, and a device may do something as it is opened.
            if not os.access(path, os.W_OK):
                raise OutputError(f"{path} cannot be written to: {os.strerror(errno.EACCES)}")
            return
    except OSError as error:
        raise OutputError(f"{path} cannot be written to: {error.strerror}") from error
    ensure_writable(_target_of(path).parent)


def put(path: Path, data: Data) -> None:
    """Write to the place that somebody names. A pipe without a reader is waited for, and that is said.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        number = descriptor_of(path)
        if number is not None:
            _refuse_unopened(path, number)
            _flush(number)
            # Not opened again: that would begin at the start of a file, and is refused where it is a socket.
            _write_into(path, lambda: os.dup(number), data)
            return
        if _is_written_into(path):
            _write_into(path, lambda: _opened(path), data)
            return
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {_reason(error)}") from error
    write_whole(_target_of(path), data, overwrite=True)


def refuse_closed_stdout() -> None:
    """See that there is a stdout to write to.

    Raises:
        OutputError: the process was started without one.
    """
    if not is_callers(_STDOUT):
        raise OutputError("stdout is not open: name a file with --output")


def write_whole(path: Path, data: Data, *, overwrite: bool = False) -> None:
    """Write a file so that it is there whole or not at all. It belongs to whom the one before it belonged to.

    With `overwrite`, what is there and cannot be replaced is written into.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            temporary = Path(file.name)
            file.writelines(_pieces(data))
        _liken(temporary, path)
        temporary.replace(path)
    except OSError as error:
        if error.errno != errno.EBUSY or temporary is None or not overwrite:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error
        # Another file system may be mounted there, as containers do with single files; it can't be moved away.
        _overwrite(path, temporary)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def descriptor_of(path: Path) -> int | None:
    """The number of the descriptor that a path stands for, by whatever links; None for all other paths."""
    current = path
    for _ in range(_MOST_LINKS):
        folder = Path(os.path.realpath(current.parent))
        if _holds_descriptors(folder):
            return int(current.name) if _NUMBER.fullmatch(current.name) else _NONE
        try:
            current = folder / (folder / current.name).readlink()
        except OSError:
            return None
    return None


def _holds_descriptors(folder: Path) -> bool:
    """Whether it is /proc/self/fd, which /dev/fd leads to, or the same of a thread; or /dev/fd, where that is none."""
    if folder == Path("/dev/fd"):
        return True
    return folder.name == "fd" and folder.parts[:3] == ("/", "proc", str(os.getpid()))


def _is_written_into(path: Path) -> bool:
    """Whether a path leads to something that is there and is no regular file with a name of its own."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        return True
    try:
        return not os.path.samestat(found, Path(os.path.realpath(path)).stat())
    except OSError:
        # What another process has open, and nobody else any more.
        return True


def _target_of(path: Path) -> Path:
    """The place that a path leads to, by all links; what it leads to need not be there.

    Raises:
        OutputError: a link leads into a folder that does not exist. Folders are made where they are named; a link that
            leads nowhere is more likely wrong than meant.
    """
    target = Path(os.path.realpath(path))
    # A link in a circle is its own target, and is refused where it is opened.
    if path.is_symlink() and target != path and not target.parent.exists():
        raise OutputError(f"{path} leads to {target}, whose folder does not exist: make it, or remove the link")
    return target


def _flush(number: int) -> None:
    """What was printed before comes first."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            if stream.fileno() == number:
                stream.flush()


def _refuse_unopened(path: Path, number: int) -> None:
    """Refuse a descriptor that is not of whoever started this process.

    Raises:
        OutputError: it is not open, or is one of our own files and sockets.
    """
    if not is_callers(number):
        raise OutputError(f"{path} is not open: open it in the shell first, or name a file")


def _opened(path: Path) -> int:
    """Open what is written into. A pipe that nobody reads is waited for, since its reader may be late."""
    opened = _opened_now(path)
    if opened is not None:
        return opened
    from scanner.jobs.stopping import ended_at_once  # noqa: PLC0415  # asyncio loads only where somebody is waited for

    with ended_at_once():
        click.echo(f"nightseal: {path} waits for a reader (Ctrl-C ends it)", err=True)
        # Not one opening that waits: a signal that comes just before it, or to another thread, would not end that.
        while opened is None:
            time.sleep(_READER_PAUSE_S)
            opened = _opened_now(path)
    return opened


def _opened_now(path: Path) -> int | None:
    """Open without waiting; None for a pipe that nobody reads."""
    try:
        return _blocking(os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno != errno.ENXIO or not path.is_fifo():
            raise
    return None


def _blocking(descriptor: int) -> int:
    os.set_blocking(descriptor, True)
    return descriptor


def _reason(error: OSError) -> str:
    if error.errno in _NOT_FOR_BYTES:
        return "it accepts no bytes"
    return error.strerror or str(error)


def whole(data: Data) -> IO[bytes]:
    """All of it in a file without a name, at its beginning: what fails as it is made fails before any of it is used."""
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # whoever is given it closes it
    try:
        file.writelines(_pieces(data))
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return cast("IO[bytes]", file)


def _pieces(data: Data) -> Iterable[bytes]:
    return (data,) if isinstance(data, bytes) else data


def _write_into(path: Path, opened: Callable[[], int], data: Data) -> None:
    with whole(data) as source:
        _copy_into(path, opened(), source)


def _copy_into(path: Path, descriptor: int, source: IO[bytes]) -> None:
    written, all_of_it = 0, source.seek(0, os.SEEK_END)
    source.seek(0)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            while piece := source.read(_PIECE):
                rest = memoryview(piece)
                while rest:
                    taken = file.write(rest) or 0
                    rest, written = rest[taken:], written + taken
    except (BrokenPipeError, ConnectionResetError) as error:
        told = f"its reader closed it after {written:,} of {all_of_it:,} bytes"
        raise OutputError(f"{path} was not written whole: {told}") from error


def _overwrite(path: Path, source: Path) -> None:
    try:
        with source.open("rb") as file:
            _copy_into(path, os.open(path, os.O_WRONLY | os.O_TRUNC), file)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def _liken(new: Path, path: Path) -> None:
    """Give a new file the permissions and, where that is allowed, the owner of the one that it replaces."""
    try:
        found = path.stat()
    except FileNotFoundError:
        # The mask can only be read by setting it.
        mask = os.umask(0)
        os.umask(mask)
        new.chmod(0o666 & ~mask)
        return
    with contextlib.suppress(PermissionError):
        os.chown(new, found.st_uid, found.st_gid)
    new.chmod(stat.S_IMODE(found.st_mode))
