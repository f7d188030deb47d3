"""How a server can be spoken to at all: the ClientHello that it answers, and those that it does not stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.survey.hello import Offer
from scanner.probe.survey.offers import HelloTemplate
from scanner.probe.survey.server_flight import HelloResult, Refusal, ServerFlight
from scanner.probe.survey.wire import Questioner

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
        FailureReason.UNAVAILABLE,
        FailureReason.DEADLINE,
    }
)
"""Failures of the first connection that a smaller hello would not mend."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the first hellos showed: how to build offers, and which correct hellos the server does not stand.

    `answer` is the one to a hello that offered everything, None where the server did not accept that.
    """

    template: HelloTemplate
    intolerances: tuple[str, ...] = ()
    answer: ServerFlight | None = None


async def find_baseline(
    questioner: Questioner, server_name: str | None, plain_host: str | None = None
) -> Baseline | Failure:
    """Find a hello that the server answers, beginning with the one that offers everything.

    A server that breaks off over it, and answers a small one, is spoken to in small ones from then on. One that says
    nothing may be waiting for the end of a line: where `plain_host` is given, it is asked for that host in plain HTTP.
    """
    large, small = HelloTemplate(server_name), HelloTemplate(server_name, small=True)
    first = await questioner.first(_modern(large))
    if isinstance(first, ServerFlight):
        return Baseline(large, answer=first)
    if isinstance(first, Failure) and first.reason in _FINAL:
        return first
    silent = isinstance(first, Failure) and first.reason is FailureReason.TIMED_OUT
    if silent and plain_host is not None and await questioner.speaks_http(plain_host):
        return Failure(FailureReason.NOT_TLS, "it answers plain HTTP")
    older: list[Protocol] = [Protocol.TLS1_2] if silent else [Protocol.TLS1_2, Protocol.TLS1_0]
    for protocol in older:
        outcome = await questioner.first(_small(small, protocol))
        if isinstance(outcome, ServerFlight):
            return await _intolerances(questioner, large, small, first, protocol)
    if isinstance(first, Refusal):
        return Baseline(large)  # it speaks TLS, and may yet accept something
    return first


async def _intolerances(
    questioner: Questioner, large: HelloTemplate, small: HelloTemplate, first: HelloResult, protocol: Protocol
) -> Baseline:
    """A small, old hello is answered where a large, new one was not: was it the size, or the version?"""
    if isinstance(first, Failure) and first.reason is FailureReason.TIMED_OUT:
        # One answer may be late because the server, the network or this machine is busy.
        first = await questioner.first(_modern(large))
        if isinstance(first, ServerFlight):
            return Baseline(large, answer=first)
    found = []
    old_and_large = await questioner.ask(large.offer(protocol, iana.offered_suites(protocol)), whole=False)
    if not isinstance(old_and_large, ServerFlight):
        found.append(SIZE)
    new_and_small = await questioner.ask(_small_and_new(small))
    if not isinstance(new_and_small, ServerFlight):
        found.append(VERSION)
    if not found and isinstance(first, Failure):
        found.append(SIZE)  # each alone is stood, both together are not
    return Baseline(small if SIZE in found else large, tuple(found))


def _modern(template: HelloTemplate) -> Offer:
    suites = (*iana.offered_suites(Protocol.TLS1_3), *iana.offered_suites(Protocol.TLS1_2))
    groups = tuple(dict.fromkeys((*iana.offered_groups(Protocol.TLS1_3), *iana.offered_groups(Protocol.TLS1_2))))
    offer = template.offer(Protocol.TLS1_3, suites, groups=groups if not template.small else None)
    schemes = tuple(dict.fromkeys((*offer.schemes, *iana.offered_schemes(Protocol.TLS1_2))))
    return replace(offer, protocols=_MODERN, schemes=schemes if not template.small else offer.schemes)


def _small(template: HelloTemplate, protocol: Protocol) -> Offer:
    return template.offer(protocol, _few(protocol, _SMALL_SUITES))


def _small_and_new(small: HelloTemplate) -> Offer:
    suites = (*_few(Protocol.TLS1_3, _FEW_SUITES), *_few(Protocol.TLS1_2, _FEW_SUITES))
    return replace(_modern(small), suites=suites)


def _few(protocol: Protocol, most: int) -> list[int]:
    """The first few, with one old suite of each kind that the oldest servers have."""
    suites = iana.offered_suites(protocol)
    oldest = (0x002F, 0x000A, 0x0005)  # TLS_RSA_WITH_AES_128_CBC_SHA, …_3DES_EDE_CBC_SHA, …_RC4_128_SHA
    return [*suites[:most], *(code for code in oldest if code in suites[most:])]
