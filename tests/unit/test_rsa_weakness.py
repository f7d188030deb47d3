"""Where the search for close primes ends: at the hundredth round, as the Baseline Requirements want it."""

from __future__ import annotations

import itertools
import math

import pytest

from scanner.rules.certificates.rsa_weakness import _ROCA_PRIMES, Weakness, weakness_of
from tests.build.weak_keys import is_prime

MEAN = 1 << 48


def found_in_round(wanted: int) -> int:
    """The product of two primes that Fermat's method finds in that round: mean and distance are searched for."""
    for mean in itertools.count(MEAN + 1):
        # The method begins at the square root of the modulus, rounded up, which is `wanted` - 1 below the mean.
        half = math.isqrt(mean * mean - (mean - wanted) ** 2)
        for distance in range(half, half - 60, -1):
            modulus = mean * mean - distance * distance
            if math.isqrt(modulus - 1) + 1 + wanted - 1 != mean:
                break
            if is_prime(mean - distance) and is_prime(mean + distance):
                return modulus
    raise AssertionError


@pytest.mark.parametrize(("rounds", "weak"), [(1, True), (2, True), (99, True), (100, True), (101, False)])
def test_close_primes_are_looked_for_in_a_hundred_rounds(rounds: int, *, weak: bool) -> None:
    found = weakness_of(found_in_round(rounds), 65_537)

    assert (found is not None and found[0] is Weakness.CLOSE_PRIMES) is weak
    if found is not None and weak:
        assert f"in round {rounds}" in found[1]


def test_the_primes_of_the_published_test_are_all_odd_ones_up_to_167() -> None:
    assert [number for number in range(3, 168) if all(number % other for other in range(2, number))] == list(
        _ROCA_PRIMES
    )
