"""Which certificates of a chain are asked about, where, and by whose signature an answer counts.

Only what a known issuer has signed is asked about: a URL in a certificate that nobody signed costs no request.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID

from scanner.errors import TrustStoreError
from scanner.evidence import Certificate, Deployment, RevocationAnswer, RevocationFailure, RevocationSource
from scanner.probe.x509.extensions import BROKEN, places_of, read_extensions
from scanner.probe.x509.signatures import issued_by
from scanner.probe.x509.trust import load_store, roots_above
from scanner.untrusted import printable

_SHA256: Final = hashes.SHA256()
_MOST_LISTS: Final = 4
_MOST_RESPONDERS: Final = 2


@dataclass(frozen=True, slots=True)
class Named:
    """A certificate, and where its authority says what became of it. Two are the same where all that is shown is.

    `places` are all URLs at which it says that lists are, `some_reasons` those of lists for only some reasons. `unread`
    are lists that are not asked for, each with the reason.
    """

    fingerprint: str
    issuers: tuple[str, ...]
    lists: tuple[str, ...]
    responders: tuple[str, ...]
    is_ca: bool = False
    stapled_until: datetime | None = None
    places: tuple[str, ...] = ()
    some_reasons: frozenset[str] = frozenset()
    unread: tuple[tuple[str, str], ...] = ()
    certificate: x509.Certificate | None = field(default=None, compare=False, repr=False)
    signers: tuple[x509.Certificate, ...] = field(default=(), compare=False, repr=False)

    @property
    def sources(self) -> tuple[tuple[RevocationSource, str], ...]:
        """Every place that it names, lists first."""
        lists = tuple((RevocationSource.CRL, url) for url in (*self.lists, *(place for place, _ in self.unread)))
        return (*lists, *((RevocationSource.OCSP, url) for url in self.responders))

    def failed(self, failure: RevocationFailure, detail: str) -> tuple[RevocationAnswer, ...]:
        """The answer where all of them fail alike: told of the first."""
        return tuple(
            RevocationAnswer(self.fingerprint, source, printable(url), failure=failure, detail=printable(detail))
            for source, url in self.sources[:1]
        )


def chain_of(deployment: Deployment) -> tuple[Named, ...]:
    """The leaf and the intermediates that name a source; where there is a path, those on it alone."""
    on_path = {fingerprint for path in deployment.browser_paths if path.trusted for fingerprint in path.path}
    stores = tuple(sorted({path.store for path in deployment.paths}))
    leaf, *others = deployment.browser_chain
    asked = [leaf, *(item for item in others if not item.self_signed and (not on_path or item.fingerprint in on_path))]
    staple = deployment.staple
    until = staple.next_update if staple is not None and staple.certificate_status == "good" else None
    above = tuple(item.der for item in others)
    found = (_named(item, above, stores, until if item is leaf else None) for item in asked)
    return tuple(named for named in found if named.sources)


def leaf_and_issuer(deployment: Deployment) -> tuple[x509.Certificate, x509.Certificate | None] | None:
    """The leaf, and the certificate of the key that signed it where that is known; None where it cannot be read."""
    read = _read(deployment.leaf.der)
    if read is None:
        return None
    stores = tuple(sorted({path.store for path in deployment.paths}))
    signers = _signers(deployment.leaf.der, tuple(item.der for item in deployment.browser_chain[1:]), stores)
    return read.certificate, next(iter(signers.values()), None)


class _Read(NamedTuple):
    """A certificate, and the URLs of lists and responders in it, as they stand there."""

    certificate: x509.Certificate
    lists: tuple[str, ...] = ()
    responders: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    some_reasons: frozenset[str] = frozenset()
    unread: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=2048)
def _read(der: bytes) -> _Read | None:
    try:
        certificate = x509.load_der_x509_certificate(der)
        values = read_extensions(certificate, der).values
        points = tuple(values.get(x509.CRLDistributionPoints) or ())
        own = [point for point in points if _is_its_issuers(point, certificate)]
        responders = [
            item.access_location.value
            for item in values.get(x509.AuthorityInformationAccess) or ()
            if item.access_method == AuthorityInformationAccessOID.OCSP
            and isinstance(item.access_location, x509.UniformResourceIdentifier)
        ]
        whole = [url for point in own if point.reasons is None for url in _urls(point)]
        in_part = [url for point in own if point.reasons is not None for url in _urls(point) if url not in whole]
        asked = _chosen([*whole, *in_part], _MOST_LISTS)
        unread = [(place, _OF_ANOTHER) for point in points if point not in own for place in places_of(point)]
        # One that is whole is enough; who reads that none of them answered wants to know that there were others.
        unread += [(url, _ONE_TOO_MANY) for url in dict.fromkeys([*whole, *in_part]) if url not in asked]
        if not whole and not in_part:
            unread += [(place, _NO_URL) for point in own for place in places_of(point)]
    except BROKEN:
        return None
    return _Read(
        certificate,
        asked,
        _chosen(responders, _MOST_RESPONDERS),
        (*whole, *in_part),
        frozenset(in_part),
        tuple(dict.fromkeys(unread))[:_MOST_LISTS],
    )


_OF_ANOTHER: Final = "the list of another issuer (an indirect CRL), which is not read"
_ONE_TOO_MANY: Final = f"not asked: {_MOST_LISTS} lists of a certificate are, of those with http:// addresses"
_NO_URL: Final = "no URL, so there is nothing to query"


def _is_its_issuers(point: x509.DistributionPoint, certificate: x509.Certificate) -> bool:
    """Whether a list is by the certificate's own issuer: that is so where no other is named."""
    if point.crl_issuer is None:
        return True
    return any(isinstance(name, x509.DirectoryName) and name.value == certificate.issuer for name in point.crl_issuer)


