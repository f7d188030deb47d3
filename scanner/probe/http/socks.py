"""Through a SOCKS proxy (RFC 1928, RFC 1929); loaded where one is asked (`scanner.probe.http.proxy`).

Nothing is read beyond its replies: a server that greets first may do so in the same packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import socksio
from socksio import socks5

from scanner.probe.http.proxy import WANTS_LOGIN, refused
from scanner.probe.net.connection import PreludeError

if TYPE_CHECKING:
    from scanner.probe.http.proxy import Proxy
    from scanner.probe.net.connection import TcpStream

_SHORT: Final = 2
_HEAD: Final = 4


async def tunnel(proxy: Proxy, stream: TcpStream, host: str, port: int) -> None:
    """Have the proxy connect to a host, given by its name.

    Raises:
        ProtocolError: it does not.
        OSError: the connection to it broke.
    """
    machine = socks5.SOCKS5Connection()
    method = (
        socks5.SOCKS5AuthMethod.NO_AUTH_REQUIRED
        if proxy.username is None
        else socks5.SOCKS5AuthMethod.USERNAME_PASSWORD
    )
    try:
        machine.send(socks5.SOCKS5AuthMethodsRequest([method]))
        await stream.send(machine.data_to_send())
        if machine.receive_data(await stream.only(_SHORT)) != socks5.SOCKS5AuthReply(method):
            raise refused(f": {WANTS_LOGIN}" if proxy.username is None else ": it takes no password")
        if proxy.username is not None:
            secret = socks5.SOCKS5UsernamePasswordRequest(proxy.username.encode(), proxy.password.encode())
            machine.send(secret)
            await stream.send(machine.data_to_send())
            if machine.receive_data(await stream.only(_SHORT)) != socks5.SOCKS5UsernamePasswordReply(success=True):
                raise refused(": it does not take the password")
        machine.send(socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, (host, port)))
        await stream.send(machine.data_to_send())
        reply = machine.receive_data(await _reply(stream))
    except (socksio.ProtocolError, PreludeError, ValueError) as error:
        raise refused() from error
    if not isinstance(reply, socks5.SOCKS5Reply):
        raise refused()
    if reply.reply_code is not socks5.SOCKS5ReplyCode.SUCCEEDED:
        raise refused(f": {reply.reply_code.name.lower().replace('_', ' ')}")


async def _reply(stream: TcpStream) -> bytes:
    """A reply, whose length depends on the kind of the address in it (RFC 1928 section 6)."""
    head = await stream.only(_HEAD)
    if head[3:] == socks5.SOCKS5AType.DOMAIN_NAME:
        length = await stream.only(1)
        return head + length + await stream.only(length[0] + 2)
    return head + await stream.only((16 if head[3:] == socks5.SOCKS5AType.IPV6_ADDRESS else 4) + 2)
