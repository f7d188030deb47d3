"""IRC (IRCv3, the STARTTLS extension, which its authors call deprecated)."""

from __future__ import annotations

import re
from typing import Final

from scanner.evidence import FailureReason
from scanner.inventory import StartTls
from scanner.probe.net.connection import LINES_LIMIT, PreludeError, TcpStream
from scanner.probe.net.starttls.replies import Names, malformed, refused, unavailable

_LINE: Final = re.compile(rb"(?:@\S+ +)?(?::\S+ +)?(?P<word>[A-Za-z]+|\d{3})(?: |$)")
_GO_ON: Final = b"670"
_REFUSALS: Final = frozenset({b"691", b"421", b"451", b"462"})
"""STARTTLS failed; an unknown command; not registered yet; registered already."""


async def _irc(stream: TcpStream, _: Names) -> None:
    await stream.send(b"STARTTLS\r\n")
    for _line in range(LINES_LIMIT):
        line = await stream.line()
        found = _LINE.match(line)
        if found is None:
            raise malformed(line)
        word = found["word"].upper()
        if word == _GO_ON:
            return
        if word in _REFUSALS:
            raise refused(line)
        if word == b"ERROR":
            raise unavailable(line)
        if word == b"PING":
            await stream.send(b"PONG" + line[found.end("word") :] + b"\r\n")
    raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")


PRELUDES: Final = {StartTls.IRC: _irc}
