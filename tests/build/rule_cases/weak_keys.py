"""Keys that are weak although they are long enough, and chains that end before the leaf."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from scanner.evidence import KeyTrouble, KeyType, KeyWeakness
from scanner.verdict import Severity
from tests.build.certificates import intermediate
from tests.build.facts import NOW, TIMED_OUT, World, certificate, deployment, tls, trusted, untrusted
from tests.build.rule_cases.case import Case, of_tls
from tests.build.weak_keys import TWICE_THE_SAME, WEAK, prime, rsa_certificate

_HUGE = rsa_certificate((prime(64) << 16_384 | 1, 65_537))
_SOUND = rsa_certificate(WEAK["sound"])


_SHARED = KeyTrouble(
    certificate().fingerprint,
    KeyWeakness.SHARED_FACTOR,
    other="ab" * 32,
    place="e/old.example:443",
    seen_at=NOW - timedelta(days=365),
)
_PUBLISHED = KeyTrouble(certificate().fingerprint, KeyWeakness.PUBLISHED, listed=7)


def _weak() -> list[Case]:
    return [
        of_tls("cert.weak-key", reason, deployment(certificate(der=rsa_certificate(numbers), key_type=KeyType.RSA)))
        for reason, numbers in WEAK.items()
    ]


def _chain(days: float, leaf_days: float = 89) -> object:
    """A leaf with so many days left, under an intermediate with so many."""
    leaf = certificate(not_after=NOW + timedelta(days=leaf_days))
    above = certificate(intermediate(), not_after=NOW + timedelta(days=days))
    return deployment(leaf, above, paths=(trusted(leaf, above),))


def _untrusted_chain(days: float) -> object:
    return dataclasses.replace(_chain(days), paths=(untrusted(),))  # type: ignore[type-var]


def _rooted(*days: float, above: float = 900) -> object:
    """A leaf with 89 days left, under roots with so many left in several stores."""
    shown = _chain(above)
    paths = shown.paths  # type: ignore[attr-defined]
    ends = (NOW + timedelta(days=left) for left in days)
    rooted = tuple(dataclasses.replace(paths[0], root="CN=Root", root_ends=end) for end in ends)
    return dataclasses.replace(shown, paths=rooted)  # type: ignore[type-var]


def _two_paths() -> object:
    """The same intermediate twice: by an old root, and by one for which it holds longer."""
    leaf = certificate(not_after=NOW + timedelta(days=80))
    old = certificate(intermediate(), fingerprint="aa" * 32, not_after=NOW + timedelta(days=5))
    new = certificate(intermediate(), fingerprint="bb" * 32, not_after=NOW + timedelta(days=500))
    return deployment(leaf, old, new, paths=(trusted(leaf, old), trusted(leaf, new, store="system")))


CASES = (
    *_weak(),
    of_tls(
        "cert.weak-key",
        "close-primes",
        deployment(certificate(der=rsa_certificate(TWICE_THE_SAME), key_type=KeyType.RSA)),
    ),
    of_tls("cert.weak-key", "no-rsa"),
    of_tls(
        "cert.weak-key",
        "shared-factor",
        deployment(key_troubles=(_SHARED,)),
        severity=Severity.CRITICAL,
        observed=f"with that of certificate {'ab' * 8}, first seen at e/old.example:443 on 2025-11-24 "
        f"({certificate().subject})",
    ),
    of_tls("cert.weak-key", "published", deployment(key_troubles=(_PUBLISHED,)), severity=Severity.CRITICAL),
    # What is known of a certificate that is not on the path says nothing of this one.
    of_tls("cert.weak-key", "no-rsa", deployment(key_troubles=(dataclasses.replace(_SHARED, certificate="cc" * 32),))),
    of_tls("cert.weak-key", "too-large", deployment(certificate(key_type=KeyType.RSA, der=_HUGE))),
    of_tls("cert.weak-key", "unreadable", deployment(certificate(key_type=KeyType.OTHER))),
    of_tls("cert.weak-key", "not-observed", certificates=TIMED_OUT),
    of_tls(
        "cert.weak-key",
        "close-primes",
        deployment(
            certificate(), certificate(intermediate(), key_type=KeyType.RSA, der=rsa_certificate(WEAK["close-primes"]))
        ),
        severity=Severity.CRITICAL,
    ),
    of_tls(
        "cert.weak-key",
        "small-exponent",
        deployment(certificate(key_type=KeyType.RSA, der=rsa_certificate((WEAK["sound"][0], 3)))),
        severity=Severity.LOW,
    ),
    of_tls("cert.chain-expiry", "leaf-ends-first"),
    of_tls("cert.chain-expiry", "leaf-ends-first", _chain(89)),
    of_tls("cert.chain-expiry", "leaf-ends-first", _two_paths()),
    of_tls("cert.chain-expiry", "ends-before", _chain(31), severity=Severity.LOW, says="expires 58 days before"),
    of_tls("cert.chain-expiry", "ends-before", _chain(29.9), severity=Severity.MEDIUM),
    of_tls("cert.chain-expiry", "ends-before", _chain(6.9), severity=Severity.HIGH),
    of_tls("cert.chain-expiry", "ended", _chain(-1), severity=Severity.HIGH),
    of_tls("cert.chain-expiry", "untrusted", deployment(paths=(untrusted(),))),
    # Browsers' roots apart, programs heed a root's end too; of several paths the one that holds longest counts.
    of_tls("cert.chain-expiry", "root-ends", _rooted(40), severity=Severity.LOW, observed="2027-01-03"),
    of_tls("cert.chain-expiry", "root-ends", _rooted(29), severity=Severity.MEDIUM),
    of_tls("cert.chain-expiry", "root-ends", _rooted(40, 20), severity=Severity.LOW),
    of_tls("cert.chain-expiry", "leaf-ends-first", _rooted(89)),
    of_tls("cert.chain-expiry", "leaf-ends-first", _rooted(20, 900)),
    of_tls("cert.chain-expiry", "ends-before", _rooted(20, above=10), severity=Severity.MEDIUM),
    # Whom a server trusts that asks for a client's certificate is not known here: its file has to hold.
    *(
        Case("cert.chain-expiry", reason, World(host="client:me.pem", port=0, tls=tls(shown)), **more)
        for reason, shown, more in (
            ("ends-before", _untrusted_chain(6.9), {"severity": Severity.HIGH}),
            ("leaf-ends-first", _untrusted_chain(100), {}),
            ("leaf-ends-first", deployment(chain=(certificate(),), paths=(untrusted(),)), {}),
            ("ends-before", _chain(31), {"severity": Severity.LOW}),
        )
    ),
    Case("cert.chain-expiry", "untrusted", World(host="file:me.pem", port=0, tls=tls(_untrusted_chain(6.9)))),
    of_tls("cert.chain-expiry", "no-path", deployment(paths=())),
    of_tls("cert.chain-expiry", "not-observed", certificates=TIMED_OUT),
)
