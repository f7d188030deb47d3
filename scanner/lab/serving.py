"""Turns cases into listening sockets and answers each connection in a thread of its own.

Threads and blocking reads, because one of the two TLS libraries can do nothing else, and because a server that says
nothing is then a thread that waits. The main thread accepts for all of them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from scanner.lab import http, legacy, legacy_hello, openssl, tds
from scanner.lab.case import CannotServeError, HelloOnly, OpenSsl, Raw, TlsLite
from scanner.lab.connection import Channel, Connection, linger
from scanner.lab.starttls import SCRIPTS, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from scanner.lab.case import Case
    from scanner.lab.certificates import Identity

    Handler = Callable[[socket.socket], None]

_CONNECTION_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 3600.0
_DRIBBLE_SECONDS: Final = 1.0
_BACKLOG: Final = 512


class Secured(Protocol):
    """Upgrades an accepted connection to TLS, and closes it on leaving."""

    def __call__(self, plain: socket.socket, /) -> contextlib.AbstractContextManager[Channel]:
        """Do the handshake; raises `OSError` or the library's own error where it fails."""


def tls_handler(case: Case, identity: Identity, ca_pem: bytes) -> Handler:
    """Build what answers a connection to the case's own port."""
    engine = case.engine
    if isinstance(engine, Raw):
        return _raw_handler(engine, case)
    if isinstance(engine, HelloOnly):
        return legacy_hello.Server(engine, identity).handle
    secured = _secured(case, identity, ca_pem)
    handshakes = _Countdown(case.silent_after)

    def handle(plain: socket.socket) -> None:
        if handshakes.exhausted:
            _stay_silent(plain)
            return
        name = case.script or case.starttls
        script = SCRIPTS[name] if name else None
        before = Connection(plain)
        if script is not None and not play(before, script, secured=False):
            return
        if case.starttls == "mssql":
            plain = tds.unwrapped(plain)
        with secured(plain) as channel:
            handshakes.count()
            connection = Connection(channel, b"" if script is None or script.forgets else before.unread)
            if script is not None:
                play(connection, script, secured=True)
            else:
                http.serve(connection, case.site, case.host)

    return handle


def plain_handler(site: http.Site, host: str) -> Handler:
    """Build what answers a connection to a plain HTTP port."""

    def handle(plain: socket.socket) -> None:
        http.serve(Connection(plain), site, host)
        linger(plain)

    return handle


def upgrading_handler(case: Case, identity: Identity, ca_pem: bytes) -> Handler:
    """Build what answers a connection to a plain HTTP port that goes over to TLS when it is asked to."""
    secured = _secured(case, identity, ca_pem)
    site = case.plain or http.GOOD_SITE

    def handle(plain: socket.socket) -> None:
        before = Connection(plain)
        if http.asks_for_tls(before):
            before.send(http.SWITCHING)
            with secured(plain) as channel:
                http.serve(Connection(channel), case.site, case.host)
            return
        http.serve(before, site, case.host)
        linger(plain)

    return handle


def _secured(case: Case, identity: Identity, ca_pem: bytes) -> Secured:
    if isinstance(case.engine, OpenSsl):
        server_context = openssl.context(case.engine, identity, ca_pem)
        return lambda plain: openssl.secured(plain, server_context)
    if isinstance(case.engine, TlsLite):
        return legacy.Server(case.engine, identity).secured
    msg = f"{case.name}: this engine is not served from here"
    raise TypeError(msg)


class _Countdown:
    """Counts handshakes of one server, over all its threads."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self._lock = threading.Lock()

    @property
    def exhausted(self) -> bool:
        return self._left is not None and self._left <= 0

    def count(self) -> None:
        with self._lock:
            if self._left is not None:
                self._left -= 1


def _raw_handler(engine: Raw, case: Case) -> Handler:
    match engine.behaviour:
        case "silent":
            return _stay_silent
        case "reset":
            return _reset
        case "garbage":
            return _send_garbage
        case "dribble":
            return _dribble
    return plain_handler(case.site, case.host)


def _stay_silent(plain: socket.socket) -> None:
    plain.settimeout(_SILENT_SECONDS)
    while plain.recv(65_536):
        pass


def _reset(plain: socket.socket) -> None:
    # Lingering for no time makes the close a RST.
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _send_garbage(plain: socket.socket) -> None:
    plain.recv(65_536)
    # Never the first byte of a TLS record by chance: whoever reads this must see at once that it is not TLS.
    plain.sendall(b"\xff" + os.urandom(1023))
    plain.shutdown(socket.SHUT_WR)
    while plain.recv(65_536):
        pass


def _dribble(plain: socket.socket) -> None:
    # The head of a full-sized handshake record, and then its body at a byte a second: every single read succeeds, and
    # only a deadline over all of them ends it.
    plain.sendall(b"\x16\x03\x03\x40\x00")
    while True:
        plain.sendall(b"\x02")
        time.sleep(_DRIBBLE_SECONDS)


class Servers:
    """The listening sockets of the lab, and the loop that accepts on all of them."""

    def __init__(self) -> None:
        """Start with none."""
        self._selector = selectors.DefaultSelector()
        self._listening: dict[int, socket.socket] = {}
        self._reserved: list[socket.socket] = []

    def listen(self, address: str, handler: Handler) -> int:
        """Listen on a free port of `address`, and return it; `CannotServeError` where there is no such address."""
        server = _bound(address)
        server.listen(_BACKLOG)
        self._selector.register(server, selectors.EVENT_READ, handler)
        self._listening[server.fileno()] = server
        return _port(server)

    def refuse(self, address: str) -> int:
        """Return a port that refuses: it stays bound without listening, so nobody else can come to listen there."""
        server = _bound(address)
        self._reserved.append(server)
        return _port(server)

    def run(self, *, end: socket.socket | int | None, should_stop: Callable[[], bool]) -> None:
        """Accept until `end` can be read to its end (a closed pipe) or `should_stop`, asked every second, says so."""
        if end is not None:
            self._selector.register(end, selectors.EVENT_READ, None)
        while not should_stop():
            for key, _ in self._selector.select(1.0):
                if key.data is None:
                    if not os.read(key.fd, 4096):
                        return
                    continue
                with contextlib.suppress(OSError):  # the client may have left already
                    accepted, _address = self._listening[key.fd].accept()
                    threading.Thread(target=_answer, args=(accepted, key.data), daemon=True).start()


def _bound(address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.bind((address, 0))
    except OSError as error:
        server.close()
        msg = f"needs the loopback address {address}: {error.strerror}"
        raise CannotServeError(msg) from error
    return server


def _port(server: socket.socket) -> int:
    port: int = server.getsockname()[1]
    return port


def _answer(accepted: socket.socket, handler: Handler) -> None:
    # Whatever a client does wrong ends its own connection and nothing else.
    with contextlib.suppress(OSError, ValueError, *legacy.ERRORS), accepted:
        accepted.settimeout(_CONNECTION_SECONDS)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handler(accepted)
