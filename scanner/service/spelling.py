"""How long something takes, for people."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SHOWN: Final = 2


def spelled(span: timedelta) -> str:
    """A span as "2 d 3 h", "5 min 10 s" or "0.4 s": its two largest units."""
    seconds = abs(span.total_seconds())
    if seconds < 1:
        return f"{seconds:.1f} s"
    rest, parts = round(seconds), list[tuple[int, str]]()
    for size, unit in _UNITS:
        number, rest = divmod(rest, size)
        if number or parts:
            parts.append((number, unit))
    return " ".join(f"{number} {unit}" for number, unit in parts[:_SHOWN] if number)
