"""Writes the table of servers in `docs/lab.md`: `python -m scanner.lab.pages docs/lab.md`, which `make docs` calls."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from scanner.lab.cases import CASES

_ROWS: Final = re.compile(r"(?<=\n\|---\|---\|\n)(?:\| `[^\n]*\n)*")


def with_servers(text: str) -> str:
    """The document with a row for every server of the lab."""
    rows = "".join(f"| `{case.name}` | {case.description} |\n" for case in CASES)
    return _ROWS.sub(lambda _: rows, text, count=1)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_servers(path.read_text("utf-8")), "utf-8")
