"""The parameters of finite-field Diffie-Hellman exchanges: is the modulus a safe prime, and whose is it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from scanner.evidence import Failure, FailureReason, TlsEvidence
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    fails,
    not_applicable,
    passes,
    rule,
    untried,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, rfc
from scanner.rules.tls import fixes
from scanner.rules.tls.accepted import BEFORE_TLS13, Accepted, accepted_suites, unseen
from scanner.verdict import Goal, Severity

_EXPECTED: Final = "a group of RFC 7919, or another safe prime of the server's own"
_NOT_SAFE: Final = "rfc5114-"
_ENOUGH_BITS: Final = 2048
_UNPUBLISHED: Final = frozenset({"custom", "composite"})


@rule(
    "kex.dh-parameters",
    title="Diffie-Hellman groups use safe primes",
    goal=Goal.ENCRYPTION,
    severity=Severity.CRITICAL,
    of=TlsEvidence,
    why="If the modulus is a product of small primes, or the generator gives only one or two values, an eavesdropper "
    "can find the secret, whatever its size. If the prime is not safe, a program that reuses keys or does not "
    "check public values leaks parts of its key; and the work to break a prime is done once for all who share it.",
    how="The prime and the generator are read from the ServerKeyExchange of each DHE suite, up to TLS 1.2 (TLS 1.3 has "
    "only groups of RFC 7919). The primes published in RFC 2409, RFC 3526, RFC 5054, RFC 5114 and RFC 7919, and those "
    "shipped with Apache, HAProxy, Java, nginx, OpenSSL, Postfix, ProFTPD and socat are known; for others of up to "
    "4096 bits it is tested whether they and half of them are prime. An unpublished prime is searched for in the "
    "other environments of the run.",
    sources=(rfc(7919, "5.1"), rfc(9325, "7.4"), attack("Logjam (CVE-2015-4000)", "https://weakdh.org/")),
    reasons={
        "safe": passes("Every Diffie-Hellman group uses a safe prime: {observed}."),
        "not-prime": fails("The modulus of a Diffie-Hellman group is not a prime number: {observed}."),
        "bad-generator": fails("The generator of a Diffie-Hellman group gives no secret: {observed}."),
        "not-safe": fails("The prime of a Diffie-Hellman group is not a safe prime: {observed}."),
        "common": fails("A small Diffie-Hellman prime is shared by many servers: {observed}."),
        "shared": fails("An unpublished Diffie-Hellman prime is used in other environments too: {observed}."),
        "no-dhe": not_applicable("No finite-field Diffie-Hellman key exchange is accepted before TLS 1.3."),
    },
    fix=fixes.DIFFIE_HELLMAN,
    opt_in=True,
    mistake=untried("parameters are made, not configured; the advice is that of kex.min-dh-bits"),
)
def _dh_parameters(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    suites = accepted_suites(tls, BEFORE_TLS13)
    candidates = [item for item in suites.items if item.suite.finite_field]

    for reason, offends in _OFFENCES.items():
        if found := [item for item in candidates if offends(item)]:
            if reason in _LOW:
                return [Finding(reason, _told(found), _EXPECTED, severity=Severity.LOW)]
            return [Finding(reason, suites.names(found), _EXPECTED)]
    if others := {name for item in candidates for name in _others(item, facts)}:
        return [Finding("shared", listing(sorted(others)), _EXPECTED, severity=Severity.INFO)]
    if suites.gap:
        return [suites.gap]
    for item in candidates:
        if _is_safe(item) is None or item.seen.dh_generator_valid is None:
            detail = f"whether the group of {item.suite.name} is of a safe prime"
            return [unseen(item.protocol, Failure.of(FailureReason.UNSUPPORTED, detail))]
    if not candidates:
        return [Finding("no-dhe")]
    return [Finding("safe", _told(candidates), _EXPECTED)]


def _is_safe(item: Accepted) -> bool | None:
    """Whether a group's prime is a safe one; None where that is not known."""
    name = item.seen.dh_prime
    if name is None or name in _UNPUBLISHED:
        return item.seen.dh_safe
    return not name.startswith(_NOT_SAFE)


def _is_common(item: Accepted) -> bool:
    """Whether a prime is published and so small that the work to break it may have been done."""
    published = item.seen.dh_prime is not None and item.seen.dh_prime not in _UNPUBLISHED
    return published and item.seen.ephemeral_bits is not None and item.seen.ephemeral_bits < _ENOUGH_BITS


_OFFENCES: Final[Mapping[str, Callable[[Accepted], bool]]] = {
    "not-prime": lambda item: item.seen.dh_prime == "composite",
    "bad-generator": lambda item: item.seen.dh_generator_valid is False,
    "not-safe": lambda item: _is_safe(item) is False,
    "common": _is_common,
}
"""What can be wrong with a group by itself, the worst first."""
_LOW: Final = frozenset({"not-safe", "common"})


def _told(items: list[Accepted]) -> str:
    return listing(
        dict.fromkeys(
            f"a prime of {item.seen.ephemeral_bits} bits that is not published"
            if item.seen.dh_prime in _UNPUBLISHED
            else str(item.seen.dh_prime)
            for item in items
        )
    )


def _others(item: Accepted, facts: Facts) -> frozenset[str]:
    """The other environments that have the same unpublished prime."""
    return facts.prime_users.get(item.seen.dh_modulus or "", frozenset()) - {facts.environment.name}
