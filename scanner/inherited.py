"""Which descriptors whoever started this process left open for it: nobody else's are named on the command line.

What is opened later takes the lowest number that is free, so that `-o /dev/fd/6` may mean a socket of our own. So
it is noted before anything is opened (`scanner.app.cli`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

_STANDARD: Final = 3
_FOLDERS: Final = ("/proc/self/fd", "/dev/fd")
_noted: frozenset[int] | None = None


def note() -> None:
    """Take note of what is open now, and put the null device where stdin, stdout or stderr are closed.

    Otherwise the first file that is opened would become stdout or stderr, and be written into by whatever prints.
    """
    global _noted  # noqa: PLW0603  # a process is started once
    _noted = frozenset(number for number in _listed() if _is_open(number))
    for number in range(_STANDARD):
        if not _is_open(number):
            # The lowest number that is free is taken, and those below are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003  # it takes no keywords


def is_own_process() -> bool:
    """Whether this process is the program's own, from its start: a script's, or a test's, notes nothing."""
    return _noted is not None


def is_callers(number: int) -> bool:
    """Whether a descriptor is one that this process was started with, and is open. Where nobody noted, all are."""
    return (_noted is None or number in _noted) and _is_open(number)


def _listed() -> list[int]:
    for folder in _FOLDERS:
        with contextlib.suppress(OSError):
            # The one that the folder itself is read by is listed too, and closed when this returns.
            return [int(item.name) for item in Path(folder).iterdir() if item.name.isdecimal()]
    return list(range(_STANDARD))


def _is_open(number: int) -> bool:
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except (OSError, OverflowError, ValueError):
        return False
    return True
