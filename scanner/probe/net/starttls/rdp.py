"""Remote Desktop ([MS-RDPBCGR])."""

from __future__ import annotations

from typing import Final

from scanner.evidence import FailureReason, PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import PreludeError, TcpStream
from scanner.probe.net.starttls.replies import (
    Names,
)

# MS-RDPBCGR section 2.2.1.1: TPKT, X.224 connection request, negotiation request for TLS and for CredSSP over TLS.
_RDP_PLAIN: Final = bytes.fromhex("030000130ee000000000000100080000000000")
_RDP_REQUEST: Final = bytes.fromhex("030000130ee000000000000100080003000000")
_TPKT_BYTES: Final = 4
_TPKT_VERSION: Final = 3
_RDP_NEGOTIATION: Final = 7  # offset of the negotiation response behind the X.224 connection confirm
_RDP_RESPONSE: Final = 2
_X224_CONFIRM: Final = 0xD0


async def _rdp(stream: TcpStream, _: Names) -> None:
    body = await _confirmed(stream, _RDP_REQUEST)
    if body[_RDP_NEGOTIATION : _RDP_NEGOTIATION + 1] != bytes([_RDP_RESPONSE]) or not any(body[_RDP_NEGOTIATION + 4 :]):
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the server chose RDP's own security")


async def _confirmed(stream: TcpStream, request: bytes) -> bytes:
    """The server's confirmation of a connection.

    Raises:
        PreludeError: there is none.
    """
    await stream.send(request)
    header = await stream.exactly(_TPKT_BYTES)
    if header[0] != _TPKT_VERSION:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not RDP")
    body = await stream.exactly(max(0, int.from_bytes(header[2:4], "big") - _TPKT_BYTES))
    if body[1:2] != bytes([_X224_CONFIRM]):
        raise PreludeError(FailureReason.UNAVAILABLE, "the server did not confirm the RDP connection")
    return body


_RDP_FAILURE: Final = 3


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    """Ask for RDP's own security alone: who demands TLS says so by a failure ([MS-RDPBCGR] 2.2.1.2.2)."""
    body = await _confirmed(stream, _RDP_PLAIN)
    if body[_RDP_NEGOTIATION : _RDP_NEGOTIATION + 1] == bytes([_RDP_FAILURE]):
        return PlainLogin.REFUSED, f"failure {body[_RDP_NEGOTIATION + 4 :].hex()}".encode()
    return PlainLogin.TAKEN, b"RDP's own security"


PRELUDES: Final = {StartTls.RDP: _rdp}
LOGINS: Final = {StartTls.RDP: _login}
