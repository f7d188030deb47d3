"""Certificates that no port shows: what is in files of this machine, as evidence like that of a server.

Where a worker of a zone reads them, a pattern stands for all files that it means there.
"""

from __future__ import annotations

import glob
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from msgspec import Struct

from scanner.counting import counted
from scanner.evidence import Attempt, Deployment, Failure, FailureReason, TargetEvidence, TlsEvidence
from scanner.inventory import Endpoint
from scanner.pem_labels import holds_no_certificate
from scanner.probe.x509.chains import MAX_CHAIN, deployment_of, read_certificate
from scanner.probe.x509.extensions import BROKEN
from scanner.probe.x509.keystores import KeystoreContents, KeystoreError, read_keystore
from scanner.probe.x509.signatures import issued_by

_MOST_LEAVES: Final = 200
"""Certificates of a file that are judged."""
_MOST_FILES: Final = 1000
"""Files that one pattern means."""


def read_files(
    endpoints: Sequence[Endpoint],
    stores_for: Callable[[str], Sequence[str]],
    environ: Mapping[str, str] | None = None,
) -> Mapping[str, TargetEvidence]:
    """What is in the files that endpoints stand for, by the endpoint's id. It raises nothing.

    A certificate without the ones above it is completed from the other files of its environment.

    Args:
        endpoints: those that are files.
        stores_for: gives the trust stores of an environment, by its name.
        environ: where passwords are looked up; the process's environment by default.
    """
    variables = os.environ if environ is None else environ
    kept = {endpoint.id: _read(endpoint, variables) for endpoint in endpoints}
    pools: dict[str, list[bytes]] = defaultdict(list)
    for endpoint in endpoints:
        pools[endpoint.environment] += kept[endpoint.id].kept.certificates
    return {
        endpoint.id: _evidence(kept[endpoint.id], pools[endpoint.environment], stores_for(endpoint.environment))
        for endpoint in endpoints
    }


class _Found(Struct, frozen=True):
    """What the files of an endpoint hold, and what is wrong with those that could not be read, or not all."""

    kept: KeystoreContents
    wrong: str = ""


def _read(endpoint: Endpoint, environ: Mapping[str, str]) -> _Found:
    if endpoint.file is None:
        return _Found(KeystoreContents(), "the configuration does not name it any more")
    password = None
    if endpoint.file.password_variable is not None:
        password = environ.get(endpoint.file.password_variable)
        if password is None:
            return _Found(KeystoreContents(), f"the environment variable {endpoint.file.password_variable} is not set")
    own = endpoint.file.path
    paths = [own] if own.exists() else _meant(own)
    stores: list[KeystoreContents] = []
    wrong = [f"{_MOST_FILES} of {len(paths)} files were read"] if len(paths) > _MOST_FILES else []
    for path in paths[:_MOST_FILES] or [own]:
        try:
            stores.append(read_keystore(path, password))
            trouble = stores[-1].wrong
        except KeystoreError as error:
            trouble = str(error)
        if trouble:
            wrong.append(trouble if path == own else f"{path.name}: {trouble}")
    chains = tuple(chain for store in stores for chain in store.chains)
    others = tuple(der for store in stores for der in store.others)
    return _Found(KeystoreContents(chains, others), "; ".join(wrong))


def _meant(pattern: Path) -> list[Path]:
    """The files that a pattern means on this machine, save those of keys and the like alone."""
    found = (Path(name) for name in glob.glob(str(pattern), recursive=True))  # noqa: PTH207  # a Path's own wants a root
    return sorted(path for path in found if path.is_file() and not holds_no_certificate(path))


def _evidence(found: _Found, pool: Sequence[bytes], stores: Sequence[str]) -> TargetEvidence:
    started, clock = datetime.now(UTC), time.monotonic()
    unread = sum(read_certificate(der).value is None for der in found.kept.certificates)
    leaves = _leaves(found.kept)
    troubles = (
        found.wrong,
        f"{counted(unread, 'certificate')} cannot be read" if unread else "",
        f"{_MOST_LEAVES} of {len(leaves)} certificates are judged" if len(leaves) > _MOST_LEAVES else "",
    )
    wrong = "; ".join(filter(None, troubles))
    trouble = Failure.of(FailureReason.MALFORMED, wrong) if wrong else None
    if trouble is not None and not found.kept.certificates:
        tls: Attempt[TlsEvidence] = Attempt(failure=trouble)
    else:
        deployments = tuple(_deployments(leaves, found.kept, pool, stores))
        certificates: Attempt[tuple[Deployment, ...]] = (
            Attempt.partial(deployments, trouble)
            if deployments
            else Attempt.failed(FailureReason.MALFORMED, "it holds no certificate that can be read")
        )
        tls = Attempt.ok(TlsEvidence(certificates=certificates))
    return TargetEvidence(started, round(time.monotonic() - clock, 3), 0, tls=tls)


def _leaves(found: KeystoreContents) -> list[bytes]:
    """The certificates that are judged: those of servers, and those of authorities that issued none of these."""
    leaves = [chain[0] for chain in found.chains]
    leaves += [der for der in found.others if _is_leaf(der)]
    read = {der: item for der in found.certificates if (item := read_certificate(der).value) is not None}
    issuers = {read[der].issuer for der in leaves if der in read}
    while above := {item.issuer for item in read.values() if item.is_ca and item.subject in issuers} - issuers:
        issuers |= above
    leaves += [der for der in found.others if der not in read or read[der].subject not in issuers]
    return list(dict.fromkeys(leaves))


def _deployments(
    leaves: Sequence[bytes], found: KeystoreContents, pool: Sequence[bytes], stores: Sequence[str]
) -> Iterable[Deployment]:
    """A chain for each certificate that is judged."""
    above = [der for der in dict.fromkeys((*found.certificates, *pool)) if not _is_leaf(der)]
    for leaf in leaves[:_MOST_LEAVES]:
        shown = deployment_of(_chain(leaf, above), stores, with_sni=True, protocol=None)
        if isinstance(shown, Deployment):
            yield shown


def _is_leaf(der: bytes) -> bool:
    certificate = read_certificate(der).value
    return certificate is not None and not certificate.is_ca


def _chain(leaf: bytes, above: Sequence[bytes]) -> list[bytes]:
    """The leaf, and who issued whom as far as the files have it; roots are left out, as servers do."""
    chain, readable = [leaf], {der: item for der in above if (item := _read_der(der)) is not None}
    while len(chain) < MAX_CHAIN:
        last = readable.get(chain[-1]) or _read_der(chain[-1])
        if last is None:
            return chain
        others = ((der, item) for der, item in readable.items() if der not in chain)
        issuer = next((der for der, item in others if issued_by(last, item) and not _self_issued(item)), None)
        if issuer is None:
            return chain
        chain.append(issuer)
    return chain


def _read_der(der: bytes) -> x509.Certificate | None:
    """A Java keystore may hold any bytes as a certificate."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        return None


def _self_issued(certificate: x509.Certificate) -> bool:
    try:
        return certificate.subject == certificate.issuer
    except BROKEN:
        return False  # a name that is no text: whoever issued it has another one
