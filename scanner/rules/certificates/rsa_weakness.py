"""Known weaknesses of RSA keys that show in the public key: arithmetic of whole numbers, and nothing else.

The checks are those that the CA/Browser Forum's Baseline Requirements demand of CAs (sections 6.1.1.3 and 6.1.6). No
kept library offers them: badkeys calls itself beta, downloads its lists, and ends the process where they are missing.
"""

from __future__ import annotations

import functools
import math
from enum import StrEnum
from typing import Final

_ROUNDS: Final = 100
"""Rounds of Fermat's method: Baseline Requirements section 6.1.1.3 (5)."""
_SMALL: Final = 65_537
"""Prime factors up to this one are looked for; the Baseline Requirements ask for those below 752."""
MOST_BITS: Final = 16_384
"""Larger moduli are left alone: they are a way to keep a scanner busy."""
_ROCA_GENERATOR: Final = 65_537
_ROCA_PRIMES: Final = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip
"""The primes of the published test for CVE-2017-15361: modulo each, a key of that kind is a power of 65537."""


class Weakness(StrEnum):
    """What makes a key weak, the gravest first."""

    EVEN = "even"
    PRIME_MODULUS = "prime-modulus"
    SMALL_FACTOR = "small-factor"
    CLOSE_PRIMES = "close-primes"
    ROCA = "roca"
    EXPONENT = "exponent"


def weakness_of(modulus: int, exponent: int) -> tuple[Weakness, str] | None:
    """The gravest weakness of a key, and how it shows; None where none is known, or the key is too large to look at."""
    if exponent < 3 or not exponent % 2:  # noqa: PLR2004  # one encrypts nothing, and no even one can be undone
        return Weakness.EXPONENT, f"its public exponent is {exponent}"
    if modulus.bit_length() > MOST_BITS:
        return None
    return _of_modulus(modulus)


@functools.lru_cache(maxsize=4096)
def _of_modulus(modulus: int) -> tuple[Weakness, str] | None:
    """Remembered, because the same key is judged again and again."""
    if modulus % 2 == 0:
        return Weakness.EVEN, "its modulus is even"
    common = math.gcd(modulus, _small_primes_product())
    if common > 1:
        smallest = next(prime for prime in _small_primes() if common % prime == 0)
        return Weakness.SMALL_FACTOR, f"its modulus is divisible by {smallest}"
    if (rounds := _fermat(modulus)) is not None:
        return Weakness.CLOSE_PRIMES, f"its two primes are so close that Fermat's method finds them in round {rounds}"
    if all(modulus % prime in powers for prime, powers in _roca_subgroups()):
        return Weakness.ROCA, "its modulus has the fingerprint of CVE-2017-15361"
    if pow(2, modulus - 1, modulus) == 1:  # no product of two primes that were made for a key passes Fermat's test
        return Weakness.PRIME_MODULUS, "its modulus is a prime"
    return None


def _fermat(modulus: int) -> int | None:
    """The number of rounds in which Fermat's method factors it; None where they are not enough."""
    mean = math.isqrt(modulus - 1) + 1
    for rounds in range(1, _ROUNDS + 1):
        square = mean * mean - modulus
        if math.isqrt(square) ** 2 == square:
            return rounds
        mean += 1
    return None


@functools.cache
def _small_primes() -> tuple[int, ...]:
    """The odd primes up to `_SMALL`."""
    sieve = bytearray([1]) * (_SMALL + 1)
    for number in range(3, math.isqrt(_SMALL) + 1, 2):
        if sieve[number]:
            sieve[number * number :: 2 * number] = bytes(len(range(number * number, _SMALL + 1, 2 * number)))
    return tuple(number for number in range(3, _SMALL + 1, 2) if sieve[number])


@functools.cache
def _small_primes_product() -> int:
    return math.prod(_small_primes())


@functools.cache
def _roca_subgroups() -> tuple[tuple[int, frozenset[int]], ...]:
    """The powers of the generator, modulo each prime of the test."""
    return tuple(
        (prime, frozenset(pow(_ROCA_GENERATOR, power, prime) for power in range(prime - 1))) for prime in _ROCA_PRIMES
    )
