"""Where the service answers over HTTP, and whether it does."""

from __future__ import annotations

import http.client
from typing import Final

_PORTS: Final = range(65536)
_PATIENCE_S: Final = 5.0
_EVERY: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # an address that is asked for
"""Who listens at every address is asked at loopback."""


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


def not_alive(text: str) -> str:
    """Why the service that should answer there is not alive; empty where it is."""
    try:
        host, port = http_address(text)
        connection = http.client.HTTPConnection(_EVERY.get(host, host), port, timeout=_PATIENCE_S)
        try:
            connection.request("GET", "/livez")
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"the service does not answer at {text}: {reason}"
    return "" if status == http.client.OK else f"the service at {text} is not alive: its main loop does not come round"
