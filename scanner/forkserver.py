"""The small server from which worker processes are forked, started before anything that takes long to load.

What a scan itself needs and what its workers need takes half a second each to load. A command that is going to scan
starts the server first of all, so that both load side by side. This module is imported before all others, and so it
imports none of them: what the server loads is named here and imported there.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import signal
from typing import Final

CONTEXT: Final = multiprocessing.get_context("forkserver")
"""Workers are forked from the server, never from a process that has threads."""
_LOADED: Final = (
    "__main__",
    "scanner.dispatch.workers",
    "scanner.probe.tls.probe",
    "scanner.probe.handshake.preload",
)
"""What the server loads, so that no worker has to."""


def begin() -> None:
    """Start the server, and do not wait until it has loaded; where it runs already, nothing is done.

    Ctrl-C is kept from it and from its workers, for which it is not meant: they end when whoever started them does. One
    that came while the server loads would end it in the middle of an import, and print where.
    """
    CONTEXT.set_forkserver_preload(list(_LOADED))
    # The tracker takes the mask for its own, and off again; so it is started before.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
