"""Lines of a name and what it is, as `verify` and `diff` print them."""

from __future__ import annotations

from typing import Final

_WIDTH: Final = 11


def line(name: str, text: str) -> str:
    """The name, and the text after it in its column."""
    return f"{name:<{_WIDTH}}{text}"
