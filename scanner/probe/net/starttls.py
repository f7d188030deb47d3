"""The plain-text preludes after which a connection is upgraded to TLS, for every protocol of `StartTls`.

Each speaks only as much as is needed to get there, reads bounded answers, and fails with `PreludeError`, whose failure
says what the server did instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final
from xml.sax.saxutils import quoteattr

from scanner.evidence import FailureReason
from scanner.inventory import StartTls
from scanner.probe.net.connection import LINE_LIMIT, LINES_LIMIT, Link, PreludeError


async def upgrade(link: Link, protocol: StartTls, host: str) -> None:
    """Bring a fresh connection to the point at which a ClientHello is expected. `host` is the name asked for.

    Raises:
        PreludeError: the server refuses, speaks something else, or says more than is reasonable.
        OSError: the connection broke.
    """
    await _PRELUDES[protocol](link, host)


async def _smtp(link: Link, _: str) -> None:
    await _reply(link, b"220")
    await link.send(b"EHLO scanner.invalid\r\n")
    await _reply(link, b"250")
    await link.send(b"STARTTLS\r\n")
    await _reply(link, b"220")


async def _ftp(link: Link, _: str) -> None:
    await _reply(link, b"220")
    await link.send(b"AUTH TLS\r\n")
    await _reply(link, b"234")


async def _reply(link: Link, code: bytes) -> None:
    """Read a reply of one or several lines (RFC 5321 section 4.2.1, RFC 959 section 4.2) that has to have `code`."""
    first = await link.line()
    line = first
    for _ in range(LINES_LIMIT):
        if line[:3] == first[:3] and line[3:4] != b"-":
            break
        line = await link.line()
    else:
        raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")
    if first[:3] != code:
        raise _refused(first)


async def _pop3(link: Link, _: str) -> None:
    _expect(await link.line(), b"+OK")
    await link.send(b"STLS\r\n")
    _expect(await link.line(), b"+OK")


async def _imap(link: Link, _: str) -> None:
    _expect(await link.line(), b"* OK")
    await link.send(b"a1 STARTTLS\r\n")
    for _line in range(LINES_LIMIT):
        line = await link.line()
        if not line.startswith(b"*"):
            _expect(line, b"a1 OK")
            return
    raise PreludeError(FailureReason.TOO_LARGE, f"a reply of more than {LINES_LIMIT} lines")


async def _xmpp(link: Link, host: str) -> None:
    await _xmpp_stream(link, host, "jabber:client")


async def _xmpp_server(link: Link, host: str) -> None:
    await _xmpp_stream(link, host, "jabber:server")


async def _xmpp_stream(link: Link, host: str, namespace: str) -> None:
    opening = (
        f"<?xml version='1.0'?><stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams' "
        f"to={quoteattr(host)} version='1.0'>"
    )
    await link.send(opening.encode())
    features = await link.through(b"</stream:features>", b"<stream:features/>", b"</stream:error>", b"</stream:stream>")
    if b"urn:ietf:params:xml:ns:xmpp-tls" not in features:
        raise _refused(features[-LINE_LIMIT:])
    await link.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = await link.through(b">")
    if b"<proceed" not in answer:
        raise _refused(answer)
    if not answer.endswith(b"/>"):
        await link.through(b"</proceed>")


# RFC 4511 section 4.14.1: LDAPMessage 1 with an ExtendedRequest for 1.3.6.1.4.1.1466.20037.
_LDAP_OID: Final = b"1.3.6.1.4.1.1466.20037"
_LDAP_REQUEST: Final = (
    bytes([0x30, 7 + len(_LDAP_OID), 0x02, 1, 1, 0x77, 2 + len(_LDAP_OID), 0x80, len(_LDAP_OID)]) + _LDAP_OID
)
_LDAP_EXTENDED_RESPONSE: Final = b"\x78"
_LDAP_SUCCESS: Final = b"\x0a\x01\x00"
_BER_LONG: Final = 0x80
_BER_SEQUENCE: Final = 0x30


async def _ldap(link: Link, _: str) -> None:
    await link.send(_LDAP_REQUEST)
    tag, length = await link.exactly(2)
    if tag != _BER_SEQUENCE:
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the answer is no LDAP message")
    if length >= _BER_LONG:
        length = int.from_bytes(await link.exactly(length - _BER_LONG), "big")
    message = await link.exactly(length)
    # After the message number comes the response with its length, then the result code.
    response = message[3:]
    start = 2 if response[1:2] < bytes([_BER_LONG]) else 2 + response[1] - _BER_LONG
    if response[:1] != _LDAP_EXTENDED_RESPONSE or response[start : start + 3] != _LDAP_SUCCESS:
        code = response[start + 2] if len(response) > start + 2 else "none"
        raise PreludeError(FailureReason.STARTTLS_REFUSED, f"LDAP result code {code}")


# MS-RDPBCGR section 2.2.1.1: TPKT, X.224 connection request, negotiation request for TLS and for CredSSP over TLS.
_RDP_REQUEST: Final = bytes.fromhex("030000130ee000000000000100080003000000")
_TPKT_BYTES: Final = 4
_TPKT_VERSION: Final = 3
_RDP_NEGOTIATION: Final = 7  # offset of the negotiation response behind the X.224 connection confirm
_RDP_RESPONSE: Final = 2


async def _rdp(link: Link, _: str) -> None:
    await link.send(_RDP_REQUEST)
    header = await link.exactly(_TPKT_BYTES)
    if header[0] != _TPKT_VERSION:
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the answer is no RDP connection confirm")
    body = await link.exactly(max(0, int.from_bytes(header[2:4], "big") - _TPKT_BYTES))
    if body[_RDP_NEGOTIATION : _RDP_NEGOTIATION + 1] != bytes([_RDP_RESPONSE]) or not any(body[_RDP_NEGOTIATION + 4 :]):
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the server chose RDP's own security")


_POSTGRES_REQUEST: Final = bytes.fromhex("0000000804d2162f")  # SSLRequest of PostgreSQL's frontend protocol


async def _postgres(link: Link, _: str) -> None:
    await link.send(_POSTGRES_REQUEST)
    answer = await link.exactly(1)
    if answer != b"S":
        raise _refused(answer)


def _expect(line: bytes, beginning: bytes) -> None:
    if not line.startswith(beginning):
        raise _refused(line)


def _refused(answer: bytes) -> PreludeError:
    return PreludeError(FailureReason.STARTTLS_REFUSED, f"the server answered {answer.decode('utf-8', 'replace')}")


_PRELUDES: Final[Mapping[StartTls, Callable[[Link, str], Awaitable[None]]]] = MappingProxyType(
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
