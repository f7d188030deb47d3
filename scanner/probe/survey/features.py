"""The single questions: how to speak to the server at all, names it was not asked under, downgrades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tlslite.constants import AlertDescription  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Attempt, Failure, FailureReason, NameReaction, Protocol
from scanner.probe import iana
from scanner.probe.survey.answer import Answer, Outcome, Refusal
from scanner.probe.survey.hello import Offer
from scanner.probe.survey.offers import Found, Manner
from scanner.probe.survey.wire import Questioner

WRONG_NAME: Final = "wrong-name.invalid"
"""A name that no server has (RFC 6761 section 6.4)."""
SIZE: Final = "size"
VERSION: Final = "version"
RATE: Final = "rate"

_MODERN: Final = (Protocol.TLS1_3, Protocol.TLS1_2, Protocol.TLS1_1, Protocol.TLS1_0)
_SMALL_SUITES: Final = 12
_FEW_SUITES: Final = 6
_FINAL: Final = frozenset(
    {
        FailureReason.REFUSED,
        FailureReason.UNREACHABLE,
        FailureReason.NOT_TLS,
        FailureReason.STARTTLS_REFUSED,
        FailureReason.DEADLINE,
    }
)
"""Failures of the first connection that a smaller hello would not mend."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the first words showed: how to speak, and which unusual but correct hellos the server does not stand.

    `answer` is the one to a hello that offered everything, None where the server did not accept that.
    """

    manner: Manner
    intolerances: tuple[str, ...] = ()
    answer: Answer | None = None


async def greet(questioner: Questioner, server_name: str | None, plain_host: str | None = None) -> Greeting | Failure:
    """Find a hello that the server answers, beginning with the one that offers everything.

    A server that breaks off over it, and answers a small one, is spoken to in small ones from then on. One that says
    nothing may be waiting for the end of a line: where `plain_host` is given, it is asked for that host in plain HTTP.
    """
    large, small = Manner(server_name), Manner(server_name, small=True)
    first = await questioner.first(_modern(large))
    if isinstance(first, Answer):
        return Greeting(large, answer=first)
    if isinstance(first, Failure) and first.reason in _FINAL:
        return first
    silent = isinstance(first, Failure) and first.reason is FailureReason.TIMED_OUT
    if silent and plain_host is not None and await questioner.speaks_http(plain_host):
        return Failure(FailureReason.NOT_TLS, "it answers plain HTTP")
    older: list[Protocol] = [Protocol.TLS1_2] if silent else [Protocol.TLS1_2, Protocol.TLS1_0]
    for protocol in older:
        outcome = await questioner.first(_small(small, protocol))
        if isinstance(outcome, Answer):
            return await _intolerances(questioner, large, small, first, protocol)
    if isinstance(first, Refusal):
        return Greeting(large)  # it speaks TLS, and may yet accept something
    return first


async def _intolerances(
    questioner: Questioner, large: Manner, small: Manner, first: Outcome, protocol: Protocol
) -> Greeting:
    """A small, old hello is answered where a large, new one was not: was it the size, or the version?"""
    if isinstance(first, Failure) and first.reason is FailureReason.TIMED_OUT:
        # One answer may be late because the server, the network or this machine is busy.
        first = await questioner.first(_modern(large))
        if isinstance(first, Answer):
            return Greeting(large, answer=first)
    found = []
    old_and_large = await questioner.ask(large.offer(protocol, iana.offered_suites(protocol)), whole=False)
    if not isinstance(old_and_large, Answer):
        found.append(SIZE)
    new_and_small = await questioner.ask(_small_and_new(small))
    if not isinstance(new_and_small, Answer):
        found.append(VERSION)
    if not found and isinstance(first, Failure):
        found.append(SIZE)  # each alone is stood, both together are not
    return Greeting(small if SIZE in found else large, tuple(found))


def _modern(manner: Manner) -> Offer:
    suites = (*iana.offered_suites(Protocol.TLS1_3), *iana.offered_suites(Protocol.TLS1_2))
    groups = tuple(dict.fromkeys((*iana.offered_groups(Protocol.TLS1_3), *iana.offered_groups(Protocol.TLS1_2))))
    offer = manner.offer(Protocol.TLS1_3, suites, groups=groups if not manner.small else None)
    schemes = tuple(dict.fromkeys((*offer.schemes, *iana.offered_schemes(Protocol.TLS1_2))))
    return replace(offer, protocols=_MODERN, schemes=schemes if not manner.small else offer.schemes)


def _small(manner: Manner, protocol: Protocol) -> Offer:
    return manner.offer(protocol, _few(protocol, _SMALL_SUITES))


def _small_and_new(small: Manner) -> Offer:
    suites = (*_few(Protocol.TLS1_3, _FEW_SUITES), *_few(Protocol.TLS1_2, _FEW_SUITES))
    return replace(_modern(small), suites=suites)


def _few(protocol: Protocol, most: int) -> list[int]:
    """The first few, with one old suite of each kind that the oldest servers have."""
    suites = iana.offered_suites(protocol)
    oldest = (0x002F, 0x000A, 0x0005)  # TLS_RSA_WITH_AES_128_CBC_SHA, …_3DES_EDE_CBC_SHA, …_RC4_128_SHA
    return [*suites[:most], *(code for code in oldest if code in suites[most:])]


async def asked_under(questioner: Questioner, manner: Manner, found: Found, name: str | None) -> Outcome:
    """What the server answers to `name` (None: to no name) in a protocol of which something has been accepted."""
    other = replace(manner, server_name=name)
    # Another name may be served by another kind of certificate, which needs other suites.
    suites = found.suites if manner.small else iana.offered_suites(found.protocol)
    return await questioner.ask(other.offer(found.protocol, suites, key_shares=found.key_shares))


def name_reaction(outcome: Outcome, found: Found) -> Attempt[NameReaction]:
    """What that answer means beside those `found` under the right name.

    Judged by the certificate, up to TLS 1.2: in TLS 1.3 that is encrypted, and only a refusal shows.
    """
    if isinstance(outcome, Failure):
        return Attempt(failure=outcome)
    if isinstance(outcome, Refusal):
        unrecognized = outcome.alert == AlertDescription.unrecognized_name
        return Attempt.ok(NameReaction.UNRECOGNIZED_NAME if unrecognized else NameReaction.ALERT)
    if not outcome.chain:
        return Attempt.failed(FailureReason.UNSUPPORTED, "the certificate is encrypted in TLS 1.3")
    usual = {answer.chain[0] for answer in found.answers if answer.chain}
    same = outcome.chain[0] in usual
    return Attempt.ok(NameReaction.SAME_CERTIFICATE if same else NameReaction.OTHER_CERTIFICATE)


async def fallback_scsv(questioner: Questioner, manner: Manner, negotiated: Sequence[Found]) -> Attempt[bool]:
    """Whether a downgrade is refused (RFC 7507): asked for the second best protocol, as one would after a failure."""
    if len(negotiated) < 2:  # noqa: PLR2004  # a best and a second best
        return Attempt.failed(FailureReason.UNSUPPORTED, "there is no second protocol to fall back to")
    second = negotiated[-2]
    offer = replace(manner.offer(second.protocol, second.suites), fallback=True)
    outcome = await questioner.ask(offer, whole=False)
    if isinstance(outcome, Failure):
        return Attempt(failure=outcome)
    # The same hello without the signal was accepted, so it is the signal that is refused, by whatever alert.
    return Attempt.ok(isinstance(outcome, Refusal))
