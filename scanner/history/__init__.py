"""The history of runs: Delta tables in, records and DataFrames out.

`docs/history.md` describes the tables.
"""

from __future__ import annotations

from scanner.history.store import History

__all__ = ["History"]
