"""The roots of browsers and platforms side by side, with the conditions that some have, as a kept package ships them.

Clients differ: a root that one dropped last month is still in another's list. The data is as old as the package; its
date is told with every answer.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

from cryptography import x509
from msgspec import Struct

from scanner.evidence import Certificate, StoreTrust
from scanner.probe.x509.ct_logs import load_logs
from scanner.probe.x509.extensions import BROKEN
from scanner.probe.x509.trust import TrustStore, fingerprint_of, path_in

_OWNERS: Final = {
    "MOZILLA": "mozilla",
    "GOOGLE": "chrome",
    "APPLE": "apple",
    "MICROSOFT": "microsoft",
    "ANDROID": "android",
    "OPENJDK": "java",
}
"""Who keeps a list, and what it is called here."""


class TrustCondition(Struct, frozen=True):
    """On what a root is trusted: only leaves from before `until`, only names under one of `domains`."""

    until: datetime | None = None
    domains: tuple[str, ...] = ()

    def broken_by(self, leaf: Certificate) -> str:
        """Why a leaf does not meet it; empty where it does."""
        if self.until is not None and leaf.not_before >= self.until:
            return f"certificates from {self.until:%Y-%m-%d} on are not trusted"
        under = tuple(f".{domain.removeprefix('*.')}" for domain in self.domains)
        if under and not all(name.lower().endswith(under) for name in leaf.dns_names):
            return f"only names under {', '.join(under)} are trusted"
        return ""


class BrowserStore(Struct, frozen=True, eq=False):
    """A list of roots, DER, with its conditions, by the root's fingerprint."""

    name: str
    roots: tuple[bytes, ...]
    conditions: Mapping[str, TrustCondition]

    @property
    def store(self) -> TrustStore:
        """The roots that can be read. To read them all takes longer than a scan of one host needs for anything else."""
        return _store(self)

    def may_have_issued(self, names: Iterable[bytes]) -> bool:
        """Whether a root may have one of these names, DER, before any is read."""
        return any(name in root for name in names for root in self.roots)


def trusted_by(chain: Sequence[Certificate]) -> tuple[StoreTrust, ...]:
    """Which of the lists have a root to which a path leads from the chain's leaf."""
    date = load_logs().date  # of the same package, which does not say of when its roots are
    issuers = {issuer for item in chain if (issuer := _issuer(item.der)) is not None}
    return tuple(_judged(chain, issuers, item, date) for item in browser_stores())


def _issuer(der: bytes) -> bytes | None:
    try:
        return x509.load_der_x509_certificate(der).issuer.public_bytes()
    except BROKEN:
        return None


def _judged(chain: Sequence[Certificate], issuers: set[bytes], item: BrowserStore, date: datetime) -> StoreTrust:
    if not item.may_have_issued(issuers):
        return StoreTrust(item.name, trusted=False, date=date)  # which spares the search for a path
    found = path_in(chain, item.store)
    condition = item.conditions.get(found.path[-1]) if found.path else None
    broken = condition.broken_by(chain[0]) if condition is not None else ""
    return StoreTrust(item.store.name, found.trusted and not broken, date, broken)


@functools.lru_cache(maxsize=1)
def browser_stores() -> tuple[BrowserStore, ...]:
    """The lists, in the order in which they are told."""
    data = (resources.files("cryptodatahub") / "common" / "root-certificate.json").read_bytes()
    return read_stores(json.loads(data))


def read_stores(document: Mapping[str, Any]) -> tuple[BrowserStore, ...]:
    """The lists in a document of the package's form."""
    roots: dict[str, list[bytes]] = {name: [] for name in _OWNERS.values()}
    conditions: dict[str, dict[str, TrustCondition]] = {name: {} for name in _OWNERS.values()}
    for item in document.values():
        der = base64.b64decode("".join(item["certificate"][1:-1]))
        for holder in item["trust_stores"]:
            if (name := _OWNERS.get(holder["owner"])) is not None:
                roots[name].append(der)
                if holder.get("constraints"):
                    conditions[name][hashlib.sha256(der).hexdigest()] = _condition(holder["constraints"])
    return tuple(BrowserStore(name, tuple(found), conditions[name]) for name, found in roots.items())


def _condition(constraints: Sequence[Mapping[str, Any]]) -> TrustCondition:
    """The package calls both "distrust"; its domains are those to which Mozilla confines a root, not denied ones."""
    dates = [datetime.fromisoformat(item["date"]).replace(tzinfo=UTC) for item in constraints if item.get("date")]
    domains = tuple(domain for item in constraints for domain in item.get("domains", ()))
    return TrustCondition(min(dates, default=None), domains)


@functools.lru_cache(maxsize=32)
def _store(item: BrowserStore) -> TrustStore:
    roots = {fingerprint_of(root): root for root in map(_root, item.roots) if root is not None}
    digest = hashlib.sha256("".join(sorted(roots)).encode()).hexdigest()
    return TrustStore(item.name, digest, tuple(roots.values()), frozenset(roots))


@functools.lru_cache(maxsize=1024)
def _root(der: bytes) -> x509.Certificate | None:
    """A root, which most lists have in common; None where it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an old root has a serial number of zero
        try:
            return x509.load_der_x509_certificate(der)
        except ValueError:
            return None
