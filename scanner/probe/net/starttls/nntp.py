"""NNTP (RFC 4642)."""

from __future__ import annotations

from typing import Final

from scanner.evidence import PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import TcpStream
from scanner.probe.net.starttls.replies import REPLY_CODE, Ahead, Names, judge, malformed, reply, unavailable

_READY: Final = frozenset({b"200", b"201"})


async def _nntp(stream: TcpStream, _: Names) -> None:
    greeting = await reply(stream)
    if greeting[:3] not in _READY:
        raise unavailable(greeting) if REPLY_CODE.match(greeting) else malformed(greeting)
    await stream.send(b"STARTTLS\r\n")
    judge(await reply(stream), b"382")


_TRANSIENT: Final = frozenset({b"400", b"403"})
_NO_SUCH_LOGIN: Final = frozenset({b"480", b"500", b"501", b"502", b"503"})


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    greeting = await reply(stream)
    if greeting[:3] not in _READY:
        raise unavailable(greeting) if REPLY_CODE.match(greeting) else malformed(greeting)
    await stream.send(b"AUTHINFO USER nightseal\r\n")
    answer = await reply(stream)
    if answer[:3] in {b"381", b"281"}:
        return PlainLogin.TAKEN, answer
    if answer[:3] in _TRANSIENT:
        raise unavailable(answer)
    return (PlainLogin.NOT_OFFERED if answer[:3] in _NO_SUCH_LOGIN else PlainLogin.REFUSED), answer


PRELUDES: Final = {StartTls.NNTP: _nntp}
LOGINS: Final = {StartTls.NNTP: _login}
AHEAD: Final = {StartTls.NNTP: Ahead(b"DATE\r\n")}
