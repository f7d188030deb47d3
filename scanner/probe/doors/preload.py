"""Whether a host stands on Chromium's list of hosts that are never asked in plain, as a package carries it.

The list is of the package's day, which stands in its version. It can say that a host is on it; that one is not says
little when the list is old, and the rule that judges it knows the date.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import metadata

import hstspreload

from scanner.evidence import Attempt, FailureReason, Preloading


def list_date() -> datetime:
    """The day of the list."""
    year, month, day = (int(part) for part in metadata.version("hstspreload").split(".")[:3])
    return datetime(year, month, day, tzinfo=UTC)


def preloading_of(host: str) -> Attempt[Preloading]:
    """What the list says of a host, or of a domain above it for all below."""
    try:
        return Attempt.ok(Preloading(hstspreload.in_hsts_preload(host), list_date()))
    except (UnicodeError, ValueError) as error:
        return Attempt.failed(FailureReason.ENGINE_ERROR, f"the list cannot be asked for it: {type(error).__name__}")
