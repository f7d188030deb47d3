"""Which proxies can carry a scan. It loads nothing that scans, for those who only check a configuration."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from scanner.errors import UsageError

_CARRIERS: Final = ("http", "socks5", "socks5h")


def carrying_all(proxy: str | None) -> str | None:
    """The proxy, where it can carry every probe.

    Raises:
        UsageError: it can't. Its address is not told: it may hold a password.
    """
    if not proxy:
        return proxy
    scheme, colon, _ = proxy.lower().partition("://")
    if not colon:
        # What stands there instead may be a user and a password.
        raise UsageError("a proxy's address begins with its scheme (socks5://proxy.example:1080)")
    if scheme not in _CARRIERS:
        hint = "a proxy inside TLS cannot carry TLS handshakes" if scheme == "https" else "write http:// or socks5://"
        raise UsageError(
            f'a proxy of the scheme "{scheme}" cannot carry every probe, and no probe bypasses the proxy ({hint})'
        )
    if not _has_host(proxy):
        raise UsageError("a proxy's address has a host, and a port that is a number (socks5://proxy.example:1080)")
    return proxy


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
