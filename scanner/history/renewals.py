"""What is other in a certificate than in the one before it: a renewal as it is to be expected, or a surprise.

Expected is what renewing does: the same names, of the same authority, for later, with a new key or the old one. All
else is a surprise, which may be meant all the same: another authority, other names, an older certificate, lost trust.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from msgspec import Struct

from scanner.evidence import Certificate, Deployment

_SAME_LIFETIME: Final = 0.1
"""Lifetimes that differ by a tenth count as the same: authorities are off by hours."""
_ORGANISATION: Final = re.compile(r"(?:^|(?<!\\),)O=((?:\\.|[^,\\])*)")
_COMMON_NAME: Final = re.compile(r"(?:^|(?<!\\),)CN=((?:\\.|[^,\\])*)")
_NAMES_SHOWN: Final = 5

K = TypeVar("K")


class Aspect(StrEnum):
    """In what a certificate differs from the one before it. INTERMEDIATE: another certificate of the same authority."""

    ISSUER = "issuer"
    INTERMEDIATE = "intermediate"
    NAMES = "names"
    TRUST = "trust"
    OLDER = "older"
    LIFETIME = "lifetime"
    KEY_KIND = "key-kind"
    KEY = "key"


SURPRISING: Final = frozenset({Aspect.ISSUER, Aspect.NAMES, Aspect.TRUST, Aspect.OLDER})
"""The aspects that renewing does not change."""


class CertificateDifference(Struct, frozen=True):
    """One aspect in which two certificates differ, with what stood there before and what does now."""

    aspect: Aspect
    before: str
    after: str

    def __str__(self) -> str:
        """In words, for people: `issuer: Example CA → Other CA`."""
        return f"{self.aspect.replace('-', ' ')}: {self.before} → {self.after}"


@dataclass(frozen=True, slots=True)
class Presented:
    """What of a certificate counts when it is compared with the one before it.

    `issuer` is an RFC 4514 string, `spki` the SHA-256 of the public key, `names` are dNSName and iPAddress entries.
    `stores` are the lists of roots that trust it, None where nobody looked; `refusing` were looked at and do not trust
    it. `own` are those of `stores` that the configuration names. A file is known by its name, wherever it lies.
    """

    fingerprint: str
    issuer: str
    spki: str
    key: str
    names: frozenset[str]
    not_before: datetime
    not_after: datetime
    stores: frozenset[str] | None = None
    refusing: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()

    @classmethod
    def of(cls, deployment: Deployment) -> Presented:
        """The leaf of a chain, with who trusts it."""
        leaf = deployment.leaf
        looked = [(path.store_title, path.trusted) for path in deployment.paths]
        looked += [(item.store, item.trusted) for item in deployment.stores]
        stores = frozenset(store for store, trusted in looked if trusted)
        return cls(
            leaf.fingerprint,
            leaf.issuer,
            leaf.spki,
            key_kind(leaf),
            frozenset((*leaf.dns_names, *leaf.ip_addresses)),
            leaf.not_before,
            leaf.not_after,
            stores if deployment.paths else None,
            frozenset(store for store, _ in looked) - stores,
            frozenset(path.store_title for path in deployment.paths if path.trusted),
        )


def key_kind(certificate: Certificate) -> str:
    """The kind and the size of a key, in words."""
    return f"{certificate.key_type} {certificate.curve or certificate.key_bits}"


def differences(before: Presented, after: Presented) -> tuple[CertificateDifference, ...]:
    """In what a certificate differs from the one before it, what is surprising first."""
    found = []
    if _authority(before.issuer) != _authority(after.issuer):
        found.append(CertificateDifference(Aspect.ISSUER, _shown(before.issuer), _shown(after.issuer)))
    elif before.issuer != after.issuer:
        found.append(CertificateDifference(Aspect.INTERMEDIATE, _shown(before.issuer), _shown(after.issuer)))
    if before.names != after.names:
        found.append(_of_names(before.names, after.names))
    if lost := _lost(before, after):
        found.append(CertificateDifference(Aspect.TRUST, f"trusted by {_listed(lost)}", "no more"))
    if after.not_before < before.not_before and after.not_after < before.not_after:
        found.append(
            CertificateDifference(Aspect.OLDER, f"issued {before.not_before:%Y-%m-%d}", f"{after.not_before:%Y-%m-%d}")
        )
    lasted, lasts = before.not_after - before.not_before, after.not_after - after.not_before
    if abs(lasts - lasted) > max(lasted, lasts) * _SAME_LIFETIME:
        found.append(CertificateDifference(Aspect.LIFETIME, _days(lasted), _days(lasts)))
    if before.key != after.key:
        found.append(CertificateDifference(Aspect.KEY_KIND, before.key, after.key))
    elif before.spki != after.spki:
        found.append(CertificateDifference(Aspect.KEY, before.spki[:16], after.spki[:16]))
    return tuple(sorted(found, key=lambda item: item.aspect not in SURPRISING))


def nearest(others: Sequence[Presented], after: Presented) -> tuple[CertificateDifference, ...]:
    """In what a certificate differs from the one that is most like it of others, one at least."""
    return min((differences(item, after) for item in others), key=_surprise)


def _surprise(found: Sequence[CertificateDifference]) -> tuple[int, int]:
    return sum(item.aspect in SURPRISING for item in found), len(found)


def is_expected(found: Sequence[CertificateDifference]) -> bool:
    """Whether nothing differs but what a renewal changes."""
    return not any(item.aspect in SURPRISING for item in found)


def paired(
    gone: Sequence[tuple[K, Presented]], came: Sequence[tuple[K, Presented]]
) -> list[tuple[tuple[K, Presented] | None, tuple[K, Presented] | None]]:
    """Which certificate took the place of which: those that are most alike first, and the rest without a twin.

    A server with an RSA and an ECDSA certificate renews both in one night; neither has become the other.
    """
    candidates = sorted(
        ((_distance(old[1], new[1]), i, j) for i, old in enumerate(gone) for j, new in enumerate(came)),
    )
    left, right, pairs = set(range(len(gone))), set(range(len(came))), {}
    for _, i, j in candidates:
        if i in left and j in right:
            pairs[j] = i
            left.discard(i)
            right.discard(j)
    together = [(gone[pairs[j]] if j in pairs else None, new) for j, new in enumerate(came)]
    return [*together, *((gone[i], None) for i in sorted(left))]


def _distance(before: Presented, after: Presented) -> tuple[bool, bool, int]:
    kinds = before.key != after.key
    return kinds, before.names != after.names, len(differences(before, after))


def _lost(before: Presented, after: Presented) -> frozenset[str]:
    """Who trusted the one and does not trust the other. A store that is no longer asked trusts no less for it.

    But where none of those that the configuration names is left, they are told, whatever they are called by now.
    """
    if before.stores is None or after.stores is None:
        return frozenset()
    lost = before.stores & after.refusing
    return lost if after.own else lost | (before.own - after.stores)


def _authority(issuer: str) -> str:
    """The organisation that issued; the whole name where it tells none."""
    found = _ORGANISATION.search(issuer)
    return found[1].strip().lower() if found else issuer


def _shown(issuer: str) -> str:
    names = [found[1] for pattern in (_COMMON_NAME, _ORGANISATION) if (found := pattern.search(issuer))]
    return f"{names[0]} ({names[1]})" if len(names) > 1 else (names or [issuer])[0]


def _of_names(before: frozenset[str], after: frozenset[str]) -> CertificateDifference:
    gone, came = before - after, after - before
    return CertificateDifference(
        Aspect.NAMES,
        f"without {_listed(gone)}" if gone else "all kept",
        f"with {_listed(came)}" if came else "none added",
    )


def _listed(names: frozenset[str]) -> str:
    shown = sorted(names)[:_NAMES_SHOWN]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{', '.join(shown)}{more}"


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):.0f} days"
