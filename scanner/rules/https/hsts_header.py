"""Strict-Transport-Security, read as RFC 6797 says: what a browser would make of it.

No kept library parses the header to the letter; sslyze's parser stumbles over case, quotes and spaces.
"""

from __future__ import annotations

import re

from msgspec import Struct

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUOTED = re.compile(r'"((?:[\t !#-\[\]-~]|\\[\t -~])*)"')
_SPACE = " \t"
LONGEST = 8192
"""A longer value is not read: no browser is sent one in good faith."""


class HstsError(ValueError):
    """The header is one that a browser ignores; the message says why."""


class Hsts(Struct, frozen=True):
    """A valid header. `max_age` is in seconds; 0 tells browsers to forget the host."""

    max_age: int
    include_subdomains: bool = False
    preload: bool = False


def parse_hsts(value: str) -> Hsts:
    """Read one header value (RFC 6797 section 6.1).

    Directive names have no case; a value is a token or a quoted string; no directive may stand twice; unknown ones
    are ignored; empty ones (`;;`) are allowed.

    Raises:
        HstsError: a browser would ignore the header.
    """
    if len(value) > LONGEST:
        message = "it is too long"
        raise HstsError(message)
    directives: dict[str, str | None] = {}
    for name, content in _directives(value):
        if name in directives:
            message = f"the directive {name} occurs twice"
            raise HstsError(message)
        directives[name] = content
    if "max-age" not in directives:
        message = "max-age is missing"
        raise HstsError(message)
    seconds = directives["max-age"]
    if seconds is None or not (seconds.isascii() and seconds.isdigit()):
        message = "max-age is not a number of seconds"
        raise HstsError(message)
    if directives.get("includesubdomains") is not None:
        message = "includeSubDomains takes no value"
        raise HstsError(message)
    # Beyond the age of the universe a larger number says nothing more, and int() would be slow.
    max_age = int(seconds) if len(seconds.lstrip("0")) <= 18 else 10**18  # noqa: PLR2004  # digits of that
    return Hsts(max_age, "includesubdomains" in directives, directives.get("preload", "") is None)


def _directives(value: str) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    position = 0
    while True:
        position = _skip(value, position)
        if match := _TOKEN.match(value, position):
            name, position = match[0].lower(), _skip(value, match.end())
            content = None
            if value[position : position + 1] == "=":
                content, position = _content(value, _skip(value, position + 1))
            found.append((name, content))
        if position == len(value):
            return found
        if value[position] != ";":
            message = f"it is malformed at character {position + 1}"
            raise HstsError(message)
        position += 1


def _content(value: str, position: int) -> tuple[str, int]:
    if match := _QUOTED.match(value, position):
        return re.sub(r"\\(.)", r"\1", match[1]), _skip(value, match.end())
    if match := _TOKEN.match(value, position):
        return match[0], _skip(value, match.end())
    message = f"it is malformed at character {position + 1}"
    raise HstsError(message)


def _skip(value: str, position: int) -> int:
    while position < len(value) and value[position] in _SPACE:
        position += 1
    return position
