"""SMTP (RFC 3207)."""

from __future__ import annotations

from typing import Final

from scanner.evidence import PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import TcpStream
from scanner.probe.net.starttls.replies import (
    REPLY_CODE,
    UNKNOWN_COMMAND,
    Ahead,
    Names,
    greeted,
    judge,
    malformed,
    not_now,
    reply,
    unavailable,
)


async def _smtp(stream: TcpStream, names: Names) -> None:
    await greeted(stream, b"220")
    await stream.send(b"EHLO " + names.greeting(stream) + b"\r\n")
    hello = await reply(stream)
    # A server may not know EHLO, and STARTTLS all the same.
    if hello[:3] != b"250" and hello[:3] not in UNKNOWN_COMMAND:
        raise unavailable(hello)
    await stream.send(b"STARTTLS\r\n")
    judge(await reply(stream), b"220")


_NO_SUCH_LOGIN: Final = frozenset({b"500", b"501", b"502", b"503", b"504"})


async def _login(stream: TcpStream, names: Names) -> tuple[PlainLogin, bytes]:
    await greeted(stream, b"220")
    await stream.send(b"EHLO " + names.greeting(stream) + b"\r\n")
    hello = await reply(stream)
    if not_now(hello):
        raise unavailable(hello)
    return await begun_auth(stream) if hello[:3] == b"250" else (PlainLogin.NOT_OFFERED, hello)


async def begun_auth(stream: TcpStream) -> tuple[PlainLogin, bytes]:
    """Begin AUTH, and take it back before a password is due (RFC 4954 section 4)."""
    await stream.send(b"AUTH PLAIN\r\n")
    answer = await reply(stream)
    if answer[:3] == b"334":
        await stream.send(b"*\r\n")
        return PlainLogin.TAKEN, answer
    if not REPLY_CODE.match(answer):
        raise malformed(answer)
    if not_now(answer):
        raise unavailable(answer)
    return (PlainLogin.NOT_OFFERED if answer[:3] in _NO_SUCH_LOGIN else PlainLogin.REFUSED), answer


PRELUDES: Final = {StartTls.SMTP: _smtp}
LOGINS: Final = {StartTls.SMTP: _login}
AHEAD: Final = {StartTls.SMTP: Ahead(b"NOOP\r\n")}
