"""Every connection that sslyze opens, counted, paced, and without a server name where the host is an address.

sslyze opens them deep inside its commands, some of which make a dozen, and tells nobody. They all are `SslConnection`s
made by one module, so this one puts a subclass in that place. It holds for the process, which is the worker's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sslyze import server_connectivity
from sslyze.connection_helpers import tls_connection
from sslyze.connection_helpers.tls_connection import SslConnection
from sslyze.server_setting import ServerNetworkConfiguration, ServerNetworkLocation

from scanner.inventory import StartTls, is_address
from scanner.probe import ProbeSettings
from scanner.probe.http.route import open_to
from scanner.probe.net.connection import PreludeError
from scanner.probe.net.limits import DeadlineError
from scanner.probe.net.remote import RemoteBudget
from scanner.probe.net.starttls import Names, upgrade


class Meter:
    """Counts the connections to one target, lets each begin when the budget admits it, and can end them all.

    `opened` counts them, `waiting` are the threads that wait for one. `denied` is set once there was no time for one:
    what its job then tells is not the server's.
    """

    def __init__(
        self, budget: RemoteBudget, settings: ProbeSettings, prelude: tuple[StartTls, Names] | None = None
    ) -> None:
        """`prelude` is what comes before TLS where sslyze does not know how to say it."""
        self._prelude = prelude
        self.opened = 0
        self._settings = settings
        self.waiting: set[int] = set()
        self.denied = threading.Event()
        self._budget = budget
        self._of_thread = _OfThread()
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._ended = threading.Event()

    def admit(self) -> Callable[[], None]:
        """Wait for the turn of one connection more, and return what is to be called when it is closed.

        Raises:
            ConnectionAbortedError: there is none: no time is left, or all have been ended.
        """
        if self._ended.is_set():
            raise ConnectionAbortedError("the time for this server is over")
        begun = time.monotonic()
        self.waiting.add(threading.get_ident())
        try:
            self._budget.admit()
        except DeadlineError:
            self._of_thread.denied = True
            self.denied.set()
            raise ConnectionAbortedError("there is no time for another connection") from None
        finally:
            self.waiting.discard(threading.get_ident())
            self._of_thread.waited_s += time.monotonic() - begun
        with self._lock:
            self.opened += 1
        return self._budget.give_back

    def take_account(self) -> tuple[float, bool]:
        """How many seconds this thread has waited since it last asked, and whether a connection was denied to it."""
        account = self._of_thread.waited_s, self._of_thread.denied
        self._of_thread.waited_s, self._of_thread.denied = 0.0, False
        return account

    def connected(self, location: ServerNetworkLocation, timeout_s: float) -> socket.socket:
        """A connection to the target by the way that the settings say; it blocks.

        Raises:
            OSError: there is none, for whatever reason.
        """
        if self._settings.proxy is None and self._settings.source_address is None and self._prelude is None:
            return _open_socket(location, round(timeout_s))
        try:
            opened = asyncio.run(_opened(self._settings, location, timeout_s, self._prelude))
        except PreludeError as error:
            raise OSError(str(error)) from error
        except TimeoutError as error:
            raise TimeoutError from error
        opened.settimeout(timeout_s)
        return opened

    def watch(self, connection: socket.socket) -> None:
        """Take note of a connection that was opened, to be ended with the others."""
        with self._lock:
            self._sockets.add(connection)
        if self._ended.is_set():
            _shut_down(connection)

    def end(self) -> None:
        """Shut down every connection, which wakes the threads that wait for it, and let none be opened any more."""
        self._ended.set()
        self._budget.end()
        with self._lock:
            connections = list(self._sockets)
        for connection in connections:
            _shut_down(connection)


class _OfThread(threading.local):
    """What one thread has met with."""

    waited_s = 0.0
    denied = False


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be closed already
        connection.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class MeteredConfiguration(ServerNetworkConfiguration):
    """sslyze's own, with the meter that each connection made under it goes through."""

    meter: Meter = field(kw_only=True)


