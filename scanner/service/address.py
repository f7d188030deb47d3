"""Where the service answers over HTTP."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from types import ModuleType
from typing import Final

from scanner.hostname import HostError, normalised

_PORTS: Final = range(65536)
_NUMBERS: Final = re.compile(r"[0-9.]+")


def http_address(text: str) -> tuple[str, int]:
    """The host and port of `host:port`, an IPv6 address in brackets; port 0 is any that is free.

    Raises:
        ValueError: it is none; the message says why.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal():
        raise ValueError("should be an address and a port")
    if int(port) not in _PORTS:
        raise ValueError("should have a port up to 65535")
    if host.startswith("[") and host.endswith("]"):
        _refuse_unless(ipaddress.IPv6Address, host[1:-1], "should have an IPv6 address between the brackets")
        return host[1:-1], int(port)
    if ":" in host or "[" in host or "]" in host:
        raise ValueError("should have an IPv6 address in brackets")
    if _NUMBERS.fullmatch(host):
        _refuse_unless(ipaddress.IPv4Address, host, "should have an IPv4 address of four numbers up to 255")
    elif host:
        try:
            host = normalised(host)
        except HostError as error:
            raise ValueError(f"should have a host: it {error}") from error
    return host, int(port)


def _refuse_unless(kind: Callable[[str], object], text: str, message: str) -> None:
    try:
        kind(text)
    except ValueError as error:
        raise ValueError(message) from error


def not_here(host: str) -> str:
    """Why nothing can listen at a host for now, as it seems here; empty where nothing speaks against it."""
    try:
        found = socket.getaddrinfo(host, 0, socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return "does not resolve to an IPv4 address" if host else ""
    for *_, (text, *_) in found:
        address = ipaddress.ip_address(str(text).partition("%")[0])
        if address.is_loopback or address.is_unspecified or address.compressed in addresses_here():
            return ""
    return "is not an address of this machine" if host else ""


def addresses_here() -> frozenset[str]:
    """The IP addresses of this machine."""
    interfaces = system().net_if_addrs().values()
    return frozenset(address.address.partition("%")[0] for items in interfaces for address in items)


def system() -> ModuleType:
    """What tells of this machine's interfaces and disks."""
    import psutil  # noqa: PLC0415  # loads only where an address or a place asks for it

    return psutil
