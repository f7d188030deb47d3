"""The named groups of a key exchange: how many bits each has, and which hold ML-KEM.

From the IANA registry "TLS Supported Groups" (read 2026-11-24): https://www.iana.org/assignments/tls-parameters
"""

from __future__ import annotations

import re
from typing import Final

_POST_QUANTUM = re.compile(r"mlkem|kyber")
_SIZE = re.compile(r"\d{3,4}")
_CURVE25519_BITS: Final = 255
_CURVE448_BITS: Final = 448
_NAMED: Final = {"x25519": _CURVE25519_BITS, "x448": _CURVE448_BITS, "curvesm2": 256, "sm2": 256}


def is_finite_field(name: str) -> bool:
    """Whether it is a group over a finite field (RFC 7919)."""
    return name.startswith("ffdhe")


def has_mlkem(name: str) -> bool:
    """Whether an attacker with a quantum computer must break ML-KEM, alone or besides a classical part."""
    return "mlkem" in name


def is_elliptic(name: str) -> bool:
    """Whether an elliptic curve takes part."""
    return not is_finite_field(name) and not name.startswith("mlkem")


def bits_of(name: str) -> int | None:
    """The size in bits of a group by its IANA name in lower case, of a hybrid its classical part; None if unknown."""
    classical = _POST_QUANTUM.split(name)[0]
    if classical in _NAMED:
        return _NAMED[classical]
    if classical.startswith(("secp", "sect", "ffdhe", "brainpoolp", "gc")) and (match := _SIZE.search(classical)):
        return int(match[0])
    return None
