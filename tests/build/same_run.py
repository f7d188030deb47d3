"""A command line whose every scan gives the same run: for what comes after a scan."""

from __future__ import annotations

from scanner.jobs import session
from tests.build.judged import judged_record


def prepare() -> None:
    """For the rest of this process."""
    session.run_with_progress = lambda *_, **__: judged_record(0).record
