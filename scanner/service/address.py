"""Where the service answers over HTTP."""

from __future__ import annotations

from typing import Final

_PORTS: Final = range(65536)


def http_address(text: str) -> tuple[str, int]:
    """The host and port of `host:port`, an IPv6 address in brackets; port 0 is any that is free.

    Raises:
        ValueError: it is none; the message says why.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) not in _PORTS:
        raise ValueError("should be an address and a port")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("should have an IPv6 address in brackets")
    return host.strip("[]"), int(port)
