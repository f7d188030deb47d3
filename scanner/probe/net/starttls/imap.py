"""IMAP (RFC 9051)."""

from __future__ import annotations

import re
from typing import Final

from scanner.evidence import FailureReason, PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import LINES_LIMIT, PreludeError, TcpStream
from scanner.probe.net.starttls.replies import (
    Ahead,
    Names,
    malformed,
    refused,
    unavailable,
)

_IMAP_TRANSIENT: Final = re.compile(rb"A1 NO \[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG)")


async def _imap(stream: TcpStream, _: Names) -> None:
    greeting = await stream.line()
    upper = greeting.upper()
    if upper.startswith(b"* PREAUTH"):  # no STARTTLS any more (RFC 9051 section 7.1.4)
        raise refused(greeting)
    if not upper.startswith(b"* OK"):
        raise unavailable(greeting) if upper.startswith(b"* BYE") else malformed(greeting)
    await stream.send(b"a1 STARTTLS\r\n")
    for _line in range(LINES_LIMIT):
        answer = await stream.line()
        upper = answer.upper()
        if upper.startswith(b"* BYE"):
            raise unavailable(answer)
        if upper.startswith(b"A1 OK"):
            return
        if not answer.startswith(b"*"):
            if not upper.startswith((b"A1 NO", b"A1 BAD")):
                raise malformed(answer)
            raise unavailable(answer) if _IMAP_TRANSIENT.match(upper) else refused(answer)
    raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    """LOGIN is taken unless LOGINDISABLED is said (RFC 9051 section 7.2.2)."""
    greeting = await stream.line()
    if not greeting.upper().startswith(b"* OK"):
        raise unavailable(greeting) if greeting.upper().startswith(b"* BYE") else malformed(greeting)
    await stream.send(b"a1 CAPABILITY\r\n")
    said = b""
    for _line in range(LINES_LIMIT):
        answer = await stream.line()
        if answer.upper().startswith(b"* CAPABILITY"):
            said = answer
        elif answer.upper().startswith(b"A1 "):
            break
    if not said:
        raise malformed(answer)
    return (PlainLogin.REFUSED if b"LOGINDISABLED" in said.upper().split() else PlainLogin.TAKEN), said


PRELUDES: Final = {StartTls.IMAP: _imap}
LOGINS: Final = {StartTls.IMAP: _login}
AHEAD: Final = {StartTls.IMAP: Ahead(b"a2 NOOP\r\n")}
