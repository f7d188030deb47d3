"""The points of the method's three categories, by protocol version and by sizes in bits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from scanner.evidence import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

PROTOCOLS: Final = {
    Protocol.SSL2: 0,
    Protocol.SSL3: 80,
    Protocol.TLS1_0: 90,
    Protocol.TLS1_1: 95,
    Protocol.TLS1_2: 100,
    Protocol.TLS1_3: 100,
}
FINITE: Final = ((512, 20), (1024, 40), (2048, 80), (4096, 90))
"""Points of a key or a finite field below so many bits; 100 from the last on."""
CURVES: Final = ((110, 20), (123, 40), (163, 80), (225, 90))
"""The same of a curve, by the sizes of equal strength that testssl.sh uses."""
CIPHERS: Final = ((1, 0), (128, 20), (256, 80))
EXPORT: Final = 40
"""Points of a key exchange of export grade."""
WEIGHTS: Final = (30, 30, 40)
"""Hundredths of the total: protocols, key exchange, ciphers."""
LETTERS: Final = ((80, "A"), (65, "B"), (50, "C"), (35, "D"), (20, "E"))
"""The letter from so many points on; F below."""
_NAMED_BITS: Final = {
    "NULL": 0,
    "DES40": 40,
    "DES": 56,
    "IDEA": 128,
    "SEED": 128,
    "SM4": 128,
    "3DES_EDE": 168,
    "28147": 256,
    "CHACHA20": 256,
}
_BITS: Final = re.compile(r"_(\d+)(?:_|$)")


def points(value: int, steps: Iterable[tuple[int, int]]) -> int:
    """The points of a size by one of the tables."""
    return next((score for below, score in steps if value < below), 100)


def strength(bits: int, *, curve: bool) -> int:
    """The points of a key or a key exchange."""
    return points(bits, CURVES if curve else FINITE)


def cipher_bits(cipher: str) -> int | None:
    """Key size of a cipher by the name that its suites give it; None where nothing is known of it."""
    if found := _BITS.search(cipher):
        return int(found[1])
    return _NAMED_BITS.get(cipher)


def total(protocol: int, key_exchange: int, cipher: int) -> int:
    """The weighted sum, each part cut to a whole number; a category without any points takes them all."""
    parts = (protocol, key_exchange, cipher)
    return 0 if 0 in parts else sum(part * weight // 100 for part, weight in zip(parts, WEIGHTS, strict=True))
