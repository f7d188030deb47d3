"""Every connection that sslyze opens, counted, paced, and without a server name where the host is an address.

sslyze opens them deep inside its commands, some of which make a dozen, and tells nobody. They all are `SslConnection`s
made by one module, so this one puts a subclass in that place. It holds for the process, which is the worker's own.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sslyze import server_connectivity
from sslyze.connection_helpers.tls_connection import SslConnection
from sslyze.server_setting import ServerNetworkConfiguration, ServerNetworkLocation


class Meter:
    """Counts the connections to one target, and spaces them by `rate_per_s` where one is given."""

    def __init__(self, rate_per_s: float | None) -> None:
        self.opened = 0
        self._interval = 1 / rate_per_s if rate_per_s else 0.0
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def admit(self) -> None:
        """Wait for the turn of one connection more."""
        with self._lock:
            self.opened += 1
            turn = max(self._next, time.monotonic())
            self._next = turn + self._interval
        time.sleep(max(0.0, turn - time.monotonic()))


@dataclass(frozen=True)
class MeteredConfiguration(ServerNetworkConfiguration):
    """sslyze's own, with the meter that each connection made under it goes through."""

    meter: Meter = field(default_factory=lambda: Meter(None))


class _Connection(SslConnection):
    def __init__(
        self,
        server_location: ServerNetworkLocation,
        network_configuration: ServerNetworkConfiguration,
        *arguments: Any,
        should_enable_server_name_indication: bool = True,
        **options: Any,
    ) -> None:
        configured = network_configuration
        self._meter = configured.meter if isinstance(configured, MeteredConfiguration) else Meter(None)
        # RFC 6066 section 3: an address is no server name.
        options["should_enable_server_name_indication"] = should_enable_server_name_indication and not is_address(
            network_configuration.tls_server_name_indication
        )
        super().__init__(server_location, network_configuration, *arguments, **options)

    def _do_pre_handshake(self) -> None:
        """Open the connection; every way to do so leads through here."""
        self._meter.admit()
        super()._do_pre_handshake()


def is_address(host: str) -> bool:
    """Whether a host is given as an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


setattr(server_connectivity, "SslConnection", _Connection)  # noqa: B010  # the type checker would not have it
