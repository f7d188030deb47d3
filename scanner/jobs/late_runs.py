"""Which runs the service began late, as its state file tells."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from scanner.errors import NightsealError
from scanner.state.database import open_state
from scanner.state.ledger import Ledger

_LOG = logging.getLogger(__name__)


def late_runs(state: Path) -> Mapping[str, timedelta]:
    """By how much each began late, by its id; nothing where the file cannot be read."""
    try:
        engine = open_state(state)
    except NightsealError as error:
        _LOG.info("which runs began late is not known: %s", error)
        return {}
    try:
        return Ledger(engine).late_runs()
    finally:
        engine.dispose()
