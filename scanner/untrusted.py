"""What a scanned host says is hostile until it has passed through here.

A certificate's subject or an HTTP header may hold terminal escapes, bidirectional overrides, or megabytes. Text is made
harmless once, where it enters the evidence; markup is the business of each output format, which escapes for itself.
"""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"
TEXT_LIMIT = 200
"""Characters kept of a piece of untrusted text, unless the caller says otherwise."""

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def printable(text: str | bytes, limit: int = TEXT_LIMIT) -> str:
    r"""Return `text` with control, format and unassigned characters as visible escapes, cut to `limit` characters.

    Bytes are read as UTF-8, with undecodable bytes escaped too. ESC becomes the four characters ``\x1b``, U+202E
    becomes ``\u202e``. A cut is marked by an ellipsis, which counts towards the limit.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4 + 4].decode("utf-8", "backslashreplace")
    if len(text) <= limit and text.isprintable():
        return text
    safe = "".join(
        _escape(character) if unicodedata.category(character) in _UNSAFE_CATEGORIES else character
        for character in text[: limit + 1]
    )
    return safe if len(safe) <= limit else safe[: limit - 1] + ELLIPSIS


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode() if character not in "\n\r\t" else f"\\x{ord(character):02x}"
