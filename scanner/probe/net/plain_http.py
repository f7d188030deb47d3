"""What an answer to plain HTTP tells of a port that kept silent to TLS."""

from __future__ import annotations

import re
from typing import Final

_STATUS: Final = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})")
_TO_HTTPS: Final = re.compile(rb"\nlocation[ \t]*:[ \t]*https:", re.IGNORECASE)
_UNDECIDED: Final = frozenset({400, 426, 497})
"""What servers say to plain HTTP at a port of TLS: nginx, Apache httpd, Tomcat and Go send 400, which nginx calls 497,
and some demand an upgrade."""


def question(host: str) -> bytes:
    """A request that any server of plain HTTP answers."""
    return f"HEAD / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode("ascii", "replace")


def speaks_plain_http(answer: bytes) -> bool:
    """Whether an answer shows a port that speaks plain HTTP instead of TLS.

    Servers of HTTPS answer plain HTTP too, to say that it is the wrong port: by an error, or a redirect to https.
    """
    status = _STATUS.match(answer)
    return status is not None and int(status[1]) not in _UNDECIDED and not _TO_HTTPS.search(answer)
