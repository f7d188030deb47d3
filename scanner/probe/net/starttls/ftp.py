"""FTP (RFC 4217)."""

from __future__ import annotations

from typing import Final

from scanner.evidence import PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import TcpStream
from scanner.probe.net.starttls.replies import (
    REPLY_CODE,
    Ahead,
    Names,
    greeted,
    judge,
    malformed,
    not_now,
    reply,
    unavailable,
)


async def _ftp(stream: TcpStream, _: Names) -> None:
    await greeted(stream, b"220")
    await stream.send(b"AUTH TLS\r\n")
    judge(await reply(stream), b"234")


_NEXT: Final = frozenset({b"230", b"331", b"332"})


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    await greeted(stream, b"220")
    await stream.send(b"USER nightseal\r\n")
    answer = await reply(stream)
    if not REPLY_CODE.match(answer):
        raise malformed(answer)
    if not_now(answer):
        raise unavailable(answer)
    return (PlainLogin.TAKEN if answer[:3] in _NEXT else PlainLogin.REFUSED), answer


PRELUDES: Final = {StartTls.FTP: _ftp}
LOGINS: Final = {StartTls.FTP: _login}
AHEAD: Final = {StartTls.FTP: Ahead(b"NOOP\r\n")}
