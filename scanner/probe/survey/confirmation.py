"""What a ServerHello claims and a handshake has to show: suites that are completed, certificates that are encrypted.

Servers choose suites of which no handshake comes about: RSA key transport without a key that does it, pre-shared keys
without any key. And sslyze's OpenSSL, by which certificates of TLS 1.3 are read, lacks groups and suites.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.full_handshake import Handshake, handshake, speakable, speakable_groups
from scanner.probe.survey.offers import Enumeration

_PATIENCE_SECONDS: Final = 2.0
"""How long a server may take to complete a handshake; one that is silent for longer is left at its word."""
_OF_SSLYZE: Final = frozenset({29, 23, 24, 25})  # x25519, secp256r1, secp384r1, secp521r1
_SUITES_OF_SSLYZE: Final = frozenset({0x1301, 0x1302, 0x1303})


async def confirm(client: HelloClient, server_name: str | None, older: Sequence[Enumeration]) -> None:
    """Mark the suites of `older` (newest first) that were chosen and of which no handshake comes about as unconfirmed.

    One handshake by RSA key transport stands for all suites with it: they need the same of the server's key. Nobody has
    a pre-shared key of a stranger's server, so suites with one are never confirmed.
    """
    for found in older:
        found.unconfirmed |= {code for code in found.suites if "PSK" in _exchange(code)}
    transport = [code for found in older for code in found.suites if _exchange(code) == "RSA"]
    if transport and await _never_completed(client, server_name, older):
        for found in older:
            found.unconfirmed |= {code for code in found.suites if code in transport}


def _exchange(code: int) -> str:
    suite = iana.cipher_suites().get(code)
    return suite.key_exchange if suite is not None else ""


async def _never_completed(client: HelloClient, server_name: str | None, older: Sequence[Enumeration]) -> bool:
    """Whether the server breaks off a handshake by RSA key transport, in the newest version that can be tried.

    One that asks for a client certificate, or falls silent, is left at its word.
    """
    for found in older:
        ciphers = speakable(found.protocol, found.suites)
        if not ciphers:
            continue
        protocol = found.protocol

        async def talk(stream: TcpStream, protocol: Protocol = protocol, ciphers: Sequence[str] = ciphers) -> Handshake:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await handshake(stream, protocol, server_name, ciphers)

        outcome = await client.converse(talk)
        if isinstance(outcome, Failure):
            return outcome.reason is FailureReason.RESET and outcome is not client.stopped
        return outcome.refused and not outcome.asked
    return False


async def certificates_of_tls13(
    client: HelloClient, server_name: str | None, found: Enumeration
) -> Handshake | Failure | None:
    """A handshake of TLS 1.3 for the certificates, where sslyze cannot make one, and this library can; else None."""
    if _OF_SSLYZE.intersection(found.groups) and _SUITES_OF_SSLYZE.intersection(found.suites):
        return None
    ciphers, groups = speakable(Protocol.TLS1_3, found.suites), speakable_groups(found.groups)
    if not ciphers or not groups:
        return None

    async def talk(stream: TcpStream) -> Handshake:
        return await handshake(stream, Protocol.TLS1_3, server_name, ciphers, groups[0])

    return await client.converse(talk)
