"""LMTP (RFC 2033), with STARTTLS as SMTP has it (RFC 3207)."""

from __future__ import annotations

from typing import Final

from scanner.evidence import PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import TcpStream
from scanner.probe.net.starttls.replies import Ahead, Names, greeted, judge, not_now, reply, unavailable
from scanner.probe.net.starttls.smtp import begun_auth


async def _lmtp(stream: TcpStream, names: Names) -> None:
    await greeted(stream, b"220")
    await stream.send(b"LHLO " + names.greeting(stream) + b"\r\n")
    hello = await reply(stream)
    if hello[:3] != b"250":
        raise unavailable(hello)
    await stream.send(b"STARTTLS\r\n")
    judge(await reply(stream), b"220")


async def _login(stream: TcpStream, names: Names) -> tuple[PlainLogin, bytes]:
    await greeted(stream, b"220")
    await stream.send(b"LHLO " + names.greeting(stream) + b"\r\n")
    hello = await reply(stream)
    if not_now(hello):
        raise unavailable(hello)
    return await begun_auth(stream) if hello[:3] == b"250" else (PlainLogin.NOT_OFFERED, hello)


PRELUDES: Final = {StartTls.LMTP: _lmtp}
LOGINS: Final = {StartTls.LMTP: _login}
AHEAD: Final = {StartTls.LMTP: Ahead(b"NOOP\r\n")}
