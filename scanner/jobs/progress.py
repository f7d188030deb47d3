"""The live display: one line for each target in flight and a bar for all, on stderr, and only on a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from scanner.formats import load

if TYPE_CHECKING:
    from scanner.dispatch import Progress as Step


@contextlib.contextmanager
def progress_display(*, quiet: bool) -> Iterator[Callable[[Step], None] | None]:
    """Give a function that shows each step; None where there is nobody to show it to, and nothing is loaded."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with load("scanner.jobs.progress_drawn:drawn")() as show:
        yield show
