"""Whether 0-RTT is allowed: by what a session ticket of TLS 1.3 says, and by trying it.

The ticket is the answer: a server that meets the hello of a resumption with a HelloRetryRequest refuses early data to
this client, and takes it from others (RFC 8446 section 4.2.10). It comes right after the handshake, whatever is spoken.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from nassl._nassl import OpenSSLError, WantReadError
from nassl.ssl_client import ClientCertificateRequested
from sslyze.connection_helpers.http_request_generator import HttpRequestGenerator
from sslyze.connection_helpers.tls_connection import SslConnection
from sslyze.server_connectivity import ServerConnectivityInfo, TlsVersionEnum

_TICKET: Final = "TLS session ticket:"
"""What OpenSSL writes of a session for which a ticket has come."""
_ALLOWED: Final = re.compile(r"Max Early Data: (\d+)")
_LEAVE: Final = "shut down by peer"
"""nassl's words for a close_notify."""
_PATIENCE: Final = 0.4
"""How long to wait for a ticket: this part of the timeout. One that is sent follows the handshake at once."""
_WAITS_S: Final = (0.0, 0.5, 1.5)
"""How long to wait before each attempt, where the server may have too much to do."""
_NUDGE: Final = b"\r\n"
"""What is said to a server that is silent: an empty line, which no protocol takes for more."""
_MOST_BYTES: Final = 65_536
_READ_BYTES: Final = 4096


class EarlyData(Struct, frozen=True):
    """What was found out. `allowed` is in bytes, 0 where no ticket came that allows any; `accepted` None if untried."""

    allowed: int
    accepted: bool | None = None


def early_data(
    server: ServerConnectivityInfo,
    connection: SslConnection | None,
    attempt: Callable[[ServerConnectivityInfo], bool] | None,
    *,
    speaks_http: bool,
) -> EarlyData:
    """Read a session ticket, and where it allows early data, have sslyze send some.

    Args:
        server: where to connect.
        connection: an open one whose handshake is done, which is used up; None makes one.
        attempt: sslyze's own test, which sends early data; None leaves that out.
        speaks_http: whether an HTTP request may be sent, which makes a server speak.
    """
    request = None
    if speaks_http:
        agent = server.network_configuration.http_user_agent
        request = HttpRequestGenerator.get_request(host=server.server_location.hostname, user_agent=agent)
    patience_s = server.network_configuration.network_timeout * _PATIENCE
    # It was opened a while ago for something else: its end may have been that of the server's patience. Where this is
    # asked after everything else, a server that closes connections while many are open may still count those.
    waits = (0.0, 0.0) if connection is not None else _WAITS_S
    for wait_s in waits[:-1]:
        time.sleep(wait_s)
        with contextlib.suppress(OSError):
            allowed = _allowed(connection or _connected(server), request, patience_s)
            break
        connection = None
    else:
        time.sleep(waits[-1])
        allowed = _allowed(_connected(server), request, patience_s)
    if not allowed:
        return EarlyData(allowed, accepted=False if speaks_http else None)
    return EarlyData(allowed, attempt(server) if attempt is not None and speaks_http else None)


def _connected(server: ServerConnectivityInfo) -> SslConnection:
    """A connection of TLS 1.3 whose handshake is done."""
    connection = server.get_preconfigured_tls_connection(override_tls_version=TlsVersionEnum.TLS_1_3)
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _allowed(connection: SslConnection, request: bytes | None, patience_s: float) -> int:
    """What a ticket allows, read on a connection that is closed afterwards. Raises what `_read_allowed` raises."""
    try:
        return _read_allowed(connection, request, patience_s)
    finally:
        connection.close()


def _read_allowed(connection: SslConnection, request: bytes | None, patience_s: float) -> int:
    """The bytes of early data that a ticket allows. Without a ticket, by a server that goes on, none.

    Raises:
        ClientCertificateRequested: it wants a client certificate.
        OSError: the connection broke before a ticket came.
        OpenSSLError: so did TLS.
    """
    client: Any = connection.ssl_client  # whose own `read` waits for application data, which may never come
    waiting, received, asked = [patience_s, patience_s], 0, request is not None
    if request is not None:
        client.write(request)
        waiting.pop()
    ends = time.monotonic() + waiting.pop()
    while True:
        answered = _read(client)
        found = _in_ticket(client)
        # What is sent after a request, be it a leave, comes after the tickets.
        if found is not None or (answered is not False and asked) or received > _MOST_BYTES:
            return found or 0
        data = b"" if answered is None else _received(client, ends - time.monotonic())
        if data:
            received += len(data)
            client._network_bio.write(data)  # noqa: SLF001  # see above
        elif data is not None and (not asked or (request is not None and not received)):
            # It never came as far as a ticket: some close what they have just accepted where they have too much to do.
            raise ConnectionResetError("closed before a session ticket came")
        elif data is not None or not waiting:
            return 0
        else:
            # Some look at the end of the handshake, and send tickets, only with the first bytes after it.
            client.write(_NUDGE)
            asked, ends = True, time.monotonic() + waiting.pop()


def _read(client: Any) -> bool | None:
    """Have what has arrived read, and tell whether there was application data in it; None where the server has left."""
    try:
        return bool(client._ssl.read(_MOST_BYTES))  # noqa: SLF001  # its own `read` would wait for more
    except WantReadError:
        return False
    except OpenSSLError as error:
        if "certificate required" in str(error) or "bad certificate" in str(error):
            raise ClientCertificateRequested(client.get_client_CA_list()) from error
        if _LEAVE in str(error):
            return None
        raise


def _received(client: Any, left_s: float) -> bytes | None:
    """Bytes from the server, none where it closed; None where nothing comes in so many seconds."""
    if left_s <= 0:
        return None
    client._sock.settimeout(left_s)  # noqa: SLF001  # the connection is not used afterwards
    try:
        data: bytes = client._sock.recv(_READ_BYTES)  # noqa: SLF001  # the same
    except TimeoutError:
        return None
    return data


def _in_ticket(client: Any) -> int | None:
    """What the ticket of the session allows; None where none has come."""
    text = client.get_session().as_text()
    allowed = _ALLOWED.search(text)
    return int(allowed[1]) if allowed is not None and _TICKET in text else None
