"""Certificates that no port shows: what is in files of this machine, as evidence like that of a server."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from scanner.evidence import Attempt, Deployment, FailureReason, TargetEvidence, TlsEvidence
from scanner.inventory import Endpoint
from scanner.probe.x509.chains import MAX_CHAIN, deployment_of, read_certificate
from scanner.probe.x509.keystores import Kept, KeystoreError, read_keystore
from scanner.probe.x509.signatures import issued_by

_MOST_LEAVES: Final = 200
"""Certificates of a file that are judged."""


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
    kept: dict[str, Kept | KeystoreError] = {}
    pools: dict[str, list[bytes]] = defaultdict(list)
    for endpoint in endpoints:
        found = _read(endpoint, variables)
        kept[endpoint.id] = found
        if isinstance(found, Kept):
            pools[endpoint.environment] += found.certificates
    by_id = {endpoint.id: endpoint for endpoint in endpoints}
    return {
        name: _evidence(found, pools[by_id[name].environment], stores_for(by_id[name].environment))
        for name, found in kept.items()
    }


def _read(endpoint: Endpoint, environ: Mapping[str, str]) -> Kept | KeystoreError:
    if endpoint.file is None:
        return KeystoreError("the configuration does not name it any more")
    password = None
    if endpoint.file.password_variable is not None:
        password = environ.get(endpoint.file.password_variable)
        if password is None:
            return KeystoreError(f"the environment variable {endpoint.file.password_variable} is not set")
    try:
        return read_keystore(endpoint.file.path, password)
    except KeystoreError as error:
        return error


def _evidence(found: Kept | KeystoreError, pool: Sequence[bytes], stores: Sequence[str]) -> TargetEvidence:
    started, clock = datetime.now(UTC), time.monotonic()
    if isinstance(found, KeystoreError):
        tls: Attempt[TlsEvidence] = Attempt.failed(FailureReason.MALFORMED, str(found))
    else:
        deployments = tuple(_deployments(found, pool, stores))
        certificates: Attempt[tuple[Deployment, ...]] = (
            Attempt.ok(deployments)
            if deployments
            else Attempt.failed(FailureReason.MALFORMED, "it holds no certificate that can be read")
        )
        tls = Attempt.ok(TlsEvidence(certificates=certificates))
    return TargetEvidence(started, round(time.monotonic() - clock, 3), 0, tls=tls)


def _deployments(found: Kept, pool: Sequence[bytes], stores: Sequence[str]) -> Iterable[Deployment]:
    """A chain for each certificate of a server; for each of an authority, where there is no other."""
    leaves = [chain[0] for chain in found.chains]
    leaves += [der for der in found.others if _is_leaf(der)] or ([] if leaves else list(found.others))
    above = [der for der in dict.fromkeys((*found.certificates, *pool)) if not _is_leaf(der)]
    for leaf in list(dict.fromkeys(leaves))[:_MOST_LEAVES]:
        shown = deployment_of(_chain(leaf, above), stores, with_sni=True, protocol=None)
        if isinstance(shown, Deployment):
            yield shown


def _is_leaf(der: bytes) -> bool:
    certificate = read_certificate(der).value
    return certificate is not None and not certificate.is_ca


def _chain(leaf: bytes, above: Sequence[bytes]) -> list[bytes]:
    """The leaf, and who issued whom as far as the files have it; roots are left out, as servers do."""
    chain, names = [leaf], {der: x509.load_der_x509_certificate(der) for der in above}
    while len(chain) < MAX_CHAIN:
        last = names.get(chain[-1]) or x509.load_der_x509_certificate(chain[-1])
        issuer = next(
            (
                der
                for der, item in names.items()
                if der not in chain and item.subject == last.issuer and item.subject != item.issuer
                and issued_by(last, item)
            ),
            None,
        )  # fmt: skip
        if issuer is None:
            return chain
        chain.append(issuer)
    return chain
