"""Intermediates that a server does not send, fetched from where its certificates say that they are (AIA).

Browsers do so (RFC 5280 section 4.2.2.1), programs do not. What is fetched never counts as sent: it only lets
the rest be judged as a browser sees it. A certificate is taken if its key signed the one below it, not otherwise.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from scanner.evidence import Certificate, Completion, Deployment, RevocationFailure
from scanner.formats import load
from scanner.probe.authority.fetching import Fetcher, FetchError, Question
from scanner.probe.x509.chains import read_certificate
from scanner.probe.x509.extensions import BROKEN, read_extensions
from scanner.probe.x509.signatures import issued_by
from scanner.probe.x509.trust import validate_paths

_LARGEST: Final = 65_536
_TIMEOUTS: Final = 2
_MOST_FETCHES: Final = 6
"""Requests for one chain."""
_DEEPEST: Final = 4
"""Intermediates that are fetched for one chain."""
_MOST_CERTIFICATES: Final = 20
"""Certificates that are looked at in one answer."""


class Completer:
    """Fetches what is missing, each URL once a run."""

    def __init__(self, fetcher: Fetcher, timeout_s: float) -> None:
        self._fetcher = fetcher
        self._seconds = _TIMEOUTS * timeout_s
        self._asked: dict[str, asyncio.Task[tuple[bytes, ...]]] = {}

    async def complete(self, deployment: Deployment) -> Completion | None:
        """The chain with what was missing, and the paths that it then has; None where nothing need be fetched."""
        stores = [path.store for path in deployment.paths]
        leaf = deployment.leaf
        if not stores or leaf.self_signed or any(path.trusted or path.refused for path in deployment.paths):
            return None
        top = _top(deployment.chain)
        if top.self_signed or not _issuer_urls(top.der):
            return None
        return await self._climbed(deployment, top, stores)

    async def _climbed(self, deployment: Deployment, top: Certificate, stores: Sequence[str]) -> Completion:
        """Fetch issuer after issuer, up to one whose issuer is a root of the stores."""
        fetched: list[Certificate] = []
        left = _MOST_FETCHES
        trouble = FetchError(RevocationFailure.OTHER_SCOPE, "what was fetched leads to no root of the trust stores")
        while len(fetched) < _DEEPEST and not top.self_signed:
            urls = _issuer_urls(top.der)[:left]
            left -= len(urls)
            above, failure = await self._issuer(urls, top)
            trouble = failure or trouble
            if above is None or above in fetched:
                break
            fetched.append(above)
            paths = validate_paths((*deployment.chain, *fetched), stores)
            if any(path.trusted for path in paths):
                return Completion(tuple(fetched), paths)
            top = above
        else:
            if not top.self_signed:
                trouble = FetchError(RevocationFailure.BUDGET, f"no more than {_DEEPEST} are fetched of one chain")
        return Completion(tuple(fetched), (), trouble.failure, trouble.detail)

    async def _issuer(self, urls: Sequence[str], below: Certificate) -> tuple[Certificate | None, FetchError | None]:
        """The issuer of a certificate from the first of these that has it, or why none had."""
        trouble = None
        for url in urls:
            try:
                found = _issuer_among(await self._certificates(url), below)
            except FetchError as error:
                trouble = error
                continue
            if found is not None:
                return found, None
            trouble = FetchError(RevocationFailure.OTHER_SCOPE, "what was fetched did not sign it")
        return None, trouble

    async def _certificates(self, url: str) -> tuple[bytes, ...]:
        task = self._asked.get(url)
        if task is None:
            task = self._asked[url] = asyncio.create_task(self._fetch(url))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is still being fetched."""
        tasks = [task for task in self._asked.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    async def _fetch(self, url: str) -> tuple[bytes, ...]:
        body = io.BytesIO()
        await self._fetcher.fetch(Question(url, _LARGEST, self._seconds), body.write)
        found = tuple(_read(body.getvalue()))[:_MOST_CERTIFICATES]
        if not found:
            raise FetchError(RevocationFailure.MALFORMED, "there is no certificate")
        return found


def _top(chain: tuple[Certificate, ...]) -> Certificate:
    """The last certificate that a path from the leaf leads to, of those that were sent."""
    top, rest = chain[0], list(chain[1:])
    while not top.self_signed:
        above = next((item for item in rest if _signed(top, item)), None)
        if above is None:
            break
        rest.remove(above)
        top = above
    return top


def _signed(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        return issued_by(x509.load_der_x509_certificate(certificate.der), x509.load_der_x509_certificate(issuer.der))
    except BROKEN:
        return False


def _issuer_among(found: tuple[bytes, ...], below: Certificate) -> Certificate | None:
    for der in found:
        read = read_certificate(der).value
        if read is not None and read.is_ca and _signed(below, read):
            return read
    return None


def _issuer_urls(der: bytes) -> tuple[str, ...]:
    """Where a certificate says that its issuer's is, those of HTTP first."""
    try:
        values = read_extensions(x509.load_der_x509_certificate(der), der).values
    except BROKEN:
        return ()
    urls = [
        item.access_location.value
        for item in values.get(x509.AuthorityInformationAccess) or ()
        if item.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(item.access_location, x509.UniformResourceIdentifier)
    ]
    return tuple(sorted(dict.fromkeys(urls), key=lambda url: url[:5].lower() != "http:"))[:3]


def _read(data: bytes) -> Iterator[bytes]:
    """The certificates in an answer: DER, PEM, or the bag of PKCS #7 (RFC 5280 section 4.2.2.1)."""
    try:
        if data.lstrip()[:5] == b"-----":
            pkcs = b"BEGIN PKCS7" in data
            found = load("scanner.probe.x509.bags:in_pem")(data) if pkcs else x509.load_pem_x509_certificates(data)
            yield from (certificate.public_bytes(Encoding.DER) for certificate in found)
            return
        x509.load_der_x509_certificate(data)
    except BROKEN:
        pass
    else:
        yield data
        return
    try:
        yield from (one.public_bytes(Encoding.DER) for one in load("scanner.probe.x509.bags:in_der")(data))
    except BROKEN as error:
        raise FetchError(RevocationFailure.MALFORMED, "it is not a certificate") from error
