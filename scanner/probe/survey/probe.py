"""The survey: what a server accepts, found by ClientHello alone, without cryptography.

Shrinking offers need one connection for each thing accepted and one more (`survey_offers`), and show what a real
handshake by one library cannot: every code point that IANA has registered. What only a finished handshake shows is
left to `scanner.probe.handshake.probe`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, TlsEvidence
from scanner.inventory import Target
from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Budget
from scanner.probe.survey.certificates import likely_schemes
from scanner.probe.survey.evidence import Gathered, evidence_of
from scanner.probe.survey.exchange import older_exchange, tls13_schemes
from scanner.probe.survey.features import (
    RATE,
    WRONG_NAME,
    Greeting,
    asked_under,
    fallback_scsv,
    greet,
    name_reaction,
)
from scanner.probe.survey.offers import (
    ApplicationProtocols,
    Found,
    Manner,
    older_suites,
    server_order,
    ssl2_suites,
    tls13,
)
from scanner.probe.survey.wire import Questioner
from scanner.probe.tls.division import Surveyed

_OLDER: Final = (Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_1)
_HTTP_PROTOCOLS: Final = ("h2", "http/1.1")


async def survey(
    target: Target,
    settings: ProbeSettings,
    *,
    budget: Budget | None = None,
    greeted: asyncio.Future[Surveyed | Failure | None] | None = None,
) -> tuple[Attempt[TlsEvidence], int]:
    """Survey a target, and count the TCP connections that it took.

    `budget` is the target's, shared with its other probes; without one, the settings' limits are for the survey alone.
    `greeted` is set as soon as the server has been made to answer, or did not.

    Fails as a whole where the first connections show that there is nothing to survey (`refused`, `timed-out`, `reset`,
    `not-tls`, `starttls-refused`, …), or that nothing at all is negotiated (`handshake-failed`). Else each fact fails
    by itself. Ends before the budget's deadline, with what it has found by then.
    """
    if target.address is None:
        return Attempt.failed(FailureReason.UNRESOLVABLE), 0
    questioner = Questioner(target, settings, budget or Budget.alone(settings, target.address.ip))
    try:
        return await _survey(questioner, target, settings, greeted), questioner.opened
    except Exception as error:  # noqa: BLE001  # one hostile answer, or one mistake here, must not end a run over many
        causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        return Attempt.failed(FailureReason.ENGINE_ERROR, f"{type(causes[0]).__name__}: {causes[0]}"), questioner.opened


async def _survey(
    questioner: Questioner,
    target: Target,
    settings: ProbeSettings,
    greeted: asyncio.Future[Surveyed | Failure | None] | None,
) -> Attempt[TlsEvidence]:
    server_name = None if target.endpoint.is_address else target.endpoint.host
    http = target.endpoint.role.speaks_http and target.endpoint.starttls is None
    greeting = await greet(questioner, server_name, target.endpoint.host if http else None)
    if greeted is not None and not greeted.done():
        greeted.set_result(greeting if isinstance(greeting, Failure) else _told(greeting))
    if isinstance(greeting, Failure):
        return Attempt(failure=greeting)
    gathered = await _gather(questioner, greeting, target)
    if greeting.answer is None and not any(found.answers or found.failure for found in gathered.found.values()):
        return Attempt.failed(FailureReason.HANDSHAKE_FAILED, "it speaks TLS, but accepts nothing that it was offered")
    if questioner.slowed:
        gathered.greeting = replace(greeting, intolerances=(*greeting.intolerances, RATE))
    return Attempt.ok(evidence_of(gathered, settings.stores_for(target.endpoint.environment)))


def _told(greeting: Greeting) -> Surveyed:
    return Surveyed(greeting.answer.protocol if greeting.answer is not None else None)


async def _gather(questioner: Questioner, greeting: Greeting, target: Target) -> Gathered:
    """Ask all that does not depend on anything side by side, and what does as soon as that is known.

    A chain of questions takes two round trips for each; that of the suites of TLS 1.2 is the longest.
    """
    manner = greeting.manner
    gathered = Gathered(greeting, ApplicationProtocols(_HTTP_PROTOCOLS if target.endpoint.role.speaks_http else ()))
    tls12 = Found(Protocol.TLS1_2)
    async with asyncio.TaskGroup() as group:
        group.create_task(_tls12(questioner, manner, gathered, tls12))
        group.create_task(_newest(questioner, manner, gathered, tls12))
        for protocol in _OLDER:
            group.create_task(_older(questioner, manner, gathered, Found(protocol)))
        group.create_task(_ssl2(questioner, manner, gathered))
        if not manner.small:
            group.create_task(_names(questioner, manner, gathered, tls12))
    negotiated = [found for found in gathered.in_order if found.answers and found.protocol is not Protocol.SSL2]
    plain = [found for found in negotiated if found.protocol is not Protocol.TLS1_3]
    async with asyncio.TaskGroup() as group:
        if plain and plain[-1].protocol not in {Protocol.SSL3, Protocol.TLS1_2}:
            group.create_task(_exchange(questioner, manner, gathered, plain[-1]))
        group.create_task(_fallback(questioner, manner, gathered, negotiated))
        shown = next(iter(reversed(plain or negotiated)), None)
        if shown is not None and shown.protocol is not Protocol.SSL3 and gathered.wrong_name is None:
            group.create_task(_names(questioner, manner, gathered, shown))
    if shown is not None and shown.protocol is not Protocol.SSL3:
        _judge_names(manner, gathered, shown)
    return gathered


async def _tls12(questioner: Questioner, manner: Manner, gathered: Gathered, tls12: Found) -> None:
    """The suites of TLS 1.2, and then all that builds on them."""
    try:
        await older_suites(questioner, manner, tls12, gathered.alpn)
    finally:
        tls12.begun.set()  # or it never will
    gathered.found[Protocol.TLS1_2] = tls12
    async with asyncio.TaskGroup() as group:
        group.create_task(_order(questioner, manner, gathered, tls12))
        group.create_task(_exchange(questioner, manner, gathered, tls12))


async def _newest(questioner: Questioner, manner: Manner, gathered: Gathered, tls12: Found) -> None:
    """The suites and groups of TLS 1.3, and then its schemes: the certificates seen in TLS 1.2 tell where to begin."""
    found = gathered.found[Protocol.TLS1_3] = await tls13(questioner, manner, gathered.greeting.answer)
    async with asyncio.TaskGroup() as group:
        group.create_task(_order(questioner, manner, gathered, found))
        await tls12.begun.wait()
        if found.answers and found.failure is None:
            gathered.schemes13 = await tls13_schemes(questioner, manner, found, likely_schemes(tls12))


async def _older(questioner: Questioner, manner: Manner, gathered: Gathered, found: Found) -> None:
    gathered.found[found.protocol] = await older_suites(questioner, manner, found)
    await _order(questioner, manner, gathered, found)


async def _ssl2(questioner: Questioner, manner: Manner, gathered: Gathered) -> None:
    gathered.found[Protocol.SSL2] = await ssl2_suites(questioner, manner)


async def _order(questioner: Questioner, manner: Manner, gathered: Gathered, found: Found) -> None:
    if found.answers:
        gathered.order[found.protocol] = await server_order(questioner, manner, found)


async def _exchange(questioner: Questioner, manner: Manner, gathered: Gathered, found: Found) -> None:
    if found.answers:
        gathered.exchanges[found.protocol] = await older_exchange(questioner, manner, found)


async def _fallback(questioner: Questioner, manner: Manner, gathered: Gathered, negotiated: list[Found]) -> None:
    gathered.fallback = await fallback_scsv(questioner, manner, negotiated)


async def _names(questioner: Questioner, manner: Manner, gathered: Gathered, found: Found) -> None:
    """Ask without a name and under a wrong one, as soon as anything has been accepted in that protocol."""
    if not found.answers:
        await found.begun.wait()
    if not found.answers:
        return
    if manner.server_name is not None:
        gathered.no_name = await asked_under(questioner, manner, found, None)
    gathered.wrong_name = await asked_under(questioner, manner, found, WRONG_NAME)


def _judge_names(manner: Manner, gathered: Gathered, shown: Found) -> None:
    if manner.server_name is None:
        gathered.without_sni = Attempt.failed(FailureReason.UNSUPPORTED, "the endpoint is an address: it has no name")
    elif gathered.no_name is not None:
        gathered.without_sni = name_reaction(gathered.no_name, shown)
    if gathered.wrong_name is not None:
        gathered.wrong_sni = name_reaction(gathered.wrong_name, shown)
