"""A port of plain HTTP that is asked to go over to TLS, as RFC 2817 has it: the condition of Opossum.

Whoever agrees to do so must also begin TLS: a hello is sent after the answer, and answered by nothing else.
"""

from __future__ import annotations

import re
from typing import Final

from scanner.evidence import Attempt, FailureReason, Protocol
from scanner.inventory import Target
from scanner.probe import ProbeSettings, iana
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.hello import Offer, to_wire

_HEAD_LIMIT: Final = 65_536
_SWITCHING: Final = re.compile(rb"HTTP/1\.[01] 101\b")
_TLS_UPGRADE: Final = re.compile(rb"(?im)^upgrade:[^\r\n]*\bTLS/")
_ALERT, _HANDSHAKE = 0x15, 0x16
_GROUPS: Final = (0x001D, 0x0017, 0x0018)
_SCHEMES: Final = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201)


def speaks_plain_http(target: Target) -> bool:
    """Whether there is a port of plain HTTP to ask."""
    endpoint = target.endpoint
    web = endpoint.role.speaks_http and endpoint.starttls is None
    return web and endpoint.http_port is not None and target.address is not None


def upgrade_request(authority: str, settings: ProbeSettings) -> bytes:
    """The request: for the page that a browser would get, and for TLS."""
    lines = (
        "GET / HTTP/1.1",
        f"Host: {authority}",
        f"User-Agent: {settings.agent}",
        "Upgrade: TLS/1.2, TLS/1.0",
        "Connection: Upgrade",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii", "replace")


async def asked_to_upgrade(stream: TcpStream, *, question: bytes, server_name: str | None) -> Attempt[bool]:
    """Whether the port goes over to TLS."""
    await stream.send(question)
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _HEAD_LIMIT:
        data = await stream.receive()
        head += data
        if not data:
            break
    if not head:
        return Attempt.failed(FailureReason.RESET, "the connection was ended without an answer")
    if not head.startswith(b"HTTP/"):
        return Attempt.failed(FailureReason.MALFORMED, "what answers does not speak HTTP")
    if not (_SWITCHING.match(head) and _TLS_UPGRADE.search(head)):
        return Attempt.ok(value=False)
    suites = tuple(iana.offered_suites(Protocol.TLS1_2))
    await stream.send(to_wire(Offer((Protocol.TLS1_2,), suites, _GROUPS, _SCHEMES, server_name)))
    begun = await stream.receive()
    if begun[:1] and begun[0] in {_ALERT, _HANDSHAKE}:
        return Attempt.ok(value=True)
    return Attempt.failed(FailureReason.INCONSISTENT, "it agrees to TLS, and does not begin it")
