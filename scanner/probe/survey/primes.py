"""What is known of the modulus of a finite-field Diffie-Hellman exchange: a published prime, a prime, a safe prime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Final

import gmpy2  # type: ignore[import-untyped]  # it ships no types
from msgspec import Struct
from tlslite.mathtls import FFDHE_PARAMETERS  # type: ignore[import-untyped]  # it ships no types

from scanner.probe import iana

_TESTED_BITS: Final = 4096
_KEPT_BITS: Final = 8192
"""Longer moduli are not written down: nobody has them in earnest, and evidence is kept for years."""
_TESTED_MODULI: Final = 3
_ROUNDS: Final = 25
"""Of GMP's test: that of Baillie, Pomerance, Selfridge and Wagstaff, then one of Miller and Rabin by a random base."""
_PUBLISHED: Final = {"RFC2409": "oakley-", "RFC3526": "oakley-", "RFC5114": "rfc5114-", "RFC5054": "rfc5054-"}
_NOT_SAFE: Final = "rfc5114-"
"""Primes of which half is no prime: their groups have subgroups of many sizes."""


class Modulus(Struct, frozen=True):
    """A modulus: a published name, `custom`, or `composite`, and whether it is a safe prime (None: not tested)."""

    name: str
    safe: bool | None
    hexadecimal: str | None = None
    """The number itself where it has no published name, and is not longer than anybody's."""


@cache
def known_primes() -> Mapping[int, str]:
    """Published primes of finite-field groups, and the names by which the evidence calls them.

    `ffdhe2048` (RFC 7919), `oakley-14` (the MODP groups of RFC 2409 and RFC 3526, by number), `rfc5114-24`,
    `rfc5054-2` (meant for SRP), and what programs bring along: `apache-2.0.18-1024` (`data/dh_primes.csv`, which has
    safe primes only). A prime that two documents publish has its name from the first.
    """
    names: dict[int, str] = {}
    for title, (_, prime) in FFDHE_PARAMETERS.items():
        document, _, name = title.partition(" ")
        names.setdefault(prime, name if document == "RFC7919" else _PUBLISHED[document] + name.removeprefix("group "))
    for row in iana.rows("dh_primes.csv"):
        names.setdefault(int(row["prime"], 16), row["name"])
    return names


@lru_cache(maxsize=256)
def modulus_of(number: int) -> Modulus:
    """What is known of a modulus. One too long to be tested in reasonable time is `custom`, and not known to be safe.

    The tests take 0.2 s of the processor for a safe prime of 4096 bits, so they are made once for a number.
    """
    if (name := known_primes().get(number)) is not None:
        return Modulus(name, safe=not name.startswith(_NOT_SAFE))
    if number.bit_length() > _TESTED_BITS:
        return _untested(number)
    if number <= 1 or not gmpy2.is_prime(number, _ROUNDS):
        return Modulus("composite", safe=False, hexadecimal=f"{number:x}")
    return Modulus("custom", safe=bool(gmpy2.is_prime((number - 1) // 2, _ROUNDS)), hexadecimal=f"{number:x}")


def moduli_of(numbers: Iterable[int]) -> Mapping[int, Modulus]:
    """One server's moduli; no more than a few are tested: what takes time is not left to the server."""
    found: dict[int, Modulus] = {}
    tests = 0
    for number in numbers:
        if number in found:
            continue
        published = number in known_primes()
        found[number] = modulus_of(number) if published or tests < _TESTED_MODULI else _untested(number)
        tests += not published
    return found


def is_generator(number: int, modulus: int) -> bool:
    """Whether a number is a generator at all: 0, 1 and p - 1 let the shared secret take one or two values."""
    return 1 < number < modulus - 1


def _untested(number: int) -> Modulus:
    return Modulus("custom", safe=None, hexadecimal=f"{number:x}" if number.bit_length() <= _KEPT_BITS else None)
