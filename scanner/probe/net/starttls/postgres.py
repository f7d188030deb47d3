"""PostgreSQL (SSLRequest of its frontend protocol)."""

from __future__ import annotations

import re
from typing import Final

from scanner.evidence import FailureReason, PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import PreludeError, TcpStream
from scanner.probe.net.starttls.replies import (
    Names,
    demands_tls,
    malformed,
    unavailable,
)

_POSTGRES_REQUEST: Final = bytes.fromhex("0000000804d2162f")  # SSLRequest of PostgreSQL's frontend protocol


async def _postgres(stream: TcpStream, _: Names) -> None:
    await stream.send(_POSTGRES_REQUEST)
    answer = await stream.exactly(1)
    if answer == b"S":
        return
    if answer == b"N":
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the server answered N")
    words = answer + await stream.receive()
    # An error came before the request was looked at: no process could be started, for one.
    raise unavailable(words) if answer == b"E" else malformed(words)


_STARTUP_BODY: Final = b"\x00\x03\x00\x00user\x00nightseal\x00database\x00nightseal\x00\x00"
_STARTUP: Final = (len(_STARTUP_BODY) + 4).to_bytes(4) + _STARTUP_BODY
_STATE: Final = re.compile(rb"(?:^|\x00)C([0-9A-Z]{2})")
_OF_A_LOGIN: Final = frozenset({b"28", b"3D", b"42"})
"""Classes of SQLSTATE of who was let as far as a login: no such role, or no such database."""


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    """Begin a session without TLS: it is refused by an error, or asks who is there, which is not answered."""
    await stream.send(_STARTUP)
    answer = await stream.exactly(1)
    if answer not in {b"R", b"E"}:
        raise malformed(answer)
    length = int.from_bytes(await stream.exactly(4))
    said = await stream.exactly(max(0, length - 4))
    words = said.replace(b"\0", b" ") if answer == b"E" else b"an authentication request"
    # pg_hba.conf's refusal says "no encryption", or "SSL off" before version 14; poolers and clouds say it otherwise.
    if answer == b"E" and demands_tls(said):
        return PlainLogin.REFUSED, words
    state = _STATE.search(said)
    if answer == b"E" and (state is None or state[1] not in _OF_A_LOGIN):
        raise unavailable(words)
    return PlainLogin.TAKEN, words


PRELUDES: Final = {StartTls.POSTGRES: _postgres}
LOGINS: Final = {StartTls.POSTGRES: _login}
