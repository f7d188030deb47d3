"""`nightseal daemon`: the nightly service. `docs/operations.md` says how to live with it."""

from __future__ import annotations

from scanner.app.daemon.command import command
from scanner.app.daemon.cron import trigger_of

__all__ = ["command", "trigger_of"]
