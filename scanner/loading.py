"""What the collector of garbage does not look at: modules that are loaded, and a run that reports are made of."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def everything_kept() -> Iterator[None]:
    """What modules bring is never garbage: the collector does not look at it while they are loaded, nor later.

    It would take a sixth of the time, and afterwards copy what processes that are forked share.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def all_in_use() -> Iterator[None]:
    """What is in memory now stays in use: the collector does not look at it meanwhile.

    A run over thousands of targets is millions of objects, none of them garbage, at which it would look time and again
    as reports are made of them: for half of the time that this takes.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
