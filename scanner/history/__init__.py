"""The history of runs: Delta tables in, records and DataFrames out.

`docs/history.md` describes the tables. Asked for `History`, it loads the tables, and pandas and Delta with them; what
the reports and the service need of this package besides loads without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scanner.history.store import History

__all__ = ["History"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("scanner.history.store"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
