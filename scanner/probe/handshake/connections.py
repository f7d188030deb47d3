"""Every connection that sslyze opens, counted, paced, and without a server name where the host is an address.

sslyze opens them deep inside its commands, some of which make a dozen, and tells nobody. They all are `SslConnection`s
made by one module, so this one puts a subclass in that place. It holds for the process, which is the worker's own.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import Any

from sslyze import server_connectivity
from sslyze.connection_helpers import tls_connection
from sslyze.connection_helpers.tls_connection import SslConnection
from sslyze.server_setting import ServerNetworkConfiguration, ServerNetworkLocation

from scanner.inventory import is_address


class Meter:
    """Counts the connections to one target, spaces them by `rate_per_s` where one is given, and can end them all."""

    def __init__(self, rate_per_s: float | None) -> None:
        self.opened = 0
        self._interval = 1 / rate_per_s if rate_per_s else 0.0
        self._next = time.monotonic()
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._ended = threading.Event()

    def admit(self) -> None:
        """Wait for the turn of one connection more.

        Raises:
            ConnectionAbortedError: there is none, because all have been ended.
        """
        if self._ended.is_set():
            raise ConnectionAbortedError("the time for this server is over")
        with self._lock:
            self.opened += 1
            turn = max(self._next, time.monotonic())
            self._next = turn + self._interval
        time.sleep(max(0.0, turn - time.monotonic()))

    def watch(self, connection: socket.socket) -> None:
        """Take note of a connection that was opened, to be ended with the others."""
        with self._lock:
            self._sockets.add(connection)
        if self._ended.is_set():
            _shut_down(connection)

    def end(self) -> None:
        """Shut down every connection, which wakes the threads that wait for it, and let none be opened any more."""
        self._ended.set()
        with self._lock:
            connections = list(self._sockets)
        for connection in connections:
            _shut_down(connection)


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be closed already
        connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class MeteredConfiguration(ServerNetworkConfiguration):
    """sslyze's own, with the meter that each connection made under it goes through."""

    meter: Meter = field(default_factory=lambda: Meter(None))


class MeteredConnection(SslConnection):
    """sslyze's own, admitted by its configuration's meter."""

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
        _opening.meter = self._meter
        super()._do_pre_handshake()

    def close(self) -> None:
        """Take leave, and close.

        nassl writes the close_notify and never sends it. A server that sees its connection end without one forgets the
        session (RFC 5246 section 7.2.1), and seems to resume none.
        """
        # In place of nassl's own `shutdown`, which can't be called twice.
        client = self.ssl_client
        client._is_handshake_completed = False  # noqa: SLF001  # as it does
        with contextlib.suppress(Exception):  # whatever is left unsaid, it is closed
            client._flush_ssl_engine()  # noqa: SLF001  # the same
            client._ssl.shutdown()  # noqa: SLF001  # the same
            client._flush_ssl_engine()  # noqa: SLF001  # what its own leaves out
        if client._sock is not None:  # noqa: SLF001  # the same
            client._sock.close()  # noqa: SLF001  # the same


_opening = threading.local()
_open_socket = tls_connection._open_socket  # noqa: SLF001  # the only place where each socket shows before its first word


def _open_watched(server_location: ServerNetworkLocation, network_timeout: int) -> socket.socket:
    connection = _open_socket(server_location, network_timeout)
    _opening.meter.watch(connection)
    return connection


setattr(server_connectivity, "SslConnection", MeteredConnection)  # noqa: B010  # the type checker would not have it
setattr(tls_connection, "_open_socket", _open_watched)  # noqa: B010  # the same
