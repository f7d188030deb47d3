"""How a server can be spoken to at all: the ClientHello that it answers, and those that it does not stand."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from msgspec import Struct, field, structs
from tlslite.constants import ExtensionType  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.families import Family, by_family
from scanner.probe.survey.hello import SIGNED_CERTIFICATE_TIMESTAMP, Offer, to_wire
from scanner.probe.survey.offers import HelloTemplate
from scanner.probe.survey.server_flight import HelloResult, ServerFlight

SIZE: Final = "size"
SIZE_511: Final = "size-511"
VERSION: Final = "version"
SUITE_COUNT: Final = "suite-count"
WEAK_SUITES: Final = "weak-suites"
STATUS_REQUEST: Final = "status-request"
ALPN: Final = "alpn"
EXTENSIONS: Final = "extensions"
RATE: Final = "rate"
"""What an unusual but correct ClientHello broke by: more than 255 or 511 bytes; TLS 1.3; many suites, or some without
encryption, authentication or strength; extensions, of which a server ignores those that it does not know; or by coming
soon after another."""

_MODERN: Final = (Protocol.TLS1_3, Protocol.TLS1_2, Protocol.TLS1_1, Protocol.TLS1_0)
_SMALL_SUITES: Final = 12
_FEW_SUITES: Final = 6
_MORE_SUITES: Final = 30
_MOST_QUESTIONS: Final = 8
_OPTIONAL: Final = frozenset(
    {
        ExtensionType.extended_master_secret,
        ExtensionType.encrypt_then_mac,
        ExtensionType.session_ticket,
        SIGNED_CERTIFICATE_TIMESTAMP,
    }
)
"""Extensions that a server may never have heard of."""
_BARE: Final = frozenset({*_OPTIONAL, ExtensionType.status_request})
_FEWEST_SUITES: Final = 15
_SUITES_IN_511: Final = 60
_OF_A_LONG_LIST: Final = 100
_WEAK: Final = (Family.UNPROTECTED, Family.WEAK_FINITE_FIELD, Family.EXPORT)
_FINAL: Final = frozenset(
    {
        FailureReason.REFUSED,
        FailureReason.UNREACHABLE,
        FailureReason.NOT_TLS,
        FailureReason.STARTTLS_REFUSED,
        FailureReason.TLS_ONLY,
        FailureReason.DEADLINE,
    }
)
"""Failures of the first connection that a smaller hello would not mend."""


class Baseline(Struct, frozen=True):
    """What the first hellos showed: how to build offers, and which correct hellos the server does not stand.

    `answer` is the one to a hello that offered everything, None where the server did not accept that.
    """

    template: HelloTemplate
    intolerances: tuple[str, ...] = ()
    answer: ServerFlight | None = None


async def find_baseline(
    client: HelloClient, server_name: str | None, plain_host: str | None = None
) -> Baseline | Failure:
    """Find a hello that the server answers, beginning with the one that offers everything.

    Where a server breaks off over it, and answers a smaller one, it is found out what it does not stand, and it is
    spoken to without that from then on. One that says nothing to any may be waiting for the end of a line: where
    `plain_host` is given, it is asked for that host in plain HTTP. The last hello is one of SSL 2.0.
    """
    large = HelloTemplate(server_name)
    first = await client.first(_modern(large), whole=True)
    if isinstance(first, ServerFlight):
        return Baseline(large, answer=first)
    if isinstance(first, Failure) and first.reason in {*_FINAL, FailureReason.UNAVAILABLE}:
        return first
    silent = isinstance(first, Failure) and first.reason is FailureReason.TIMED_OUT
    answered = await _answered(client, server_name, silent=silent)
    # Some ports serve both, so plain HTTP is asked for only where no hello is answered.
    if answered is None and silent and plain_host is not None and await client.speaks_http(plain_host):
        answered = Failure(FailureReason.NOT_TLS, "it answers plain HTTP")
    if isinstance(answered, Failure):
        return answered
    if answered is None:
        return first if isinstance(first, Failure) else Baseline(large)  # it speaks TLS, and may yet accept something
    template, protocol = answered
    if protocol is Protocol.SSL2:
        return Baseline(large)
    return await _Search(client, large, template, protocol).narrow(first)


def template_of(server_name: str | None, intolerances: Collection[str]) -> HelloTemplate:
    """How to speak to a server of which it is known what it does not stand (`Baseline.intolerances`)."""
    without = {
        *({ExtensionType.status_request} if STATUS_REQUEST in intolerances else ()),
        *(_OPTIONAL if EXTENSIONS in intolerances else ()),
    }
    limit = _FEWEST_SUITES if SUITE_COUNT in intolerances else None
    return HelloTemplate(server_name, small=SIZE in intolerances, limit=limit, without=frozenset(without))


async def _answered(
    client: HelloClient, server_name: str | None, *, silent: bool
) -> tuple[HelloTemplate, Protocol] | Failure | None:
    """The first of some smaller hellos that is answered: by which template it was built, and of which version.

    A failure where a server that was silent at first answers them in something else than TLS.
    """
    small = HelloTemplate(server_name, small=True)
    bare = structs.replace(small, without=_BARE)
    smaller = [(small, Protocol.TLS1_2), (small, Protocol.TLS1_0), (bare, Protocol.TLS1_2), (small, Protocol.SSL2)]
    if silent:
        # Each takes a whole timeout where nobody is there: all of them are waited for at once.
        del smaller[1]
        asked = (client.first(_small(template, protocol)) for template, protocol in smaller)
        outcomes = await asyncio.gather(*asked)
        found = [hello for hello, outcome in zip(smaller, outcomes, strict=True) if isinstance(outcome, ServerFlight)]
        foreign = (item for item in outcomes if isinstance(item, Failure) and item.reason is FailureReason.NOT_TLS)
        return found[0] if found else next(foreign, None)
    for template, protocol in smaller:
        if isinstance(await client.first(_small(template, protocol)), ServerFlight):
            return template, protocol
    return None


class _Search(Struct):
    """Looks for what keeps a server from answering `large`, where it answered a hello by `template`, of `protocol`.

    One thing more is asked for at a time, by a few connections at most; what has not been tried by then is left out of
    all further hellos, and not told.
    """

    client: HelloClient
    large: HelloTemplate
    template: HelloTemplate
    protocol: Protocol
    found: list[str] = field(default_factory=list)
    asked: int = 0

    async def narrow(self, first: HelloResult) -> Baseline:
        """The template for all that such a server stands, and what it does not."""
        if isinstance(first, Failure) and first.reason is FailureReason.TIMED_OUT:
            # One answer may be late because the server, the network or this machine is busy.
            again = await self.client.first(_modern(self.large), whole=True)
            if isinstance(again, ServerFlight):
                return Baseline(self.large, answer=again)
        everything = self.large.offer(self.protocol, iana.offered_suites(self.protocol))
        if not await self._stands(everything):
            await self._extensions()
            await self._suites()
            await self._sizes()
            if not self.found:
                self.found.append(SUITE_COUNT)  # as many as there are, of which no smaller number broke it
                self.template = structs.replace(self.template, small=False, limit=_OF_A_LONG_LIST)
            small = self.template
        else:
            small, self.template = self.template, self.large
        if self.asked < _MOST_QUESTIONS and not await self._stands(_small_and_new(small)):
            self.found.append(VERSION)
        if not self.found and isinstance(first, Failure):
            self.found.append(SIZE)  # each alone is stood, both together are not
            self.template = small
        return Baseline(self.template, tuple(self.found))

    async def _stands(self, offer: Offer) -> bool:
        self.asked += 1
        return isinstance(await self.client.ask(offer, whole=False), ServerFlight)

    async def _extensions(self) -> None:
        """Whether extensions are stood that the hello answered was without."""
        for name, extensions in {
            STATUS_REQUEST: frozenset({ExtensionType.status_request}),
            EXTENSIONS: _OPTIONAL,
        }.items():
            if self.template.without >= extensions:
                more = structs.replace(self.template, without=self.template.without - extensions)
                if await self._stands(_small(more, self.protocol)):
                    self.template = more
                else:
                    self.found.append(name)

    async def _suites(self) -> None:
        """Whether many suites are stood, and weak ones; all in a hello that is short."""
        many = structs.replace(
            _small(self.template, self.protocol), suites=tuple(_strong(self.protocol)[:_MORE_SUITES])
        )
        if not await self._tried(SUITE_COUNT, many):
            self.template = structs.replace(self.template, limit=_FEWEST_SUITES)
        few = _small(self.template, self.protocol)
        weak = structs.replace(few, suites=(*few.suites[:_SMALL_SUITES], *_weak(self.protocol)))
        if not await self._tried(WEAK_SUITES, weak):
            self.template = structs.replace(self.template, apart=True)

    async def _sizes(self) -> None:
        """Whether long hellos are stood, unless what makes them long is not."""
        if SUITE_COUNT in self.found:
            return
        if await self._tried(SIZE, self._longer(300)):
            self.template = structs.replace(self.template, small=False)
            if not await self._tried(SIZE_511, self._longer(600)):
                self.template = structs.replace(self.template, limit=_SUITES_IN_511)

    async def _tried(self, name: str, offer: Offer) -> bool:
        """Whether the server was asked that, and stands it; what it does not is told."""
        if self.asked >= _MOST_QUESTIONS:
            return False
        stood = await self._stands(offer)
        self.found += [] if stood else [name]
        return stood

    def _longer(self, size: int) -> Offer:
        """A hello of more than `size` bytes: by padding, or by suites to a server that stands no unknown extension."""
        offer = _small(self.template, self.protocol)
        missing = size - len(to_wire(offer))
        if EXTENSIONS not in self.found:
            return structs.replace(offer, padding=missing)
        strong = _strong(self.protocol)
        return structs.replace(offer, suites=tuple(strong[: len(offer.suites) + missing // 2]))


def _strong(protocol: Protocol) -> list[int]:
    families = by_family(iana.offered_suites(protocol))
    return [code for family, codes in families.items() if family not in _WEAK for code in codes]


def _weak(protocol: Protocol) -> list[int]:
    """A suite without encryption, one without authentication, one without strength."""
    names = {code: iana.cipher_suites()[code].name for code in iana.offered_suites(protocol)}
    return [next(code for code, name in names.items() if mark in name) for mark in ("_WITH_NULL_", "_anon_", "EXPORT")]


def _modern(template: HelloTemplate) -> Offer:
    suites = (*iana.offered_suites(Protocol.TLS1_3), *iana.offered_suites(Protocol.TLS1_2))
    groups = tuple(dict.fromkeys((*iana.offered_groups(Protocol.TLS1_3), *iana.offered_groups(Protocol.TLS1_2))))
    offer = template.offer(Protocol.TLS1_3, suites, groups=groups if template.whole_lists else None)
    schemes = tuple(dict.fromkeys((*offer.schemes, *iana.offered_schemes(Protocol.TLS1_2))))
    return structs.replace(offer, protocols=_MODERN, schemes=schemes if template.whole_lists else offer.schemes)


def _small(template: HelloTemplate, protocol: Protocol) -> Offer:
    if protocol is Protocol.SSL2:
        return template.offer(protocol, iana.offered_suites(protocol))
    return structs.replace(template, small=True).offer(protocol, _few(protocol, _SMALL_SUITES))


def _small_and_new(template: HelloTemplate) -> Offer:
    suites = (*_few(Protocol.TLS1_3, _FEW_SUITES), *_few(Protocol.TLS1_2, _FEW_SUITES))
    return structs.replace(_modern(structs.replace(template, small=True)), suites=suites)


def _few(protocol: Protocol, most: int) -> list[int]:
    """The first few, with one old suite of each kind that the oldest servers have."""
    suites = iana.offered_suites(protocol)
    oldest = (0x002F, 0x000A, 0x0005)  # TLS_RSA_WITH_AES_128_CBC_SHA, …_3DES_EDE_CBC_SHA, …_RC4_128_SHA
    return [*suites[:most], *(code for code in oldest if code in suites[most:])]
