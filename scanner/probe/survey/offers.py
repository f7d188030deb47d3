"""Finds out what a server accepts by offering ever less of it.

Offer everything, note what the server picks, offer the rest, until it refuses: one connection for each thing accepted,
and one more. What shows in the same answer (a suite and a group, a group and a signature scheme) is asked for at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from msgspec import Struct, field

from scanner.evidence import Failure, Protocol
from scanner.probe import iana
from scanner.probe.survey.families import by_family
from scanner.probe.survey.hello import Offer
from scanner.probe.survey.server_flight import ServerFlight
from scanner.probe.survey.shrink import Remainder, Rotation

_SMALL_SUITES: Final = 20
_SMALL_LIST: Final = 10


class HelloTemplate(Struct, frozen=True):
    """How to speak to this server: under which name, and in which hellos, where it does not stand all.

    `small` hellos stay below 256 bytes as far as the name lets them. `limit` is how many suites one may hold, None for
    any number; `apart` keeps families of suites in hellos of their own; `without` are extensions to leave out.
    """

    server_name: str | None
    small: bool = False
    limit: int | None = None
    apart: bool = False
    without: frozenset[int] = frozenset()

    @property
    def whole_lists(self) -> bool:
        """Whether one hello may offer everything that there is."""
        return not self.small and self.limit is None and not self.apart

    @property
    def suites_limit(self) -> int | None:
        """How many suites one hello may hold; None for any number."""
        return min(self.limit or _SMALL_SUITES, _SMALL_SUITES) if self.small else self.limit

    def offer(  # noqa: PLR0913  # all that an offer varies in, by keyword
        self,
        protocol: Protocol,
        suites: Sequence[int],
        *,
        groups: Sequence[int] | None = None,
        schemes: Sequence[int] | None = None,
        alpn: Sequence[str] = (),
        key_shares: Sequence[int] = (),
    ) -> Offer:
        """Build an offer of one protocol. `groups` and `schemes` are all that there are unless given."""
        if protocol is Protocol.SSL2:
            return Offer((protocol,), tuple(suites))
        if groups is None:
            groups = iana.offered_groups(protocol)[: self.list_limit]
        if schemes is None:
            usual = iana.offered_schemes(Protocol.TLS1_3 if protocol is Protocol.TLS1_3 else Protocol.TLS1_2)
            schemes = usual[: self.list_limit]
        return Offer(
            (protocol,),
            tuple(suites)[: self.limit],
            groups=tuple(groups),
            schemes=tuple(schemes) if protocol in {Protocol.TLS1_2, Protocol.TLS1_3} else (),
            server_name=self.server_name,
            alpn=tuple(alpn),
            key_shares=tuple(key_shares),
            small=self.small,
            without=self.without,
        )

    @property
    def list_limit(self) -> int | None:
        """How many groups, or signature schemes, one hello may hold; None for any number."""
        return _SMALL_LIST if self.small else None

    def parts(self, suites: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """The suites in as many hellos as they need; none of two families, where they need several."""
        if self.whole_lists:
            yield tuple(suites)
            return
        for family in by_family(suites).values():
            size = self.suites_limit or len(family)
            for start in range(0, len(family), size):
                yield tuple(family[start : start + size])

    def remainder(self, codes: Sequence[int], accepted: Sequence[int] = ()) -> Remainder:
        """A list to be shrunk, cut to what a hello holds beside other lists. `accepted` is known to be so already."""
        codes = [code for code in codes if code not in accepted]
        size = _SMALL_LIST if self.small else max(1, len(codes))
        first, *later = [codes[start : start + size] for start in range(0, len(codes), size)] or [[]]
        return Remainder(first, list(accepted), later)


class Rotations(Struct):
    """The groups and signature schemes to offer with the next suites, up to TLS 1.2."""

    groups: Rotation
    schemes: dict[str, Rotation]

    @classmethod
    def of(cls, protocol: Protocol) -> Rotations:
        """Everything, in the usual order; schemes by kind of key, because the suite decides on that first."""
        known = iana.signature_schemes()
        by_key: dict[str, Rotation] = {}
        for code in iana.offered_schemes(Protocol.TLS1_2):
            by_key.setdefault(known[code].key, Rotation([])).unseen.append(code)
        return cls(Rotation(list(iana.offered_groups(protocol))), by_key)

    @property
    def offered_schemes(self) -> tuple[int, ...]:
        """All schemes, in the order to offer them next."""
        return tuple(chain.from_iterable(rotation.offered for rotation in self.schemes.values()))

    def note(self, answer: ServerFlight) -> None:
        """Take note of what showed along with a suite."""
        self.groups.note(answer.group)
        scheme = iana.signature_schemes().get(answer.scheme or 0)
        rotation = self.schemes.get(scheme.key) if scheme is not None else None
        if scheme is not None and rotation is not None:  # a server may name one of a kind that was not offered
            rotation.note(scheme.code)


class Enumeration(Struct):
    """What a run found in one protocol: an answer for each suite, in the order in which the server picked them.

    `other_keys` are further answers with suites of those, which showed another ephemeral key. `refused` are the suites
    of lists that were refused as a whole, empty where the version was; `hidden` is set where some of them were accepted
    nevertheless, once they were offered without the others. `unconfirmed` are those of which no handshake is completed.
    `rotations` hold the groups and signature schemes that showed along the way, up to TLS 1.2. `groups` are of TLS 1.3,
    where they show along with the suites, as are `refused_groups`; `not_negotiated` is set where an alert says so.
    `key_shares` are groups for which a key has to be sent because the server sends no HelloRetryRequest.
    `inconsistency` is set where one and the same hello was refused once and accepted once.
    """

    protocol: Protocol
    answers: list[ServerFlight] = field(default_factory=list)
    other_keys: list[ServerFlight] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    hidden: bool = False
    unconfirmed: set[int] = field(default_factory=set)
    rotations: Rotations | None = None
    groups: list[int] = field(default_factory=list)
    refused_groups: list[int] = field(default_factory=list)
    not_negotiated: bool = False
    groups_failure: Failure | None = None
    key_shares: tuple[int, ...] = ()
    failure: Failure | None = None
    inconsistency: Failure | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, answer: ServerFlight) -> None:
        """Take note of an answer; the first tells those who wait for one (`begun`)."""
        self.answers.append(answer)
        self.begun.set()

    @property
    def suites(self) -> tuple[int, ...]:
        """The suites accepted."""
        return tuple(suite for answer in self.answers for suite in answer.suites)


class ApplicationProtocols(Struct):
    """Application protocols (ALPN) to be offered along, those still left to be, and those that were accepted.

    `broke` is set where a server broke off over a hello that offered any, and answered it without them.
    """

    offered: tuple[str, ...]
    left: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    broke: bool = False

    def __post_init__(self) -> None:
        self.left = list(self.offered)

    def note(self, answer: ServerFlight) -> None:
        """Take note of what the server chose; where it chose none, there is nothing more to be found."""
        if answer.alpn in self.left:
            self.left.remove(answer.alpn)
            self.accepted.append(answer.alpn)
        else:
            self.left.clear()
