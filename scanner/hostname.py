"""How a host is written: one spelling for each, in configurations, on the command line and in waivers.

An IP address is written in its shortest form (RFC 5952), a name in lower-case A-labels (RFC 5890) without a final dot.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import idna

_DNS_PORT: Final = 53
MOST_CHARACTERS: Final = 253
"""Of a name, without the final dot (RFC 1035 section 2.3.4)."""
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC: Final = re.compile(r"[\d.-]*\.[\d-]+|\d+")
"""What no name is (RFC 3696 section 2) and resolvers may take for an address: 127.1, 10.0.0.256, 10.0.0.1-9."""
_PARTS: Final = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:[^/@]*@)?\[?((?<=\[)[0-9A-Fa-f:.]+(?=\])|[^:/\[\]]+)\]?(?::(\d+))?(?![^/])"
)
"""Of a URL, or of a host with its port or a path: the host, and the port."""
_MASK: Final = re.compile(r"[\d.]*")
_RANGE: Final = re.compile(r"(\d+(?:\.\d+){3})-(\d+(?:\.\d+){3}|\d+)")
_EXPANDED: Final = "an [[environment.inventory]] takes networks and ranges, with expand = true"
_GLOB_CHARACTERS: Final = re.compile(r"[*?\[\]]")
_DOTS: Final = str.maketrans({"\u3002": ".", "\uff0e": ".", "\uff61": "."})
"""What IDNA 2003 section 3.1 takes for a dot too."""


class HostError(ValueError):
    """A text is not a host; the message says why. `hint` says what to write instead, or is None."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.hint = hint
        super().__init__(message)


def normalised(text: str) -> str:
    """The one spelling of a host name or IP address.

    Raises:
        HostError: it is neither.
    """
    given = text.strip().removeprefix("[").removesuffix("]")
    address = _address(given)
    if address is not None:
        return address
    if "/" in given or ":" in given:
        raise _network(given) or _more_than_a_host(text)
    name = _a_labels(given)
    if not 0 < len(name) <= MOST_CHARACTERS or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise HostError(f"is not a host name: {text!r}")
    if bounds := _RANGE.fullmatch(name):
        raise HostError(f"is not an IP address but a range: {text!r}", _of_range(bounds[1], bounds[2]))
    if _NUMERIC.fullmatch(name):
        raise HostError(f"is not an IP address: {text!r}", "an IPv4 address is four numbers from 0 to 255")
    return name


def _more_than_a_host(text: str) -> HostError:
    """A URL, or a host with its port or a path."""
    found = _PARTS.match(text.strip())
    host, port = (found[1], found[2]) if found else ("", "")
    hint = f"write only the host: {host!r}" if host else None
    if hint and port:
        hint += f', and {port} as its "port"'
    return HostError(f"should be a host name or an IP address, not {text!r}", hint)


def _network(text: str) -> HostError | None:
    """A network, or what would be one if its mask were right; None where it is something else."""
    address, _, mask = text.partition("/")
    known = _address(address)
    if known is None or not _MASK.fullmatch(mask):
        return None
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        most = 128 if ":" in known else 32
        return HostError(f"is not a network: {text!r}", f"the mask after the slash is a number from 0 to {most}")
    return HostError(f"is a network, not a host: {text!r}", _EXPANDED)


def _of_range(first: str, last: str) -> str:
    """What is wrong with a range where a host should be."""
    ends = last if "." in last else f"{first.rpartition('.')[0]}.{last}"
    try:
        backward = ipaddress.IPv4Address(first) > ipaddress.IPv4Address(ends)
    except ValueError:
        return "an IPv4 address is four numbers from 0 to 255"
    return f"it ends before it begins, at {ends}" if backward else _EXPANDED


def normalised_pattern(text: str) -> str:
    """The one spelling of `host`, `host:port` or a glob over these, as a waiver's scope names them.

    An IPv6 address may be in brackets, which it must be before a port.

    Raises:
        HostError: a name in it is not a name in any language.
    """
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](:.*)?", text)
    if bracketed and (address := _address(bracketed[1])) is not None:
        return f"[{address}]{bracketed[2]}" if bracketed[2] else address
    address = _address(text)
    if address is not None:
        return address
    host, colon, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    return f"{_a_labels(host)}{colon}{port}"


def _address(text: str) -> str | None:
    if ":" not in text and not text[-1:].isdigit():
        return None  # a name, as nearly all are: to fail at parsing it costs ten times as much
    try:
        return ipaddress.ip_address(text).compressed
    except ValueError:
        return None


def _a_labels(name: str) -> str:
    """A name in A-labels; of a glob, the labels without its characters."""
    plain = name.translate(_DOTS).rstrip(".")
    if plain.isascii():
        return plain.lower()
    try:
        if not _GLOB_CHARACTERS.search(plain):
            return idna.encode(plain, uts46=True).decode()
        labels = [
            label.lower()
            if _GLOB_CHARACTERS.search(label) or label.isascii()
            else idna.encode(label, uts46=True).decode()
            for label in plain.split(".")
        ]
    except idna.IDNAError as error:
        raise HostError(f"is not a host name: {error}") from error
    return ".".join(labels)


def place_of(server: str) -> tuple[str, int]:
    """The address and port of a name server, from `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[…]:5353`.

    Raises:
        ValueError: it is none of these.
    """
    try:
        return ipaddress.ip_address(server.strip("[]")).compressed, _DNS_PORT
    except ValueError:
        address, colon, number = server.rpartition(":")
    port = int(number) if colon and number.isdecimal() else 0
    if not 0 < port < 1 << 16:
        message = f"{server!r} is not the address of a name server"
        raise ValueError(message)
    return ipaddress.ip_address(address.strip("[]")).compressed, port
