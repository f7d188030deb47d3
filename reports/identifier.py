"""What a report's PDF is called by itself: the first of the two identifiers in its trailer (ISO 32000-1, 14.4)."""

from __future__ import annotations

import hashlib

_BYTES = 16


def identifier_of(name: str) -> bytes:
    """The identifier of the document of a run, made of the run's id, so that pages and data can be held together."""
    return hashlib.sha256(name.encode()).digest()[:_BYTES]
