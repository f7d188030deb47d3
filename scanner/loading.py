"""How modules are loaded where there are many of them: a command, a run of the service, the server of the workers."""

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
