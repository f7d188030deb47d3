"""POP3 (RFC 2595)."""

from __future__ import annotations

import re
from typing import Final

from scanner.evidence import PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import TcpStream
from scanner.probe.net.starttls.replies import (
    Ahead,
    Names,
    malformed,
    refused,
    unavailable,
)

_POP3_TRANSIENT: Final = re.compile(rb"-ERR \[(?:SYS/TEMP|IN-USE|LOGIN-DELAY)")


async def _pop3(stream: TcpStream, _: Names) -> None:
    greeting = await stream.line()
    if not greeting.startswith(b"+OK"):
        raise unavailable(greeting) if greeting.startswith(b"-ERR") else malformed(greeting)
    await stream.send(b"STLS\r\n")
    answer = await stream.line()
    if answer.startswith(b"-ERR"):
        raise unavailable(answer) if _POP3_TRANSIENT.match(answer) else refused(answer)
    if not answer.startswith(b"+OK"):
        raise malformed(answer)


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    greeting = await stream.line()
    if not greeting.startswith(b"+OK"):
        raise unavailable(greeting) if greeting.startswith(b"-ERR") else malformed(greeting)
    await stream.send(b"USER nightseal\r\n")
    answer = await stream.line()
    if _POP3_TRANSIENT.match(answer):
        raise unavailable(answer)
    return (PlainLogin.TAKEN if answer.startswith(b"+OK") else PlainLogin.REFUSED), answer


PRELUDES: Final = {StartTls.POP3: _pop3}
LOGINS: Final = {StartTls.POP3: _login}
AHEAD: Final = {StartTls.POP3: Ahead(b"CAPA\r\n")}