class MeteredConnection(SslConnection):
    """sslyze's own, admitted by its configuration's meter.

    Whoever else uses sslyze in this process, without a meter, is given sslyze's own connection.
    """

    def __new__(  # type: ignore[misc]  # what is not metered is no subclass
        cls,
        server_location: ServerNetworkLocation,
        network_configuration: ServerNetworkConfiguration,
        *arguments: Any,
        **options: Any,
    ) -> SslConnection:
        """Make a connection: an assertion here would end a thread of sslyze's, and its caller would wait for ever."""
        if isinstance(network_configuration, MeteredConfiguration):
            return super().__new__(cls)
        return SslConnection(server_location, network_configuration, *arguments, **options)

    def __init__(
        self,
        server_location: ServerNetworkLocation,
        network_configuration: ServerNetworkConfiguration,
        *arguments: Any,
        should_enable_server_name_indication: bool = True,
        **options: Any,
    ) -> None:
        assert isinstance(network_configuration, MeteredConfiguration)  # noqa: S101  # nothing else is made here
        self._meter = network_configuration.meter
        self._give_back: Callable[[], object] = _nothing
        # RFC 6066 section 3: an address is no server name.
        options["should_enable_server_name_indication"] = should_enable_server_name_indication and not is_address(
            network_configuration.tls_server_name_indication
        )
        super().__init__(server_location, network_configuration, *arguments, **options)

    def _do_pre_handshake(self) -> None:
        """Open the connection; every way to do so leads through here."""
        self._give_back()  # of an attempt that failed
        # A connection that nobody closes is given back when it is collected.
        self._give_back = weakref.finalize(self, self._meter.admit())
        _opening.meter = self._meter
        try:
            super()._do_pre_handshake()
        except BaseException:
            self._give_back()
            raise

    def close(self) -> None:
        """Take leave, and close.

        nassl writes the close_notify and never sends it. A server that sees its connection end without one forgets the
        session (RFC 5246 section 7.2.1), and seems to resume none.
        """
        try:
            self._take_leave()
        finally:
            self._give_back()

    def _take_leave(self) -> None:
        # In place of nassl's own `shutdown`, which can't be called twice.
        client = self.ssl_client
        client._is_handshake_completed = False  # noqa: SLF001  # as it does
        with contextlib.suppress(Exception):  # whatever is left unsaid, it is closed
            client._flush_ssl_engine()  # noqa: SLF001  # the same
            client._ssl.shutdown()  # noqa: SLF001  # the same
            client._flush_ssl_engine()  # noqa: SLF001  # what its own leaves out
        if client._sock is not None:  # noqa: SLF001  # the same
            client._sock.close()  # noqa: SLF001  # the same


def _nothing() -> None:
    """What there is to give back at first."""


_opening = threading.local()
_open_socket = tls_connection._open_socket  # noqa: SLF001  # the only place where each socket shows before its first word


def _open_watched(server_location: ServerNetworkLocation, network_timeout: int) -> socket.socket:
    meter: Meter | None = getattr(_opening, "meter", None)
    if meter is None:
        return _open_socket(server_location, network_timeout)
    connection = meter.connected(server_location, network_timeout)
    meter.watch(connection)
    return connection


async def _opened(
    settings: ProbeSettings,
    location: ServerNetworkLocation,
    timeout_s: float,
    prelude: tuple[StartTls, Names] | None,
) -> socket.socket:
    async with asyncio.timeout(timeout_s):
        stream = await open_to(settings, location.ip_address or location.hostname, location.port)
        if prelude is not None:
            stream = await upgrade(stream, *prelude)
    return stream.detach()


setattr(server_connectivity, "SslConnection", MeteredConnection)  # noqa: B010  # the type checker would not have it
setattr(tls_connection, "_open_socket", _open_watched)  # noqa: B010  # the same
