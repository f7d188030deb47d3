r"""Addresses as browsers read them: what a Location header or a page's link leads to.

Servers write relative, scheme-relative and misspelt addresses, and attackers write ones that a filter reads otherwise
than a browser does (`https:\\evil.example`, `/\evil.example`). So the rules of the WHATWG URL standard are followed
where they differ from RFC 3986: outer spaces and inner line breaks go, backslashes are slashes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote, urljoin, urlsplit

import idna

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,63}):")
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_-])?\.?")
_OUTER: Final = "".join(map(chr, range(0x21)))
_LINE_BREAKS: Final = str.maketrans("", "", "\t\n\r")
_LONGEST: Final = 16_384
_HIGHEST_PORT: Final = 65_535
_KEPT: Final = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>`')
"""Characters of a path and query that browsers send as they are, valid or not."""


@dataclass(frozen=True, slots=True)
class Url:
    """An `http` or `https` address without its fragment. `host` is in lower case, an IPv6 literal without brackets."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, percent-encoded, as a request line carries them."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def authority(self) -> str:
        """What the Host header says: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.has_default_port else f"{host}:{self.port}"

    @property
    def has_default_port(self) -> bool:
        """Whether the port is the scheme's own."""
        return self.port == DEFAULT_PORTS[self.scheme]

    @classmethod
    def of(cls, scheme: str, host: str, port: int, target: str) -> Self:
        """Build an address from configured parts; `target` is encoded as far as it has to be."""
        return cls(scheme, host.lower(), port, _encoded(target))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read an absolute address; None where it is none, or not of HTTP."""
        try:
            parts = urlsplit(text)
            port, host = parts.port, parts.hostname
        except ValueError:
            return None
        scheme = parts.scheme.lower()
        if scheme not in DEFAULT_PORTS or not host or port == 0:
            return None
        name = _host(host)
        if name is None:
            return None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(scheme, name, port or DEFAULT_PORTS[scheme], _encoded(target))

    def join(self, reference: str) -> Self | None:
        """Read an address that stands in an answer from this one; None where browsers could not, or would not fetch it.

        `javascript:`, `file:` and everything else that is not HTTP gives None.
        """
        if len(reference) > _LONGEST:
            return None
        text = tidy(reference).partition("#")[0]
        scheme = _SCHEME.match(text)
        if scheme is not None and scheme[1].lower() not in DEFAULT_PORTS:
            return None
        head, mark, query = text.partition("?")
        head = head.replace("\\", "/")
        if scheme is not None:
            rest = head[scheme.end() :]
            name = scheme[1].lower()
            # "https:path" is relative to an https address; with another scheme it is read as if it had its slashes.
            relative = name == self.scheme and not rest.startswith("//")
            head = rest if relative else f"{name}://{rest.lstrip('/')}"
        elif head.startswith("//"):
            head = f"//{head.lstrip('/')}"
        if head.endswith("//") and head.strip(":/") in {"", *DEFAULT_PORTS}:
            return None  # no host at all; urljoin would take the base's
        try:
            joined = urljoin(str(self), head + mark + query)
        except ValueError:
            return None
        return type(self).parse(joined)

    def with_scheme(self, scheme: str) -> Self:
        """The same address under the other scheme, at that scheme's own port."""
        return type(self)(scheme, self.host, DEFAULT_PORTS[scheme], self.target)


def tidy(reference: str) -> str:
    """Drop what browsers drop from a written address: outer spaces and controls, inner tabs and line breaks."""
    return reference.strip(_OUTER).translate(_LINE_BREAKS)


def _host(host: str) -> str | None:
    if ":" in host:  # urlsplit has checked an IPv6 literal
        return host
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError:
            return None
    host = host.lower()
    return host if _HOST.fullmatch(host) else None


def _encoded(target: str) -> str:
    return quote(target if target.startswith("/") else f"/{target}", safe=_KEPT)
