"""The suites accepted before TLS 1.3: long lists first, then what they hid, and in whose order they are chosen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeGuard

from msgspec import structs
from tlslite.constants import AlertDescription  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.families import Family, by_family, family_of, is_chacha20, not_chacha20_first
from scanner.probe.survey.hello import Offer
from scanner.probe.survey.offers import ApplicationProtocols, Enumeration, HelloTemplate, Rotations
from scanner.probe.survey.server_flight import HelloResult, Refusal, ServerFlight

_FINITE = frozenset({Family.FINITE_FIELD, Family.WEAK_FINITE_FIELD})
_AN_ORDER = 2  # suites are needed for one to come before the other
_USUAL = (
    *(0xC02F, 0xC02B, 0xC030, 0xC02C, 0xCCA8, 0xCCA9),  # TLS_ECDHE_… with AES-GCM and ChaCha20
    *(0xC013, 0xC009, 0xC014, 0xC00A),  # TLS_ECDHE_… with AES-CBC
    *(0x002F, 0x0035, 0x000A, 0x0005),  # TLS_RSA_WITH_… AES-128, AES-256, 3DES, RC4
)
"""Suites of which a server has at least one in any version that it speaks, in as few as a box may read."""


async def older_suites(
    client: HelloClient,
    template: HelloTemplate,
    found: Enumeration,
    alpn: ApplicationProtocols | None = None,
    known: ServerFlight | None = None,
) -> Enumeration:
    """The suites accepted in SSL 3.0 to TLS 1.2, added to `found`, which names the protocol, as they are found.

    `known` is the answer to a hello that offered everything, where there was one. Its suite is offered again behind all
    others: a server that has no other, or imposes its order, answers with it what was not asked at first.
    """
    protocol = found.protocol
    found.rotations = Rotations.of(protocol) if template.whole_lists else None
    for part in template.parts(iana.offered_suites(protocol)):
        left = list(part)
        last = known if known is not None and _may_begin(known, protocol, left) else None
        while left:
            names = tuple(alpn.left) if alpn is not None else ()
            offer = _older_offer(template, found, left if last is None else _with_last(left, last), names)
            outcome = await client.ask(offer)
            if alpn is not None and names and _may_be_for_alpn(outcome, alpn):
                alpn.left.clear()
                alpn.broke = isinstance(outcome, Failure) or outcome.alert != AlertDescription.no_application_protocol
                continue
            if _not_negotiated(outcome, protocol):
                found.refused.clear()
                return found
            begun, last = last, None
            if begun is not None and isinstance(outcome, Refusal):
                continue  # it may read no more than the beginning of the list
            _begin(found, alpn, begun, outcome, left)
            if isinstance(outcome, Refusal):
                found.refused += left
                break
            if not _note(found, outcome, left):
                return found
            assert isinstance(outcome, ServerFlight)  # noqa: S101  # all else has been dealt with
            if alpn is not None and names:
                alpn.note(outcome)
    return found


def _may_begin(known: ServerFlight, protocol: Protocol, left: Sequence[int]) -> bool:
    return known.whole and known.protocol is protocol and known.suite in left and len(left) > 1


def _with_last(suites: Sequence[int], last: ServerFlight) -> list[int]:
    return [*(code for code in suites if code != last.suite), last.suite]


def _older_offer(template: HelloTemplate, found: Enumeration, suites: Sequence[int], alpn: Sequence[str]) -> Offer:
    rotations = found.rotations
    return template.offer(
        found.protocol,
        not_chacha20_first(suites),
        groups=rotations.groups.offered if rotations else None,
        schemes=rotations.offered_schemes if rotations else None,
        alpn=alpn,
    )


def _begin(
    found: Enumeration,
    alpn: ApplicationProtocols | None,
    begun: ServerFlight | None,
    outcome: HelloResult,
    left: list[int],
) -> None:
    """Take note of what began it, unless it has been chosen again."""
    if alpn is not None and alpn.broke and not isinstance(outcome, ServerFlight):
        alpn.broke = bool(found.answers)  # it is broken off without any, too
    if begun is not None and not (isinstance(outcome, ServerFlight) and outcome.suite == begun.suite):
        _note(found, begun, left)


def _may_be_for_alpn(outcome: HelloResult, alpn: ApplicationProtocols) -> TypeGuard[Refusal | Failure]:
    """Whether the offer of application protocols may be what was refused: nothing with one was accepted so far."""
    if isinstance(outcome, Refusal) and outcome.alert == AlertDescription.no_application_protocol:
        return True
    if alpn.accepted or isinstance(outcome, ServerFlight):
        return False
    if isinstance(outcome, Failure):
        return outcome.reason in {FailureReason.TIMED_OUT, FailureReason.RESET}
    return outcome.alert is None  # the connection was closed for it


def _not_negotiated(outcome: HelloResult, protocol: Protocol) -> bool:
    """Whether it is the version that is refused, or answered by an older one."""
    if isinstance(outcome, Refusal):
        return bool(outcome.alert == AlertDescription.protocol_version)
    return isinstance(outcome, ServerFlight) and outcome.protocol is not protocol


def _note(found: Enumeration, outcome: HelloResult, left: list[int]) -> bool:
    """Take note of a suite accepted of those left; False where there is none, and the questions have to end."""
    if isinstance(outcome, ServerFlight) and outcome.suite in left:
        found.note(outcome)
        left.remove(outcome.suite)
        if found.rotations is not None:
            found.rotations.note(outcome)
        return True
    if isinstance(outcome, ServerFlight):
        detail = f"the server chose suite 0x{outcome.suite:04X}, which was not offered"
        outcome = Failure.of(FailureReason.INCONSISTENT, detail)
    if isinstance(outcome, Failure):
        found.failure = found.failure or outcome
    return False


async def refused_families(client: HelloClient, template: HelloTemplate, found: Enumeration) -> None:
    """Ask for each family of what was refused alone: one more question for each, where the refusal was of all of it.

    Suites that the long lists hid are added to `found`, which is then put into the order in which the server chooses.
    """
    before = len(found.answers)
    if not before and not await _any_common(client, template, found):
        return
    accepted = frozenset(found.suites)
    families = by_family(code for code in found.refused if code not in accepted)
    if not template.whole_lists:
        # Each was in hellos of its own already; only groups stood beside DHE that may have kept it from being chosen.
        families = {family: codes for family, codes in families.items() if family in _FINITE}
    async with asyncio.TaskGroup() as group:
        for family, suites in families.items():
            for part in template.parts(suites):
                group.create_task(_family(client, template, found, family, list(part)))
    found.hidden = len(found.answers) > before
    if found.hidden and found.failure is None:
        await _put_in_order(client, template, found)


async def _any_common(client: HelloClient, template: HelloTemplate, found: Enumeration) -> bool:
    """Whether a version of which nothing was accepted takes one of its usual suites, without DHE before them."""
    common = [code for code in _USUAL if code in found.refused]
    outcome = await client.ask(template.offer(found.protocol, common))
    if _not_negotiated(outcome, found.protocol) or isinstance(outcome, Refusal):
        return False
    return _note(found, outcome, common)


async def _family(
    client: HelloClient, template: HelloTemplate, found: Enumeration, family: Family, left: list[int]
) -> None:
    groups, known = None, []
    if family in _FINITE:
        # Without groups of RFC 7919 a server takes its own, also for suites that are known to be accepted with those.
        groups = _without_ffdhe(found.protocol, template)
        known = [code for code in found.suites if family_of(code) is family]
    while (left or known) and found.failure is None:
        offer = template.offer(found.protocol, not_chacha20_first([*known, *left]), groups=groups)
        outcome = await client.ask(offer)
        if isinstance(outcome, Failure):
            detail = f"{outcome.detail} (a hello of {family} cipher suites only)".lstrip()
            outcome = Failure.of(outcome.reason, detail)
        if isinstance(outcome, ServerFlight) and outcome.suite in known:
            found.other_keys.append(outcome)
            known.clear()
            continue
        if _not_negotiated(outcome, found.protocol) or isinstance(outcome, Refusal) or not _note(found, outcome, left):
            return


def _without_ffdhe(protocol: Protocol, template: HelloTemplate) -> tuple[int, ...]:
    known = iana.groups()
    groups = [code for code in iana.offered_groups(protocol) if not known[code].finite_field]
    return tuple(groups[: template.list_limit])


async def _put_in_order(client: HelloClient, template: HelloTemplate, found: Enumeration) -> None:
    """Offer what is accepted, and nothing else, once more, and bring the answers into the order of the choices.

    Where the server does not go along to the end, what is left keeps the order in which it was found.
    """
    groups = _without_ffdhe(found.protocol, template)
    by_suite = {answer.suite: answer for answer in found.answers}
    offered = [code for code in iana.offered_suites(found.protocol) if code in by_suite]
    order: list[int] = []
    while len(offered) > 1:
        outcome = await _ask_accepted(
            client, template.offer(found.protocol, not_chacha20_first(offered), groups=groups), found
        )
        if not isinstance(outcome, ServerFlight) or outcome.suite not in offered:
            break
        offered.remove(outcome.suite)
        order.append(outcome.suite)
    order += [code for code in by_suite if code not in order]
    found.answers[:] = [by_suite[code] for code in order]


async def ssl2_suites(client: HelloClient, template: HelloTemplate) -> Enumeration:
    """The cipher kinds of SSL 2.0. There the server lists all that it has, and one question is enough."""
    found = Enumeration(Protocol.SSL2)
    outcome = await client.ask(template.offer(Protocol.SSL2, iana.offered_suites(Protocol.SSL2)))
    if isinstance(outcome, ServerFlight) and outcome.protocol is Protocol.SSL2:
        found.answers.append(outcome)
    elif isinstance(outcome, Failure):
        found.failure = outcome
    return found


async def server_order(client: HelloClient, template: HelloTemplate, found: Enumeration) -> bool | None:
    """Whether the server imposes its order of suites; None where that could not be found out, or means nothing.

    ChaCha20 is left out where there is enough beside it: servers that impose their order make an exception for clients
    that put it first (`chacha20_exception`).
    """
    if found.failure is not None or found.protocol is Protocol.SSL2:
        return None
    suites = [suite for suite in found.suites if not is_chacha20(suite)]
    if len(suites) < _AN_ORDER:
        suites = list(found.suites)
    if len(suites) < _AN_ORDER:
        return None
    offered = [suite for suite in iana.offered_suites(found.protocol) if suite in suites]
    if suites != offered and template.whole_lists:
        return True  # it did not follow ours
    outcome = await _ask_in_order(client, template, found, suites[::-1])
    return outcome.suite == suites[0] if isinstance(outcome, ServerFlight) else None


async def chacha20_exception(client: HelloClient, template: HelloTemplate, found: Enumeration) -> bool | None:
    """Whether a server that imposes its order gives ChaCha20 to a client that puts it first; None where unknown."""
    preferred = [suite for suite in found.suites if is_chacha20(suite)]
    if not preferred or found.suites[0] in preferred:
        return None
    others = [suite for suite in found.suites if suite not in preferred]
    outcome = await _ask_in_order(client, template, found, [*preferred, *others])
    return outcome.suite in preferred if isinstance(outcome, ServerFlight) else None


async def _ask_in_order(
    client: HelloClient, template: HelloTemplate, found: Enumeration, suites: Sequence[int]
) -> HelloResult:
    groups = found.groups or (_without_ffdhe(found.protocol, template) if found.hidden else None)
    offer = template.offer(found.protocol, suites, groups=groups, key_shares=found.key_shares)
    return await _ask_accepted(client, structs.replace(offer, suites=tuple(suites)[: template.limit]), found)


async def _ask_accepted(client: HelloClient, offer: Offer, found: Enumeration) -> HelloResult:
    """Ask for what was accepted before, and nothing else: where that is refused once and accepted again, note it.

    A name may lead to servers that differ, of which each connection reaches another one.
    """
    outcome = await client.ask(offer, whole=False)
    if isinstance(outcome, Refusal) and isinstance(again := await client.ask(offer, whole=False), ServerFlight):
        detail = f"the same hello of {found.protocol} was refused ({outcome.name}) and accepted"
        found.inconsistency = found.inconsistency or Failure.of(FailureReason.INCONSISTENT, detail)
        return again
    return outcome
