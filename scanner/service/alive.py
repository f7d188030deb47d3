"""Whether the service answers over HTTP."""

from __future__ import annotations

import http.client
from typing import Final

from scanner.service.address import http_address

_PATIENCE_S: Final = 5.0
_EVERY: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # an address that is asked for
"""Who listens at every address is asked at loopback."""


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
    return "" if status == http.client.OK else f"the service at {text} is not alive: its main loop has stalled"
