"""ManageSieve (RFC 5804)."""

from __future__ import annotations

import re
from typing import Final

from scanner.evidence import FailureReason, PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import LINES_LIMIT, PreludeError, TcpStream
from scanner.probe.net.starttls.replies import Ahead, Names, malformed, refused, unavailable

_END: Final = re.compile(rb"(OK|NO|BYE)\b", re.IGNORECASE)
_CAPABILITY: Final = re.compile(rb'"|\{\d+\+?\}$')
_TRANSIENT: Final = re.compile(rb"\(TRYLATER\b", re.IGNORECASE)


async def _sieve(stream: TcpStream, _: Names) -> None:
    greeting = await _answer(stream)
    if not greeting.upper().startswith(b"OK"):
        raise unavailable(greeting)
    await stream.send(b"STARTTLS\r\n")
    answer = await _answer(stream)
    if not answer.upper().startswith(b"OK"):
        raise unavailable(answer) if _is_transient(answer) else refused(answer)


def _is_transient(answer: bytes) -> bool:
    return answer.upper().startswith(b"BYE") or _TRANSIENT.search(answer) is not None


async def _answer(stream: TcpStream) -> bytes:
    """The line that ends a response: capabilities come before it."""
    for _ in range(LINES_LIMIT):
        line = await stream.line()
        if _END.match(line):
            return line
        if not _CAPABILITY.search(line):
            raise malformed(line)
    raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    greeting = await _answer(stream)
    if not greeting.upper().startswith(b"OK"):
        raise unavailable(greeting)
    await stream.send(b'AUTHENTICATE "PLAIN"\r\n')
    line = await stream.line()
    if line.startswith((b'"', b"{")):
        await stream.send(b'"*"\r\n')
        return PlainLogin.TAKEN, line
    if _is_transient(line):
        raise unavailable(line)
    return PlainLogin.REFUSED, line


PRELUDES: Final = {StartTls.SIEVE: _sieve}
LOGINS: Final = {StartTls.SIEVE: _login}
AHEAD: Final = {StartTls.SIEVE: Ahead(b'NOOP "nightseal"\r\n', b"nightseal")}
