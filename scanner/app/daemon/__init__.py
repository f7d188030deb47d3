"""`nightseal daemon`: the nightly service. `docs/operations.md` says how to live with it."""

from __future__ import annotations

from scanner.app.daemon.command import command

__all__ = ["command"]
