"""How large a history is, table by table."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from scanner.history.schema import TABLES
from scanner.history.store import History


def size(history: History) -> pd.DataFrame:
    """How large each table is, the largest first.

    Columns: `table`, `rows` (of crashed runs too), `files` and `bytes` of what is there to be read, and `on_disk`, the
    bytes of all files, also those that nothing needs any more and that go after a day; null in an object store.

    Raises:
        HistoryError: the history cannot be read.
    """
    found = []
    for table in TABLES.values():
        delta = history.tables.delta(table)
        with history.location.explained("read"):
            actions = pa.table(delta.get_add_actions(flatten=True))
        rows, sizes = (actions.column(name).to_pylist() for name in ("num_records", "size_bytes"))
        found.append(
            {
                "table": table.name,
                "rows": sum(number or 0 for number in rows),
                "files": len(sizes),
                "bytes": sum(sizes),
                "on_disk": _on_disk(history, table.name),
            }
        )
    frame = pd.DataFrame(found).astype({"on_disk": "Int64"})
    return frame.sort_values("bytes", ascending=False, ignore_index=True)


def _on_disk(history: History, table: str) -> int | None:
    folder = history.location.folder
    if folder is None:
        return None
    return sum(path.lstat().st_size for path in (folder / table).rglob("*") if not path.is_dir())
