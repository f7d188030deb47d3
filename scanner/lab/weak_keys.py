"""RSA keys of 2048 bits that are weak although they are long enough, as bad generators made them."""

from __future__ import annotations

import functools
import math
import secrets
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from tlslite.utils.cryptomath import isPrime  # type: ignore[import-untyped]  # it ships no types

_HALF: Final = 1024
_EXPONENT: Final = 65_537
_PRIMORIAL_PRIMES: Final = 126
"""Primes of which the library of CVE-2017-15361 made its keys of 2048 bits: all up to 701."""


@functools.cache
def weak_key(kind: str) -> rsa.RSAPrivateKey:
    """A key that is weak in one way; made once, as it takes a while."""
    if kind == "rsa-exponent-3":
        return rsa.generate_private_key(3, 2 * _HALF)
    while True:
        first, second = _primes(kind)
        if math.gcd(_EXPONENT, (first - 1) * (second - 1)) == 1:
            return _key(first, second)


def _primes(kind: str) -> tuple[int, int]:
    match kind:
        case "rsa-close-primes":
            first = _prime(_HALF)
            return _next_prime(first + (1 << 200)), first
        case "rsa-shared-prime-1" | "rsa-shared-prime-2":
            return _prime(_HALF), _shared_prime()
        case "rsa-roca":
            return _roca_prime(), _roca_prime()
        case _:
            return _prime(2 * _HALF - 16), 65_521


def _prime(bits: int) -> int:
    return rsa.generate_private_key(_EXPONENT, 2 * bits).private_numbers().p


@functools.cache
def _shared_prime() -> int:
    """The prime that two keys have, as generators with too little randomness give."""
    return _prime(_HALF)


def _next_prime(number: int) -> int:
    number |= 1
    while not _is_prime(number):
        number += 2
    return number


def _is_prime(number: int) -> bool:
    return math.gcd(number, _small_primes_product()) == 1 and bool(isPrime(number))


@functools.cache
def _small_primes(least_above: int) -> tuple[int, ...]:
    return tuple(
        prime for prime in range(2, least_above) if all(prime % number for number in range(2, math.isqrt(prime) + 1))
    )


@functools.cache
def _small_primes_product() -> int:
    """Most numbers are divisible by one of them, which is found out in no time."""
    return math.prod(_small_primes(5000))


def _roca_prime() -> int:
    primorial = math.prod(_small_primes(702)[:_PRIMORIAL_PRIMES])
    while True:
        number = (secrets.randbits(_HALF) | 3 << (_HALF - 2)) // primorial * primorial
        number += pow(_EXPONENT, secrets.randbelow(1 << 60), primorial)
        if _is_prime(number):
            return number


def _key(first: int, second: int) -> rsa.RSAPrivateKey:
    secret = pow(_EXPONENT, -1, (first - 1) * (second - 1))
    numbers = rsa.RSAPrivateNumbers(
        first,
        second,
        secret,
        rsa.rsa_crt_dmp1(secret, first),
        rsa.rsa_crt_dmq1(secret, second),
        rsa.rsa_crt_iqmp(first, second),
        rsa.RSAPublicNumbers(_EXPONENT, first * second),
    )
    # The library would refuse some of them, rightly.
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)
