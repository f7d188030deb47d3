"""What the preludes share: whom they speak of, replies of one line or several, and what a refusal is."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from msgspec import Struct

from scanner.evidence import FailureReason
from scanner.probe.net.connection import LINES_LIMIT, PreludeError, TcpStream

REPLY_CODE: Final = re.compile(rb"[1-5][0-9][0-9](?:[ -]|$)")
_OF_TLS: Final = re.compile(
    rb"tls|ssl|encrypt|insecure|clear ?text|plain ?text|secure (?:mode|connection)", re.IGNORECASE
)
UNKNOWN_COMMAND: Final = frozenset({b"500", b"502"})


class Ahead(NamedTuple):
    """A harmless command that any server answers, sent in the same segment as the request for TLS.

    `answer` is in what a server says inside TLS that carried it out: empty where it says nothing there unasked.
    """

    command: bytes
    answer: bytes = b""


class Names(Struct, frozen=True):
    """What servers are told of names: whom is asked for, and who asks.

    `host` is the host asked for, `domain` the XMPP domain where it has another name. `helo` is what mail servers are
    greeted with; None for an address literal (RFC 5321 section 4.1.3), which a client without a name of its own gives.
    """

    host: str
    domain: str | None = None
    helo: str | None = None

    def greeting(self, stream: TcpStream) -> bytes:
        """What mail servers are greeted with."""
        return (self.helo or address_literal(stream.own_address)).encode("ascii", "replace")


def address_literal(ip: str) -> str:
    """An address as SMTP writes it where a name is due (RFC 5321 section 4.1.3)."""
    return f"[IPv6:{ip.partition('%')[0]}]" if ":" in ip else f"[{ip}]"


async def greeted(stream: TcpStream, code: bytes) -> None:
    """Read the greeting, which says whether the server is at service at all."""
    greeting = await reply(stream)
    while greeting[:3] == b"120":  # it will be, says FTP (RFC 959 section 4.2), and greets again
        greeting = await reply(stream)
    if greeting[:3] != code:
        raise unavailable(greeting) if REPLY_CODE.match(greeting) else malformed(greeting)


def judge(answer: bytes, code: bytes) -> None:
    """Read the answer to the request for TLS: 4xx are transient by their definition, 421 closes in any state."""
    if answer[:3] == code:
        return
    if not REPLY_CODE.match(answer):
        raise malformed(answer)
    raise unavailable(answer) if answer[:1] == b"4" else refused(answer)


async def reply(stream: TcpStream) -> bytes:
    """The first line of a reply of one or several (RFC 5321 section 4.2.1, RFC 959 section 4.2)."""
    line = first = await stream.line()
    if not REPLY_CODE.match(first):
        return first
    for _ in range(LINES_LIMIT):
        if line[:3] == first[:3] and line[3:4] != b"-":
            return first
        line = await stream.line()
    raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")


def refused(answer: bytes) -> PreludeError:
    """TLS was asked for, and the server says no."""
    return PreludeError(FailureReason.STARTTLS_REFUSED, _told(answer))


def demands_tls(answer: bytes) -> bool:
    """Whether a server that turns a login down speaks of TLS: Pure-FTPd does with 421, which else means "not now"."""
    return _OF_TLS.search(answer) is not None


def not_now(answer: bytes) -> bool:
    """Whether a login is turned down by a transient code (RFC 5321 section 4.2.1, RFC 959), and not for want of TLS."""
    return answer[:1] == b"4" and not demands_tls(answer)


def unavailable(answer: bytes) -> PreludeError:
    """The server turns us away, or only for now."""
    return PreludeError(FailureReason.UNAVAILABLE, _told(answer))


def malformed(answer: bytes) -> PreludeError:
    """It is another protocol, or none."""
    return PreludeError(FailureReason.MALFORMED, _told(answer))


def _told(answer: bytes) -> str:
    return f"the server answered {answer.decode('utf-8', 'replace').strip()}"
