"""Finds out how keys are agreed upon and signed: groups up to TLS 1.2, and signature schemes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from msgspec import Struct, structs

from scanner.evidence import Attempt, Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.hello import KEY_SHARE_GROUPS
from scanner.probe.survey.offers import Enumeration, HelloTemplate
from scanner.probe.survey.primes import known_primes
from scanner.probe.survey.server_flight import HelloResult, Refusal, ServerFlight
from scanner.probe.survey.shrink import Remainder, shrink

_UNKNOWN_SCHEME: Final = 0xFE7F  # of the range for private use: nobody signs with it


class GroupsAndSchemes(Struct, frozen=True):
    """The groups and signature schemes of one protocol, in the order in which the server chose them."""

    groups: Attempt[tuple[int, ...]]
    schemes: Attempt[tuple[int, ...]]


Ask = Callable[[Sequence[int], Sequence[int], Sequence[int]], Awaitable[HelloResult]]
"""Asks a server for some suites with some groups and some signature schemes."""


class _Exchanges(Struct, frozen=True):
    """The suites accepted, by what is agreed upon with them."""

    elliptic: tuple[int, ...]
    finite: tuple[int, ...]
    anonymous: tuple[int, ...]

    @classmethod
    def of(cls, suites: Sequence[int]) -> _Exchanges:
        """Sort accepted suites by their key exchange."""
        known = iana.cipher_suites()

        def those(*beginnings: str) -> tuple[int, ...]:
            return tuple(code for code in suites if known[code].key_exchange.startswith(beginnings))

        return cls(those("ECDHE_RSA", "ECDHE_ECDSA"), those("DHE_RSA", "DHE_DSS"), those("ECDH_anon"))

    @property
    def with_curves(self) -> tuple[int, ...]:
        """Suites whose answer shows a curve; signed ones where there are, for they show a signature scheme too."""
        return self.elliptic or self.anonymous

    @property
    def with_ecdsa(self) -> bool:
        """Whether a suite is signed by an ECDSA key, whose own curve has to be among those offered."""
        return any("ECDSA" in iana.cipher_suites()[code].key_exchange for code in self.elliptic)


async def groups_and_schemes(client: HelloClient, template: HelloTemplate, found: Enumeration) -> GroupsAndSchemes:
    """Groups up to TLS 1.2, and signature schemes of TLS 1.2, with the suites found before.

    A group and a scheme show in the same answer. Begins with what the suites showed already, and leaves it at that
    where the server broke off over them.
    """
    exchanges = _Exchanges.of(found.suites)
    curves, schemes = _curves(template, found, exchanges), _schemes(template, found, exchanges)
    finite = _FiniteGroups.seen_in(found)

    async def ask(suites: Sequence[int], some_groups: Sequence[int], some_schemes: Sequence[int]) -> HelloResult:
        return await client.ask(template.offer(found.protocol, suites, groups=some_groups, schemes=some_schemes))

    cut_off = found.failure
    if cut_off is None:
        cut_off = await _shrink_both(curves, schemes, exchanges, ask)
    if cut_off is None and exchanges.finite:
        cut_off = await finite.ask_for_the_rest(
            lambda some_groups: ask(exchanges.finite, some_groups, schemes.accepted)
        )
    groups = (*curves.accepted, *finite.accepted)
    return GroupsAndSchemes(
        Attempt.until(cut_off or curves.failure, groups, empty=not groups),
        Attempt.until(cut_off or schemes.failure, tuple(schemes.accepted), empty=not schemes.accepted),
    )


def _curves(template: HelloTemplate, found: Enumeration, exchanges: _Exchanges) -> Remainder:
    """The groups that are no finite fields, begun with those seen; none is left where their order proved it."""
    known = iana.groups()
    offered = [code for code in iana.offered_groups(found.protocol) if not known[code].finite_field]
    if not exchanges.with_curves:
        offered = []
    curves = template.remainder(offered, _seen(offered, (answer.group for answer in found.answers)))
    if found.rotations is not None and found.rotations.groups.complete:
        curves.left.clear()
    return curves


def _schemes(template: HelloTemplate, found: Enumeration, exchanges: _Exchanges) -> Remainder:
    """The signature schemes, in the same way; only TLS 1.2 has them."""
    signed = found.protocol is Protocol.TLS1_2 and (exchanges.elliptic or exchanges.finite)
    offered = iana.offered_schemes(Protocol.TLS1_2) if signed else ()
    schemes = template.remainder(offered, _seen(offered, (answer.scheme for answer in found.answers)))
    rotations = found.rotations.schemes.values() if found.rotations is not None else ()
    if rotations and all(rotation.complete for rotation in rotations if rotation.seen):
        schemes.left.clear()
    return schemes


def _seen(offered: Sequence[int], codes: Iterable[int | None]) -> list[int]:
    return [code for code in dict.fromkeys(codes) if code is not None and code in offered]


async def _shrink_both(curves: Remainder, schemes: Remainder, exchanges: _Exchanges, ask: Ask) -> Failure | None:
    """Find the curves and the schemes that are accepted, or what cuts that off."""
    suites = exchanges.with_curves or exchanges.finite

    async def ask_for(some_groups: Sequence[int], some_schemes: Sequence[int]) -> HelloResult:
        return await ask(suites, some_groups, some_schemes)

    failure = await shrink(curves, schemes, ask_for, lambda answer: (answer.group, answer.scheme))
    if failure is None and exchanges.with_ecdsa:
        failure = await _beside_the_certificate(curves, schemes, ask_for)
    return failure


async def _beside_the_certificate(
    groups: Remainder, schemes: Remainder, ask: Callable[[Sequence[int], Sequence[int]], Awaitable[HelloResult]]
) -> Failure | None:
    """Ask for the groups refused once more, along with those accepted.

    Up to TLS 1.2 the client's list says what curve an ECDSA certificate may have, too (RFC 8422 section 5.1): without
    the certificate's own, a server refuses, whatever it thinks of the rest.
    """
    while groups.refused:
        outcome = await ask([*groups.refused, *groups.accepted], schemes.accepted)
        if isinstance(outcome, Failure):
            return outcome
        if isinstance(outcome, Refusal) or outcome.group not in groups.refused:
            return None
        groups.refused.remove(outcome.group)
        groups.accepted.append(outcome.group)
    return None


@cache
def _ffdhe_primes() -> Mapping[int, int]:
    """The code points of the groups of RFC 7919, by their primes: a ServerKeyExchange shows the prime alone."""
    names = {name: prime for prime, name in known_primes().items()}
    return {names[group.name]: code for code, group in iana.groups().items() if group.name in names}


class _FiniteGroups(Struct):
    """The groups of RFC 7919 that were chosen, and those that may yet be, because they are asked for."""

    accepted: list[int]
    left: list[int]

    @classmethod
    def seen_in(cls, found: Enumeration) -> _FiniteGroups:
        """Begin with those whose primes showed along with the suites."""
        primes = _ffdhe_primes()
        accepted = list(dict.fromkeys(primes[a.dh_prime or 0] for a in found.answers if a.dh_prime in primes))
        return cls(accepted, [code for code in primes.values() if code not in accepted])

    async def ask_for_the_rest(self, ask: Callable[[Sequence[int]], Awaitable[HelloResult]]) -> Failure | None:
        """Ask until the server goes back to another group. One that chose none of them so far has its own."""
        while self.left and self.accepted:
            outcome = await ask(self.left)
            if isinstance(outcome, Failure):
                return outcome
            code = _ffdhe_primes().get(outcome.dh_prime or 0) if isinstance(outcome, ServerFlight) else None
            if code not in self.left:
                return None
            self.left.remove(code)
            self.accepted.append(code)
        return None


async def tls13_signature_schemes(
    client: HelloClient, template: HelloTemplate, found: Enumeration, expected: frozenset[int]
) -> Attempt[tuple[int, ...]]:
    """The signature schemes accepted in TLS 1.3, where the signature itself is encrypted.

    A server refuses a hello with none that it could sign with. One that answers before it looks tells nothing: that is
    tried with a scheme that nobody has. `expected` are those that go with the certificates seen, empty where none was;
    all others are refused in one go, and if they are not, it is searched for what is accepted of each kind.
    """

    async def ask(schemes: Sequence[int]) -> HelloResult:
        offer = template.offer(
            Protocol.TLS1_3, found.suites, groups=found.groups, schemes=schemes, key_shares=found.key_shares
        )
        return await client.ask(offer, whole=False)

    known, schemes = iana.signature_schemes(), iana.offered_schemes(Protocol.TLS1_3)
    likely = [code for code in schemes if code in expected]
    if likely:
        outcome = await ask([*(code for code in schemes if code not in likely), _UNKNOWN_SCHEME])
        if isinstance(outcome, Refusal):
            accepted: list[int] = []
            return _listed(accepted, await _halve(ask, likely, accepted, certain=True))
    else:
        outcome = await ask([_UNKNOWN_SCHEME])
    shares = tuple(group for group in KEY_SHARE_GROUPS if group in found.groups)
    if isinstance(outcome, ServerFlight) and shares and not found.key_shares:
        # With a key the server can go on to its ServerHello, before which it has to know how it will sign.
        found = structs.replace(found, key_shares=shares)
        outcome = await ask([_UNKNOWN_SCHEME])
    elif isinstance(outcome, ServerFlight) and likely:
        outcome = await ask([_UNKNOWN_SCHEME])
    if isinstance(outcome, ServerFlight):
        return Attempt.failed(FailureReason.UNSUPPORTED, "the server answers before it chooses how to sign")
    if isinstance(outcome, Failure):
        return Attempt(failure=outcome)
    accepted = []
    for key in dict.fromkeys(known[code].key for code in schemes):
        failure = await _halve(ask, [code for code in schemes if known[code].key == key], accepted)
        if failure is not None:
            return _listed(accepted, failure)
    # In one order, however much was known of the keys when it was asked.
    return _listed([code for code in schemes if code in accepted], None)


def _listed(accepted: Sequence[int], failure: Failure | None) -> Attempt[tuple[int, ...]]:
    return Attempt.until(failure, tuple(accepted), empty=not accepted)


async def _halve(
    ask: Callable[[Sequence[int]], Awaitable[HelloResult]],
    schemes: Sequence[int],
    accepted: list[int],
    *,
    certain: bool = False,
) -> Failure | None:
    """Add those of `schemes` that are accepted alone. `certain` is whether one of them is known to be."""
    if not certain:
        outcome = await ask(schemes)
        if isinstance(outcome, Failure):
            return outcome
        if isinstance(outcome, Refusal):
            return None
    if len(schemes) == 1:
        accepted += schemes
        return None
    middle, before = len(schemes) // 2, len(accepted)
    failure = await _halve(ask, schemes[:middle], accepted)
    return failure or await _halve(ask, schemes[middle:], accepted, certain=len(accepted) == before)
