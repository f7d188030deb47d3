"""The plain-text preludes after which a connection is upgraded to TLS, for every protocol of `StartTls`.

Each speaks only as much as is needed to get there, reads bounded answers, and fails with `PreludeError`, whose failure
says what the server did instead: `starttls-refused` where it answered the request for TLS by a no, `unavailable` where
it turned the client away before, or only for now.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import quoteattr

from scanner.evidence import FailureReason
from scanner.inventory import StartTls
from scanner.probe.net.connection import LINE_LIMIT, LINES_LIMIT, PreludeError, TcpStream

_REPLY_CODE: Final = re.compile(rb"[1-5][0-9][0-9](?:[ -]|$)")
_UNKNOWN_COMMAND: Final = frozenset({b"500", b"502"})
_POP3_TRANSIENT: Final = re.compile(rb"-ERR \[(?:SYS/TEMP|IN-USE|LOGIN-DELAY)")
_IMAP_TRANSIENT: Final = re.compile(rb"A1 NO \[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG)")
_XMPP_TRANSIENT: Final = re.compile(rb"<(?:resource-constraint|system-shutdown|internal-server-error|reset)\b")


@dataclass(frozen=True, slots=True)
class Names:
    """What servers are told of names: whom is asked for, and who asks.

    `host` is the host asked for, `domain` the XMPP domain where it has another name. `helo` is what mail servers are
    greeted with; None for an address literal (RFC 5321 section 4.1.3), which a client without a name of its own gives.
    """

    host: str
    domain: str | None = None
    helo: str | None = None


async def upgrade(stream: TcpStream, protocol: StartTls, names: Names) -> None:
    """Bring a fresh connection to the point at which a ClientHello is expected.

    Raises:
        PreludeError: the server refuses, is not available now, speaks something else, or says more than is reasonable.
        OSError: the connection broke.
    """
    await _PRELUDES[protocol](stream, names)


async def _smtp(stream: TcpStream, names: Names) -> None:
    await _greeted(stream, b"220")
    await stream.send(
        b"EHLO " + (names.helo or address_literal(stream.own_address)).encode("ascii", "replace") + b"\r\n"
    )
    hello = await _reply(stream)
    # A server may not know EHLO, and STARTTLS all the same.
    if hello[:3] != b"250" and hello[:3] not in _UNKNOWN_COMMAND:
        raise _unavailable(hello)
    await stream.send(b"STARTTLS\r\n")
    _judge(await _reply(stream), b"220")


def address_literal(ip: str) -> str:
    """An address as SMTP writes it where a name is due (RFC 5321 section 4.1.3)."""
    return f"[IPv6:{ip.partition('%')[0]}]" if ":" in ip else f"[{ip}]"


async def _ftp(stream: TcpStream, _: Names) -> None:
    await _greeted(stream, b"220")
    await stream.send(b"AUTH TLS\r\n")
    _judge(await _reply(stream), b"234")


async def _greeted(stream: TcpStream, code: bytes) -> None:
    """Read the greeting, which says whether the server is at service at all."""
    greeting = await _reply(stream)
    while greeting[:3] == b"120":  # it will be, says FTP (RFC 959 section 4.2), and greets again
        greeting = await _reply(stream)
    if greeting[:3] != code:
        raise _unavailable(greeting) if _REPLY_CODE.match(greeting) else _malformed(greeting)


def _judge(answer: bytes, code: bytes) -> None:
    """Read the answer to the request for TLS: 4xx are transient by their definition, 421 closes in any state."""
    if answer[:3] == code:
        return
    if not _REPLY_CODE.match(answer):
        raise _malformed(answer)
    raise _unavailable(answer) if answer[:1] == b"4" else _refused(answer)


async def _reply(stream: TcpStream) -> bytes:
    """The first line of a reply of one or several (RFC 5321 section 4.2.1, RFC 959 section 4.2)."""
    line = first = await stream.line()
    if not _REPLY_CODE.match(first):
        return first
    for _ in range(LINES_LIMIT):
        if line[:3] == first[:3] and line[3:4] != b"-":
            return first
        line = await stream.line()
    raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")


async def _pop3(stream: TcpStream, _: Names) -> None:
    greeting = await stream.line()
    if not greeting.startswith(b"+OK"):
        raise _unavailable(greeting) if greeting.startswith(b"-ERR") else _malformed(greeting)
    await stream.send(b"STLS\r\n")
    answer = await stream.line()
    if answer.startswith(b"-ERR"):
        raise _unavailable(answer) if _POP3_TRANSIENT.match(answer) else _refused(answer)
    if not answer.startswith(b"+OK"):
        raise _malformed(answer)


async def _imap(stream: TcpStream, _: Names) -> None:
    greeting = await stream.line()
    upper = greeting.upper()
    if upper.startswith(b"* PREAUTH"):  # no STARTTLS any more (RFC 9051 section 7.1.4)
        raise _refused(greeting)
    if not upper.startswith(b"* OK"):
        raise _unavailable(greeting) if upper.startswith(b"* BYE") else _malformed(greeting)
    await stream.send(b"a1 STARTTLS\r\n")
    for _line in range(LINES_LIMIT):
        answer = await stream.line()
        upper = answer.upper()
        if upper.startswith(b"* BYE"):
            raise _unavailable(answer)
        if upper.startswith(b"A1 OK"):
            return
        if not answer.startswith(b"*"):
            if not upper.startswith((b"A1 NO", b"A1 BAD")):
                raise _malformed(answer)
            raise _unavailable(answer) if _IMAP_TRANSIENT.match(upper) else _refused(answer)
    raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")


async def _xmpp(stream: TcpStream, names: Names) -> None:
    await _xmpp_stream(stream, names.domain or names.host, "jabber:client")


async def _xmpp_server(stream: TcpStream, names: Names) -> None:
    await _xmpp_stream(stream, names.domain or names.host, "jabber:server")


async def _xmpp_stream(stream: TcpStream, domain: str, namespace: str) -> None:
    opening = (
        f"<?xml version='1.0'?><stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams' "
        f"to={quoteattr(domain)} version='1.0'>"
    )
    await stream.send(opening.encode())
    features = await stream.through(
        b"</stream:features>", b"<stream:features/>", b"</stream:error>", b"</stream:stream>"
    )
    if not features.endswith((b"</stream:features>", b"<stream:features/>")):
        # Said before TLS was asked for: no such domain, too many connections, … (RFC 6120 section 4.9.3).
        raise _unavailable(features[-LINE_LIMIT:]) if b"<stream:" in features else _malformed(features)
    await stream.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = await stream.through(b">")
    if b"<stream:error" in answer:
        answer += await stream.through(b"</stream:error>", b"</stream:stream>")
        raise _unavailable(answer) if _XMPP_TRANSIENT.search(answer) else _refused(answer)
    if b"<proceed" not in answer:
        raise _refused(answer)
    if not answer.endswith(b"/>"):
        await stream.through(b"</proceed>")


# RFC 4511 section 4.14.1: LDAPMessage 1 with an ExtendedRequest for 1.3.6.1.4.1.1466.20037.
_LDAP_OID: Final = b"1.3.6.1.4.1.1466.20037"
_LDAP_REQUEST: Final = (
    bytes([0x30, 7 + len(_LDAP_OID), 0x02, 1, 1, 0x77, 2 + len(_LDAP_OID), 0x80, len(_LDAP_OID)]) + _LDAP_OID
)
_LDAP_EXTENDED_RESPONSE: Final = 0x78
_LDAP_SUCCESS: Final = 0
_LDAP_TRANSIENT: Final = frozenset({51, 52})  # busy, unavailable (RFC 4511 section A.2)
_BER_LONG: Final = 0x80
_BER_SEQUENCE: Final = 0x30
_BER_ENUMERATED: Final = 0x0A


async def _ldap(stream: TcpStream, _names: Names) -> None:
    await stream.send(_LDAP_REQUEST)
    tag, length = await stream.exactly(2)
    if tag != _BER_SEQUENCE:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not an LDAP message")
    if length >= _BER_LONG:
        length = int.from_bytes(await stream.exactly(length - _BER_LONG), "big")
    message = await stream.exactly(length)
    try:
        _, number, rest = _ber(message)
        kind, response, _ = _ber(rest)
        result, code, rest = _ber(response)
        _, _, rest = _ber(rest)
        _, diagnosis, _ = _ber(rest)
    except IndexError:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not an LDAP message") from None
    if kind != _LDAP_EXTENDED_RESPONSE or result != _BER_ENUMERATED or len(code) != 1:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not LDAP's to a request for TLS")
    words = f"LDAP result code {code[0]}" + (f": {diagnosis.decode('utf-8', 'replace')}" if diagnosis else "")
    # Message 0 answers nothing: it is the notice that the server disconnects (RFC 4511 section 4.4.1).
    if not any(number) or code[0] in _LDAP_TRANSIENT:
        raise PreludeError(FailureReason.UNAVAILABLE, words)
    if code[0] != _LDAP_SUCCESS:
        raise PreludeError(FailureReason.STARTTLS_REFUSED, words)


def _ber(data: bytes) -> tuple[int, bytes, bytes]:
    """The tag and the content of a BER element, and what is behind it.

    Raises:
        IndexError: the data ends before it.
    """
    length, start = data[1], 2
    if length >= _BER_LONG:
        start += length - _BER_LONG
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise IndexError
    return data[0], data[start : start + length], data[start + length :]


# MS-RDPBCGR section 2.2.1.1: TPKT, X.224 connection request, negotiation request for TLS and for CredSSP over TLS.
_RDP_REQUEST: Final = bytes.fromhex("030000130ee000000000000100080003000000")
_TPKT_BYTES: Final = 4
_TPKT_VERSION: Final = 3
_RDP_NEGOTIATION: Final = 7  # offset of the negotiation response behind the X.224 connection confirm
_RDP_RESPONSE: Final = 2
_X224_CONFIRM: Final = 0xD0


async def _rdp(stream: TcpStream, _: Names) -> None:
    await stream.send(_RDP_REQUEST)
    header = await stream.exactly(_TPKT_BYTES)
    if header[0] != _TPKT_VERSION:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not RDP")
    body = await stream.exactly(max(0, int.from_bytes(header[2:4], "big") - _TPKT_BYTES))
    if body[1:2] != bytes([_X224_CONFIRM]):
        raise PreludeError(FailureReason.UNAVAILABLE, "the server did not confirm the RDP connection")
    if body[_RDP_NEGOTIATION : _RDP_NEGOTIATION + 1] != bytes([_RDP_RESPONSE]) or not any(body[_RDP_NEGOTIATION + 4 :]):
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the server chose RDP's own security")


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
    raise _unavailable(words) if answer == b"E" else _malformed(words)


def _refused(answer: bytes) -> PreludeError:
    return PreludeError(FailureReason.STARTTLS_REFUSED, _told(answer))


def _unavailable(answer: bytes) -> PreludeError:
    return PreludeError(FailureReason.UNAVAILABLE, _told(answer))


def _malformed(answer: bytes) -> PreludeError:
    return PreludeError(FailureReason.MALFORMED, _told(answer))


def _told(answer: bytes) -> str:
    return f"the server answered {answer.decode('utf-8', 'replace').strip()}"


_PRELUDES: Final[Mapping[StartTls, Callable[[TcpStream, Names], Awaitable[None]]]] = MappingProxyType(
    {
        StartTls.SMTP: _smtp,
        StartTls.FTP: _ftp,
        StartTls.POP3: _pop3,
        StartTls.IMAP: _imap,
        StartTls.XMPP: _xmpp,
        StartTls.XMPP_SERVER: _xmpp_server,
        StartTls.LDAP: _ldap,
        StartTls.RDP: _rdp,
        StartTls.POSTGRES: _postgres,
    }
)
