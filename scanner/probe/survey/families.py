"""Families of cipher suites, asked for one by one: a list that is refused as a whole may hold suites that are accepted.

Servers choose a suite that they then cannot complete, read the beginning of a list alone, or drop hellos that hold
suites of some kind. Each family is offered in a hello of its own, without what was accepted already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cache

from scanner.probe import iana


class Family(StrEnum):
    """What suites have in common that decides whether a server can complete them, or stands a hello that holds them.

    DHE has to be offered without groups of RFC 7919: a server that has none of those offered must not choose it
    (section 4). What is weak and by Diffie-Hellman is apart from the rest of what is weak: a server that chooses it
    without having parameters fails, and hides from a list that holds both what it would complete.
    """

    ELLIPTIC = "elliptic-curve"
    FINITE_FIELD = "finite-field"
    KEY_TRANSPORT = "RSA key transport"
    SHARED_KEY = "pre-shared-key"
    RC4 = "RC4"
    WEAK_FINITE_FIELD = "weak finite-field"
    EXPORT = "export"
    UNPROTECTED = "NULL or anonymous"


@cache
def family_of(code: int) -> Family:
    """The family of a suite before TLS 1.3, of which there are a few hundred; every target is asked by all of them."""
    name, exchange = iana.cipher_suites()[code].name, iana.cipher_suites()[code].key_exchange
    marks = {
        "_WITH_NULL_": Family.UNPROTECTED,
        "EXPORT": Family.EXPORT,
        "_anon_": Family.UNPROTECTED,
        "_RC4_": Family.RC4,
    }
    for mark, family in marks.items():
        if mark in name:
            return Family.WEAK_FINITE_FIELD if exchange.startswith("DH") else family
    if "PSK" in exchange or exchange.startswith("KRB5"):
        return Family.SHARED_KEY
    if exchange.startswith("DHE"):
        return Family.FINITE_FIELD
    return Family.ELLIPTIC if exchange.startswith("EC") else Family.KEY_TRANSPORT


def by_family(suites: Iterable[int]) -> dict[Family, list[int]]:
    """The suites of each family that has any, in the order given."""
    found: dict[Family, list[int]] = {family: [] for family in Family}
    for code in suites:
        found[family_of(code)].append(code)
    return {family: codes for family, codes in found.items() if codes}


def is_chacha20(code: int) -> bool:
    """Whether it is a suite with ChaCha20-Poly1305, of any version."""
    suite = iana.cipher_suites().get(code)
    return suite is not None and "_CHACHA20_" in suite.name


def not_chacha20_first(suites: Sequence[int]) -> tuple[int, ...]:
    """The suites in an order in which ChaCha20 does not come first, if anything else is among them.

    Servers that impose their order make one exception, for clients that prefer ChaCha20: it would hide the order.
    """
    other = next((code for code in suites if not is_chacha20(code)), None)
    if other is None or other == suites[0]:
        return tuple(suites)
    return (other, *(code for code in suites if code != other))
