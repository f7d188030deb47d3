"""What OSCAL's documents are made of: ids, properties, tokens, Markdown and times."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any, Final

OSCAL_VERSION: Final = "1.2.3"
NAMESPACE_URI: Final = "urn:nightseal:oscal"
"""The namespace of properties that OSCAL does not define."""
_IDS: Final = uuid.UUID("0c9f2c53-6a3c-5b7e-8a41-2f4f1f7f9d10")
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>~^$&]|^[#+-](?=\s)|^\d+(?=\.\s))")
"""What means something in OSCAL's Markdown, anywhere or as the first thing of a line; nothing else is escaped."""
_SPACE: Final = re.compile(r"\s+")
_TOKEN: Final = re.compile(r"[^\w.-]")
_NO_START: Final = re.compile(r"^(?![^\W\d])")

Json = dict[str, Any]


def lasting(*names: str) -> str:
    """The id of what is the same from run to run."""
    return str(uuid.uuid5(_IDS, "\n".join(names)))


def prop(name: str, value: str) -> Json:
    """A property that OSCAL does not define."""
    return {"name": name, "ns": NAMESPACE_URI, "value": string(value)}


def string(value: str) -> str:
    """A string of OSCAL is one line, has no space at its ends, and is not empty."""
    return _SPACE.sub(" ", value).strip() or "-"


def token(value: str) -> str:
    """A name as OSCAL's token, which begins with a letter. A rule's id is one; a policy's name need not be."""
    return _NO_START.sub("_", _TOKEN.sub("_", value))


def prose(text: str) -> str:
    """Text as OSCAL's Markdown: on one line, and no character of it means anything."""
    return _MARKDOWN.sub(r"\\\1", _SPACE.sub(" ", text).strip()) or "\N{EN DASH}"


def time_of(moment: datetime) -> str:
    """A moment as OSCAL writes it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
