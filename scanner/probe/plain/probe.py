"""Asks what a server takes in plain before TLS: a login, which is begun and taken back, and a command too many.

No password is sent. A port of plain HTTP is asked to go over to TLS (RFC 2817). All are asked only where a policy
judges them (`ProbeSettings.questions`).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from functools import partial
from typing import Any, Final, Literal

from msgspec import Struct

from scanner.evidence import Attempt, Failure, FailureReason, PlainEvidence, PlainLogin
from scanner.inventory import Address, Environment, StartTls, Target
from scanner.probe import ProbeSettings
from scanner.probe.http.tls import tolerant_context
from scanner.probe.http.url import Url
from scanner.probe.net.budget import Budget
from scanner.probe.net.connection import PreludeError, TcpStream
from scanner.probe.net.cutoff import cut_off
from scanner.probe.net.starttls import AHEAD, LOGINS, Names, upgrade
from scanner.probe.plain.upgrading import asked_to_upgrade, speaks_plain_http, upgrade_request
from scanner.probe.survey.client import HelloClient
from scanner.untrusted import printable

REQUIRED: Final = "starttls.required"
NO_INJECTION: Final = "starttls.no-injection"
OPOSSUM: Final = "vuln.opossum"
_LISTENING_S: Final = 1.5
"""How long an answer to a command that was not sent inside TLS is waited for."""
_REQUESTS: Final = (b"STARTTLS\r\n", b"STLS\r\n", b"AUTH TLS\r\n")


class PlainProbe(Struct, frozen=True):
    """What a target takes before STARTTLS."""

    settings: ProbeSettings
    name: Literal["plain"] = "plain"

    async def observe(self, target: Target, _: Environment, budget: Budget) -> Attempt[PlainEvidence]:
        """Ask, where there is STARTTLS or plain HTTP, and somebody judges it."""
        if OPOSSUM in self.settings.questions and speaks_plain_http(target):
            return await self._asked_to_upgrade(target, budget)
        protocol = target.endpoint.starttls
        asked = {REQUIRED, NO_INJECTION} & self.settings.questions
        if protocol is None or target.address is None or not asked:
            return Attempt(failure=Failure(FailureReason.NOT_RUN))
        names = Names(target.endpoint.host, target.endpoint.xmpp_domain, self.settings.helo)
        client = HelloClient(target, self.settings, budget)

        async def ask() -> Attempt[PlainEvidence]:
            login, said = await self._login(client, protocol, names) if REQUIRED in asked else (_not_run(), "")
            injection = await self._injection(client, protocol, names) if NO_INJECTION in asked else _not_run()
            return Attempt.ok(PlainEvidence(login, said, injection))

        return await cut_off(ask(), lambda: budget.deadline, lambda failure: Attempt(failure=failure))

    async def _asked_to_upgrade(self, target: Target, budget: Budget) -> Attempt[PlainEvidence]:
        address, endpoint = target.address, target.endpoint
        assert address is not None  # noqa: S101  # else it speaks no plain HTTP
        assert endpoint.http_port is not None  # noqa: S101  # as above
        port = address.http_port if address.http_port is not None else endpoint.http_port
        there = dataclasses.replace(target, address=Address(address.ip, port))
        client = HelloClient(there, self.settings, budget)
        question = upgrade_request(Url.of("http", endpoint.host, endpoint.http_port, "/").authority, self.settings)
        name = None if endpoint.is_address else endpoint.host

        async def ask() -> Attempt[PlainEvidence]:
            found = await client.converse(partial(asked_to_upgrade, question=question, server_name=name))
            upgrade = Attempt(failure=found) if isinstance(found, Failure) else found
            return Attempt.ok(PlainEvidence(upgrade=upgrade))

        return await cut_off(ask(), lambda: budget.deadline, lambda failure: Attempt(failure=failure))

    async def _login(self, client: HelloClient, protocol: StartTls, names: Names) -> tuple[Attempt[PlainLogin], str]:
        begin = LOGINS.get(protocol)
        if begin is None:
            return Attempt.failed(FailureReason.UNSUPPORTED, f"{protocol} defines no login"), ""
        if protocol is StartTls.LDAP and not self.settings.intrusive:
            return Attempt.failed(FailureReason.NOT_ASKED, "a bind looks like an attack, which is switched off"), ""

        async def talk(stream: TcpStream) -> tuple[PlainLogin, bytes]:
            return await begin(stream, names)

        found = await client.converse(talk, upgraded=False)
        if isinstance(found, Failure):
            return Attempt(failure=found), ""
        return Attempt.ok(found[0]), printable(found[1].decode("utf-8", "replace").strip())

    async def _injection(self, client: HelloClient, protocol: StartTls, names: Names) -> Attempt[bool]:
        ahead = AHEAD.get(protocol)
        if ahead is None:
            return Attempt.failed(FailureReason.UNSUPPORTED, f"{protocol} has no lines that could be sent ahead")
        if not self.settings.intrusive:
            return Attempt.failed(FailureReason.NOT_ASKED, "probes that look like attacks are switched off (intrusive)")

        async def talk(stream: TcpStream) -> Attempt[bool]:
            injecting = stream.become(_Injecting)
            injecting.command = ahead.command
            secured = _Secured(await upgrade(injecting, protocol, names), names.host)
            try:
                await secured.handshake()
            except ssl.SSLError as error:
                why = f"no handshake was made after the command: {error.reason or error}"
                return Attempt.failed(FailureReason.HANDSHAKE_FAILED, why)
            answer = await secured.unasked()
            return Attempt.ok(bool(answer) and ahead.answer in answer)

        found = await client.converse(talk, upgraded=False)
        return Attempt(failure=found) if isinstance(found, Failure) else found


def _not_run() -> Attempt[Any]:
    return Attempt(failure=Failure(FailureReason.NOT_RUN))


class _Injecting(TcpStream):
    """Sends a command in the same segment as the request for TLS."""

    command = b""

    async def send(self, data: bytes) -> None:
        if data.upper().endswith(_REQUESTS):
            data += self.command
        await super().send(data)


class _Secured:
    """TLS over a stream that was upgraded."""

    def __init__(self, stream: TcpStream, host: str) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = tolerant_context(None)
        context.sslobject_class = ssl.SSLObject
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def handshake(self) -> None:
        """Make it.

        Raises:
            ssl.SSLError: it fails.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
                continue
            await self._flush()
            return

    async def unasked(self) -> bytes:
        """What the server says although nothing was said to it inside TLS."""
        with contextlib.suppress(TimeoutError, ssl.SSLError, PreludeError):
            async with asyncio.timeout(_LISTENING_S):
                while True:
                    with contextlib.suppress(ssl.SSLWantReadError):
                        return self._tls.read(4096)
                    await self._feed()
        return b""

    async def _feed(self) -> None:
        data = await self._stream.receive()
        if not data:
            raise PreludeError(FailureReason.RESET, "the connection ended in the handshake")
        self._incoming.write(data)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._stream.send(self._outgoing.read())
