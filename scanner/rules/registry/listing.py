"""Writes lists of observed things into verdicts: bounded, whatever a server accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTED = 6
"""Items that are named; of the rest only the number is told."""


def listing(items: Iterable[object], limit: int = LISTED) -> str:
    """Join the distinct items by commas, in order; name at most `limit`, and count the others."""
    texts = list(dict.fromkeys(str(item) for item in items))
    if len(texts) > limit:
        return ", ".join(texts[:limit]) + f" and {len(texts) - limit} more"
    return ", ".join(texts)
