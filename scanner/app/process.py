"""What a command's process must have before anything else: streams that may break, a home, modules that stay."""

from __future__ import annotations

import codecs
import io
import os
import sys
from pathlib import Path
from typing import Any, Final, TextIO

_NOWHERE: Final = "/nonexistent"
"""What Debian calls the home of those who have none: nothing is there, and nothing can be made there."""


_PLAIN: Final = {"✓": "+", "✗": "x", "─": "-", "…": "...", "·": "-", "–": "-", "—": "-", "→": "->", "×": "x"}
_IN_PLAIN: Final = "nightseal-plain"


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for letters that a terminal of another encoding than UTF-8 does not have.

    Bytes of names of files that are no text (lone surrogates) are told by their numbers.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = "".join(_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode() for each in missing)
    return plain, error.end


codecs.register_error(_IN_PLAIN, _plainly)


class _Stream(io.FileIO):
    """A descriptor that is written to; where its reader goes away, what is still to come goes nowhere."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let a command whose output nobody reads any more (`| head -1`) go on to its end, and to its own exit status.

    Otherwise click, rich and Python each end it with a status of theirs, which says that a rule failed.
    """
    sys.stdout, sys.stderr = _enduring(sys.stdout or _nowhere(1)), _enduring(sys.stderr or _nowhere(2))


def have_home() -> None:
    """See that there is a home, for libraries that ask for one as they load: a container's user may have none."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = _NOWHERE


def without_plugins() -> None:
    """Have pydantic look for no plugins: it would read what every installed package says of itself, at each start."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _nowhere(number: int) -> TextIO:
    """The stream of a descriptor that was closed when the process was started, and leads to nothing by now."""
    return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _enduring(stream: TextIO) -> TextIO:
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(number, "wb", closefd=False)),
        encoding=stream.encoding,
        errors=_IN_PLAIN,
        line_buffering=stream.isatty() or stream is sys.stderr,
    )
