"""What must never be told: the secrets in receivers' addresses and proxies, wherever a text would carry them.

Whoever reads a secret says so here, once (`keep`, `keep_parts`), and whoever writes for people takes them out
(`without`): log lines, error messages, reasons that are remembered. A process knows the secrets that it read itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import unquote, unquote_plus

HIDDEN: Final = "…"
_SHORTEST: Final = 4
"""A shorter secret would take words out of every sentence; nobody can rely on it either."""
_SHORTEST_TOKEN: Final = 6
_LONG: Final = 20
_SCHEME: Final = re.compile(r"^[\s'\"]*(?:mailtos?:/*|[A-Za-z][A-Za-z0-9+.-]*:/+)")
_QUOTES: Final = " \t'\""
_TOLD: Final = frozenset(
    {"to", "from", "cc", "bcc", "mode", "format", "overflow", "verify", "rto", "cto", "name", "smtp", "port", "method"}
)
"""Keys of Apprise's addresses whose values may be told."""
_PLACES: Final = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "file")
"""Schemes of what is named in error messages: without a password there is nothing secret in them."""
_SPEAKING: Final = re.compile(r"pass|pwd|secret|token|key|credential|auth|hook", re.IGNORECASE)
"""What the name of a variable says of its value."""

_kept: set[str] = set()
_ordered: list[str] = []


def keep(values: Iterable[str]) -> None:
    """Never tell these."""
    # A scheme alone is in every address that is told.
    new = {value for value in values if len(value) >= _SHORTEST and _SCHEME.sub("", value)} - _kept
    if new:
        _kept.update(new)
        # The longest first: what holds another secret is taken out whole.
        _ordered[:] = sorted(_kept, key=len, reverse=True)


def keep_parts(address: str) -> None:
    """Never tell what is secret in an address, nor the address as a whole."""
    keep(parts_of(address))


def keep_variable(name: str, value: str) -> None:
    """Never tell what is secret in an environment variable: an address with a password, or what its name says."""
    scheme, separator, _ = value.partition("://")
    if separator and scheme not in _PLACES:
        keep([value])
    keep(_credentials(_SCHEME.sub("", value).strip(_QUOTES)))
    keep_literal(value)
    if _SPEAKING.search(name):
        keep([value])


def keep_literal(value: str) -> None:
    """Never tell the password in an address that stands in a file, or what a key of its query says is one."""
    if "://" in value:
        keep(_credentials(_SCHEME.sub("", value).strip(_QUOTES)))
        keep(_signatures(value))


def keep_login(address: str) -> None:
    """Never tell the password in an address that somebody wrote where only a host is asked for."""
    if "@" in address:
        keep(_credentials(_SCHEME.sub("", address.rpartition(" ")[2]).strip(_QUOTES)))


def parts_of(address: str) -> set[str]:
    """What is secret in an address, also a malformed one: it as a whole, its password, tokens in its path or query.

    A token may stand where a host would: so it does in the addresses of chat services.
    """
    rest = _SCHEME.sub("", address).strip(_QUOTES)
    place, _, query = rest.partition("?")
    host, _, path = place.rpartition("@")[2].partition("/")
    found = {address, address.strip(_QUOTES), *_credentials(rest)}
    parts = (path, *path.split("/"), *(part for part in host.split(":") if "." not in part))
    found.update(part for part in parts if _is_token(part))
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key.strip("+-:").lower() not in _TOLD and len(value) >= _SHORTEST_TOKEN:
            found.add(value)
    return {form for part in found for form in (part, unquote(part), unquote_plus(part))}


def _credentials(rest: str) -> Iterator[str]:
    """Password, and a user long enough to be a token, of an address without its scheme."""
    user, at, _ = rest.partition("?")[0].rpartition("@")
    if at:
        name, _, password = user.partition(":")
        yield password
        if _is_token(name) and len(name) >= _LONG:
            yield name


def _signatures(address: str) -> Iterator[str]:
    """What gives access in the query of an address: signatures of object stores, tokens."""
    for pair in address.partition("?")[2].split("&"):
        key, _, value = pair.partition("=")
        if _SPEAKING.search(key) or "sig" in key.lower():
            yield from (value, unquote(value))


def _is_token(text: str) -> bool:
    """Whether a word is none of a language: it has digits, or both cases, or is very long."""
    mixed = any(map(str.isdigit, text)) or (text.lower() != text and text.upper() != text)
    return len(text) >= _SHORTEST_TOKEN and (mixed or len(text) >= _LONG)


def without(text: str) -> str:
    """The text with every secret that was kept replaced by an ellipsis."""
    for secret in _ordered:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


class HidingFormatter(logging.Formatter):
    """Writes log lines as another formatter does, without secrets, those in tracebacks included."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return without(self._inner.format(record))
