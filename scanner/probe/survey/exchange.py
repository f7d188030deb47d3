"""Finds out how keys are agreed upon and signed: groups up to TLS 1.2, signature schemes, and known primes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from tlslite.mathtls import FFDHE_PARAMETERS  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.survey.answer import Answer, Outcome, Refusal
from scanner.probe.survey.hello import KEY_SHARE_GROUPS
from scanner.probe.survey.offers import Found, Manner
from scanner.probe.survey.shrink import Remainder, shrink
from scanner.probe.survey.wire import Questioner

_UNKNOWN_SCHEME: Final = 0xFE7F  # of the range for private use: nobody signs with it
_PUBLISHED: Final = {"RFC2409": "oakley-", "RFC3526": "oakley-", "RFC5114": "rfc5114-", "RFC5054": "rfc5054-"}


@cache
def known_primes() -> Mapping[int, str]:
    """Published primes of finite-field groups, and the names by which the evidence calls them.

    `ffdhe2048` (RFC 7919), `oakley-14` (the MODP groups of RFC 2409 and RFC 3526, by number), `rfc5114-24`,
    `rfc5054-2` (meant for SRP). A prime that two documents publish has its name from the first.
    """
    names: dict[int, str] = {}
    for title, (_, prime) in FFDHE_PARAMETERS.items():
        document, _, name = title.partition(" ")
        names.setdefault(prime, name if document == "RFC7919" else _PUBLISHED[document] + name.removeprefix("group "))
    return names


@dataclass(frozen=True, slots=True)
class Exchange:
    """The groups and signature schemes of one protocol, in the order in which the server chose them."""

    groups: tuple[int, ...] | Failure
    schemes: tuple[int, ...] | Failure


async def older_exchange(questioner: Questioner, manner: Manner, found: Found) -> Exchange:
    """Groups up to TLS 1.2, and signature schemes of TLS 1.2, with the suites found before.

    A group and a scheme show in the same answer. Begins with what the suites showed already.
    """
    known = iana.cipher_suites()
    elliptic = [code for code in found.suites if known[code].key_exchange.startswith(("ECDHE_RSA", "ECDHE_ECDSA"))]
    finite = [code for code in found.suites if known[code].key_exchange.startswith(("DHE_RSA", "DHE_DSS"))]
    anonymous = [code for code in found.suites if known[code].key_exchange.startswith("ECDH_anon")]
    signs = found.protocol is Protocol.TLS1_2

    async def ask(
        some_groups: Sequence[int], some_schemes: Sequence[int], suites: Sequence[int] = elliptic or anonymous or finite
    ) -> Outcome:
        offer = manner.offer(found.protocol, suites, groups=some_groups, schemes=some_schemes)
        return await questioner.ask(offer)

    curves = [code for code in iana.offered_groups(found.protocol) if not iana.groups()[code].finite_field]
    offered = iana.offered_schemes(Protocol.TLS1_2) if signs and (elliptic or finite) else ()
    if not (elliptic or anonymous):
        curves = []
    groups = manner.remainder(curves, _seen(curves, (answer.group for answer in found.answers)))
    schemes = manner.remainder(offered, _seen(offered, (answer.scheme for answer in found.answers)))
    if found.rotations is not None and found.rotations.groups.complete:
        groups.left.clear()
    if found.rotations is not None and all(
        rotation.complete for rotation in found.rotations.schemes.values() if rotation.seen
    ):
        schemes.left.clear()
    failure = await shrink(groups, schemes, ask, lambda answer: (answer.group, answer.scheme))
    if failure is None and any("ECDSA" in known[code].key_exchange for code in elliptic):
        failure = await _beside_the_certificate(groups, schemes, ask)
    negotiated: list[int] = []
    if failure is None and finite:
        failure = await _finite_groups(
            negotiated, found, lambda some_groups: ask(some_groups, schemes.accepted, suites=finite)
        )
    return Exchange(
        failure or groups.failure or (*groups.accepted, *negotiated), failure or schemes.failure or (*schemes.accepted,)
    )


def _seen(offered: Sequence[int], codes: Iterable[int | None]) -> list[int]:
    return [code for code in dict.fromkeys(codes) if code is not None and code in offered]


async def _beside_the_certificate(
    groups: Remainder, schemes: Remainder, ask: Callable[[Sequence[int], Sequence[int]], Awaitable[Outcome]]
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


async def _finite_groups(
    negotiated: list[int], found: Found, ask: Callable[[Sequence[int]], Awaitable[Outcome]]
) -> Failure | None:
    """Which groups of RFC 7919 are chosen because they were asked for, added to `negotiated`."""
    by_prime = {
        prime: code
        for code, group in iana.groups().items()
        for prime, name in known_primes().items()
        if name == group.name
    }
    left = list(by_prime.values())
    for answer in found.answers:
        code = by_prime.get(answer.dh_prime or 0)
        if code in left:
            left.remove(code)
            negotiated.append(code)
    while left and negotiated:
        outcome = await ask(left)
        if isinstance(outcome, Failure):
            return outcome
        code = by_prime.get(outcome.dh_prime or 0) if isinstance(outcome, Answer) else None
        if code not in left:
            return None
        left.remove(code)
        negotiated.append(code)
    return None


async def tls13_schemes(
    questioner: Questioner, manner: Manner, found: Found, expected: frozenset[int]
) -> tuple[int, ...] | Failure:
    """The signature schemes accepted in TLS 1.3, where the signature itself is encrypted.

    A server refuses a hello with none that it could sign with. One that answers before it looks tells nothing: that is
    tried with a scheme that nobody has. `expected` are those that go with the certificates seen, empty where none was;
    all others are refused in one go, and if they are not, it is searched for what is accepted of each kind.
    """

    async def ask(schemes: Sequence[int]) -> Outcome:
        offer = manner.offer(
            Protocol.TLS1_3, found.suites, groups=found.groups, schemes=schemes, key_shares=found.key_shares
        )
        return await questioner.ask(offer, whole=False)

    known, schemes = iana.signature_schemes(), iana.offered_schemes(Protocol.TLS1_3)
    likely = [code for code in schemes if code in expected]
    if likely:
        outcome = await ask([*(code for code in schemes if code not in likely), _UNKNOWN_SCHEME])
        if isinstance(outcome, Refusal):
            return await _halve(ask, likely, certain=True)
    else:
        outcome = await ask([_UNKNOWN_SCHEME])
    shares = tuple(group for group in KEY_SHARE_GROUPS if group in found.groups)
    if isinstance(outcome, Answer) and shares and not found.key_shares:
        # With a key the server can go on to its ServerHello, before which it has to know how it will sign.
        found = replace(found, key_shares=shares)
        outcome = await ask([_UNKNOWN_SCHEME])
    elif isinstance(outcome, Answer) and likely:
        outcome = await ask([_UNKNOWN_SCHEME])
    if isinstance(outcome, Answer):
        return Failure.of(FailureReason.UNSUPPORTED, "the server answers before it chooses how to sign")
    if isinstance(outcome, Failure):
        return outcome
    accepted: tuple[int, ...] = ()
    for key in dict.fromkeys(known[code].key for code in schemes):
        part = await _halve(ask, [code for code in schemes if known[code].key == key])
        if isinstance(part, Failure):
            return part
        accepted += part
    # In one order, however much was known of the keys when it was asked.
    return tuple(code for code in schemes if code in accepted)


async def _halve(
    ask: Callable[[Sequence[int]], Awaitable[Outcome]], schemes: Sequence[int], *, certain: bool = False
) -> tuple[int, ...] | Failure:
    """Those of `schemes` that are accepted alone. `certain` is whether one of them is known to be."""
    if not certain:
        outcome = await ask(schemes)
        if isinstance(outcome, Failure):
            return outcome
        if isinstance(outcome, Refusal):
            return ()
    if len(schemes) == 1:
        return tuple(schemes)
    middle = len(schemes) // 2
    first = await _halve(ask, schemes[:middle])
    if isinstance(first, Failure):
        return first
    second = await _halve(ask, schemes[middle:], certain=not first)
    return second if isinstance(second, Failure) else first + second
