"""MySQL and MariaDB: the client/server protocol's connection phase, with an SSLRequest.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
"""

from __future__ import annotations

from typing import Final

from scanner.evidence import FailureReason, PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import PreludeError, TcpStream
from scanner.probe.net.starttls.replies import Names, malformed, unavailable

CLIENT_SSL: Final = 0x0800
_PROTOCOL_41: Final = 0x0200
_SECURE_CONNECTION: Final = 0x8000
_PLUGIN_AUTH: Final = 0x0008_0000
_LARGEST_PACKET: Final = 1 << 24
_UTF8: Final = 33
_HEAD: Final = 4
_ERROR: Final = 0xFF
_HANDSHAKE_10: Final = 10
_AFTER_VERSION: Final = 4 + 8 + 1
"""Bytes from the version's end to the lower half of the capabilities: thread, challenge in part, filler."""


async def capabilities(stream: TcpStream) -> int:
    """Read the server's greeting, and give the lower half of its capabilities.

    Raises:
        PreludeError: it greets as something else, or turns us away.
    """
    length = int.from_bytes((await stream.exactly(_HEAD))[:3], "little")
    body = await stream.exactly(length)
    if body[:1] == bytes([_ERROR]):
        raise unavailable(body[3:])
    end = body.find(b"\0", 1) + 1 + _AFTER_VERSION
    if body[:1] != bytes([_HANDSHAKE_10]) or end <= _AFTER_VERSION or end + 2 > len(body):
        raise malformed(body)
    return int.from_bytes(body[end : end + 2], "little")


def packet(number: int, flags: int, more: bytes = b"") -> bytes:
    """A packet that answers the greeting: as it stands a request for TLS, with a user behind it a login."""
    body = flags.to_bytes(4, "little") + _LARGEST_PACKET.to_bytes(4, "little") + bytes([_UTF8]) + bytes(23) + more
    return len(body).to_bytes(3, "little") + bytes([number]) + body


PLAIN_FLAGS: Final = _PROTOCOL_41 | _SECURE_CONNECTION | _PLUGIN_AUTH


async def _mysql(stream: TcpStream, _: Names) -> None:
    if not await capabilities(stream) & CLIENT_SSL:
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the server does not offer TLS in its greeting")
    await stream.send(packet(1, PLAIN_FLAGS | CLIENT_SSL))


_SECURE_TRANSPORT: Final = 3159
"""ER_SECURE_TRANSPORT_REQUIRED of MySQL, and of MariaDB."""
_MARIADB_SECURE_TRANSPORT: Final = 4151
_NOT_NOW: Final = frozenset({1040, 1041, 1042, 1043, 1053, 1129, 1152, 1203, 1226})
"""Too many connections, no memory, a bad handshake, shutting down, a blocked host, and limits of accounts."""
_NOBODY: Final = b"nightseal\0\0mysql_native_password\0"


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    """Begin a login of a user that nobody is, with an empty answer to the challenge."""
    await capabilities(stream)
    await stream.send(packet(1, PLAIN_FLAGS, _NOBODY))
    length = int.from_bytes((await stream.exactly(_HEAD))[:3], "little")
    answer = await stream.exactly(length)
    if answer[:1] != bytes([_ERROR]):
        return PlainLogin.TAKEN, b"an authentication request"
    code = int.from_bytes(answer[1:3], "little")
    if code in _NOT_NOW:
        raise unavailable(answer[3:])
    demanded = code in {_SECURE_TRANSPORT, _MARIADB_SECURE_TRANSPORT}
    return (PlainLogin.REFUSED if demanded else PlainLogin.TAKEN), answer[3:]


PRELUDES: Final = {StartTls.MYSQL: _mysql}
LOGINS: Final = {StartTls.MYSQL: _login}
