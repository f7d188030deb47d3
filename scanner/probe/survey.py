"""The survey: what a server accepts, found by ClientHello alone, without cryptography.

Shrinking offers need one connection for each thing accepted and one more (`survey_offers`), and show what a real
handshake by one library cannot: every code point that IANA has registered. What only a finished handshake shows is
left to `scanner.probe.handshake`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, TlsEvidence
from scanner.inventory import Target
from scanner.probe import ProbeSettings
from scanner.probe.handover import Surveyed
from scanner.probe.survey_evidence import Gathered, evidence_of, key_kinds
from scanner.probe.survey_exchange import older_exchange, tls13_schemes
from scanner.probe.survey_features import RATE, WRONG_NAME, Greeting, fallback_scsv, greet, name_reaction
from scanner.probe.survey_offers import (
    ApplicationProtocols,
    Found,
    Manner,
    older_suites,
    server_order,
    ssl2_suites,
    tls13,
)
from scanner.probe.survey_wire import Questioner

_OLDER: Final = (Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_1)
_HTTP_PROTOCOLS: Final = ("h2", "http/1.1")


async def survey(
    target: Target,
    settings: ProbeSettings,
    *,
    places: asyncio.Semaphore | None = None,
    greeted: asyncio.Future[Surveyed | Failure] | None = None,
) -> tuple[Attempt[TlsEvidence], int]:
    """Survey a target, and count the TCP connections that it took.

    `places` bounds the connections open at once in place of `settings.connections_per_target`, so that it can be given
    more on the way; `greeted` is set as soon as the server has been made to answer, or did not.

    Fails as a whole where the first connections show that there is nothing to survey (`refused`, `timed-out`, `reset`,
    `not-tls`, `starttls-refused`, …), or that nothing at all is negotiated (`handshake-failed`). Else each fact fails
    by itself. Ends before `settings.deadline_s` (seconds), with what it has found by then.
    """
    if target.address is None:
        return Attempt.failed(FailureReason.UNRESOLVABLE), 0
    questioner = Questioner(target, settings, places)
    try:
        return await _survey(questioner, target, settings, greeted), questioner.opened
    except Exception as error:  # noqa: BLE001  # one hostile answer, or one mistake here, must not end a run over many
        causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        return Attempt.failed(FailureReason.ENGINE_ERROR, f"{type(causes[0]).__name__}: {causes[0]}"), questioner.opened


async def _survey(
    questioner: Questioner,
    target: Target,
    settings: ProbeSettings,
    greeted: asyncio.Future[Surveyed | Failure] | None,
) -> Attempt[TlsEvidence]:
    server_name = None if target.endpoint.is_address else target.endpoint.host
    http = target.endpoint.role.speaks_http and target.endpoint.starttls is None
    greeting = await greet(questioner, server_name, target.endpoint.host if http else None)
    if greeted is not None and not greeted.done():
        greeted.set_result(greeting if isinstance(greeting, Failure) else _told(greeting))
    if isinstance(greeting, Failure):
        return Attempt(failure=greeting)
    gathered = await _gather(questioner, greeting, target)
    if not any(found.answers or found.failure for found in gathered.found.values()):
        return Attempt.failed(FailureReason.HANDSHAKE_FAILED, "it speaks TLS, but accepts nothing that it was offered")
    if questioner.slowed:
        gathered.greeting = replace(greeting, intolerances=(*greeting.intolerances, RATE))
    return Attempt.ok(evidence_of(gathered, settings.stores_for(target.endpoint.environment)))


def _told(greeting: Greeting) -> Surveyed:
    return Surveyed(greeting.answer.protocol if greeting.answer is not None else None)


async def _gather(questioner: Questioner, greeting: Greeting, target: Target) -> Gathered:
    manner = greeting.manner
    gathered = Gathered(greeting, ApplicationProtocols(_HTTP_PROTOCOLS if target.endpoint.role.speaks_http else ()))
    async with asyncio.TaskGroup() as group:
        group.create_task(_newest(questioner, manner, gathered))
        group.create_task(_older(questioner, manner, gathered, Protocol.TLS1_2, gathered.alpn))
        for protocol in _OLDER:
            group.create_task(_older(questioner, manner, gathered, protocol))
        group.create_task(_ssl2(questioner, manner, gathered))
    negotiated = [found for found in gathered.in_order if found.answers and found.protocol is not Protocol.SSL2]
    plain = [found for found in negotiated if found.protocol is not Protocol.TLS1_3]
    # What is left to be asked builds on what was found: which suites, and which certificates.
    async with asyncio.TaskGroup() as group:
        for found in negotiated:
            group.create_task(_order(questioner, manner, gathered, found))
        if plain and plain[-1].protocol is not Protocol.SSL3:
            group.create_task(_exchange(questioner, manner, gathered, plain[-1].protocol))
        group.create_task(_schemes(questioner, manner, gathered))
        group.create_task(_fallback(questioner, manner, gathered, negotiated))
        shown = next(iter(reversed(plain or negotiated)), None)
        if shown is not None and shown.protocol is not Protocol.SSL3:
            group.create_task(_names(questioner, manner, gathered, shown))
    return gathered


async def _newest(questioner: Questioner, manner: Manner, gathered: Gathered) -> None:
    gathered.found[Protocol.TLS1_3] = await tls13(questioner, manner, gathered.greeting.answer)


async def _older(
    questioner: Questioner,
    manner: Manner,
    gathered: Gathered,
    protocol: Protocol,
    alpn: ApplicationProtocols | None = None,
) -> None:
    gathered.found[protocol] = await older_suites(questioner, manner, protocol, alpn)


async def _ssl2(questioner: Questioner, manner: Manner, gathered: Gathered) -> None:
    gathered.found[Protocol.SSL2] = await ssl2_suites(questioner, manner)


async def _order(questioner: Questioner, manner: Manner, gathered: Gathered, found: Found) -> None:
    gathered.order[found.protocol] = await server_order(questioner, manner, found)


async def _exchange(questioner: Questioner, manner: Manner, gathered: Gathered, protocol: Protocol) -> None:
    found = gathered.found[protocol]
    if found.answers and found.failure is None:
        gathered.exchanges[protocol] = await older_exchange(questioner, manner, found)


async def _schemes(questioner: Questioner, manner: Manner, gathered: Gathered) -> None:
    found = gathered.found[Protocol.TLS1_3]
    if found.answers and found.failure is None:
        keys = key_kinds(gathered.found[Protocol.TLS1_2])
        gathered.schemes13 = await tls13_schemes(questioner, manner, found, keys)


async def _fallback(questioner: Questioner, manner: Manner, gathered: Gathered, negotiated: list[Found]) -> None:
    gathered.fallback = await fallback_scsv(questioner, manner, negotiated)


async def _names(questioner: Questioner, manner: Manner, gathered: Gathered, shown: Found) -> None:
    if manner.server_name is None:
        gathered.without_sni = Attempt.failed(FailureReason.UNSUPPORTED, "the endpoint is an address: it has no name")
    else:
        gathered.without_sni, gathered.nameless = await name_reaction(questioner, manner, shown, None)
    gathered.wrong_sni, _ = await name_reaction(questioner, manner, shown, WRONG_NAME)