def _urls(point: x509.DistributionPoint) -> list[str]:
    return [name.value for name in point.full_name or () if isinstance(name, x509.UniformResourceIdentifier)]


def _chosen(urls: list[str], most: int) -> tuple[str, ...]:
    """Those of HTTP, which can be asked; where there are none, one of the others, which the gate refuses."""
    unique = list(dict.fromkeys(urls))
    return tuple([url for url in unique if url[:5].lower() == "http:"][:most] or unique[:1])


def _named(item: Certificate, above: tuple[bytes, ...], stores: tuple[str, ...], until: datetime | None) -> Named:
    read = _read(item.der)
    if read is None:
        return Named(item.fingerprint, (), (), ())
    named = bool(read.lists or read.responders or read.unread)
    signers = _signers(item.der, above, stores) if named else {}
    return Named(
        item.fingerprint,
        tuple(signers),
        read.lists,
        read.responders,
        item.is_ca,
        until,
        read.places,
        read.some_reasons,
        read.unread,
        read.certificate,
        tuple(signers.values()),
    )


@lru_cache(maxsize=2048)
def _signers(der: bytes, above: tuple[bytes, ...], stores: tuple[str, ...]) -> Mapping[str, x509.Certificate]:
    """The certificates whose key signed this one, and the roots of the stores that have the same name, by fingerprint.

    An authority that changed its key may sign its list with the one before; only a root's word for that counts. Asked
    without the server's own certificate, which signs none: so an intermediate is looked at once for all its leaves.
    """
    read = _read(der)
    if read is None:
        return {}
    certificate = read.certificate
    sent = [other.certificate for one in above if one != der and (other := _read(one)) is not None]
    signers = [one for one in sent if issued_by(certificate, one)]
    roots: list[x509.Certificate] = []
    for store in stores:
        with contextlib.suppress(TrustStoreError):
            roots += roots_above(certificate, load_store(store))
    own = [root for root in roots if issued_by(certificate, root)]
    if not signers and not own:
        return {}
    return {one.fingerprint(_SHA256).hex(): one for one in (*own, *signers, *roots)}
