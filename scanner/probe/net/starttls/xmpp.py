"""XMPP, for clients and between servers (RFC 6120)."""

from __future__ import annotations

import html
import re
from typing import Final

from scanner.evidence import PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import LINE_LIMIT, TcpStream
from scanner.probe.net.starttls.replies import (
    Names,
    malformed,
    refused,
    unavailable,
)

_XMPP_TRANSIENT: Final = re.compile(rb"<(?:resource-constraint|system-shutdown|internal-server-error|reset)\b")


async def _xmpp(stream: TcpStream, names: Names) -> None:
    await _xmpp_stream(stream, names.domain or names.host, "jabber:client")


async def _xmpp_server(stream: TcpStream, names: Names) -> None:
    await _xmpp_stream(stream, names.domain or names.host, "jabber:server")


async def _features(stream: TcpStream, domain: str, namespace: str) -> bytes:
    """Open a stream, and read what the server offers."""
    opening = (
        f"<?xml version='1.0'?><stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams' "
        f'to="{html.escape(domain)}" version="1.0">'
    )
    await stream.send(opening.encode())
    features = await stream.through(
        b"</stream:features>", b"<stream:features/>", b"</stream:error>", b"</stream:stream>"
    )
    if not features.endswith((b"</stream:features>", b"<stream:features/>")):
        # Said before TLS was asked for: no such domain, too many connections, … (RFC 6120 section 4.9.3).
        raise unavailable(features[-LINE_LIMIT:]) if b"<stream:" in features else malformed(features)
    return features


async def _xmpp_stream(stream: TcpStream, domain: str, namespace: str) -> None:
    await _features(stream, domain, namespace)
    await stream.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = await stream.through(b">")
    if b"<stream:error" in answer:
        answer += await stream.through(b"</stream:error>", b"</stream:stream>")
        raise unavailable(answer) if _XMPP_TRANSIENT.search(answer) else refused(answer)
    if b"<proceed" not in answer:
        raise refused(answer)
    if not answer.endswith(b"/>"):
        await stream.through(b"</proceed>")


async def _login(stream: TcpStream, names: Names) -> tuple[PlainLogin, bytes]:
    """TLS is demanded where it is said to be required (RFC 6120 section 5.3.1); else mechanisms are offered."""
    features = await _features(stream, names.domain or names.host, "jabber:client")
    required = b"<required" in features or b"<mechanism" not in features
    return (PlainLogin.REFUSED if required else PlainLogin.TAKEN), features[-LINE_LIMIT:]


PRELUDES: Final = {StartTls.XMPP: _xmpp, StartTls.XMPP_SERVER: _xmpp_server}
LOGINS: Final = {StartTls.XMPP: _login}
