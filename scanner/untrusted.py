"""What a scanned host says is hostile until it has passed through here.

A certificate's subject or an HTTP header may hold terminal escapes, bidirectional overrides, or megabytes. Text is made
harmless once, where it enters the evidence; markup is the business of each output format, which escapes for itself.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

ELLIPSIS = "…"
TEXT_LIMIT = 200
"""Characters kept of a piece of untrusted text, unless the caller says otherwise."""

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})

TURNING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What turns the reading direction of a text around (Unicode Bidirectional_Control), so that it reads as another."""
_TURNING_UTF8: Final = re.compile(rb"\xd8\x9c|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]")
_TURNING_BEGINS: Final = (b"\xd8\x9c", b"\xe2\x80", b"\xe2\x81")


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


_CONTROLS: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def uncontrolled(text: str) -> str:
    r"""Return lines of text with the characters that command a terminal as visible escapes (``\x1b``).

    For what is drawn at last; whatever is known to be untrusted was made `printable` long before.
    """
    return _CONTROLS.sub(lambda found: _escape(found[0]), text)


def unturned(text: str) -> str:
    r"""Return a document with the characters that turn its reading direction around as visible escapes (``\u202e``).

    For what is written at last: no host can say them (`printable`), and no configuration (`scanner.config.values`), but
    a history may hold names from before that was refused. In JSON the escape is the character itself.
    """
    return TURNING.sub(lambda found: _escape(found[0]), text)


def unturned_utf8(document: bytes) -> bytes:
    """The same of a document in UTF-8, which may be long: it is not decoded."""
    # Looking for bytes is many times quicker than for a pattern, and most documents have none of these.
    if not any(first in document for first in _TURNING_BEGINS):
        return document
    return _TURNING_UTF8.sub(lambda found: _escape(found[0].decode()).encode(), document)
