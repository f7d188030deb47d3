"""One served chain as evidence: certificates, trust paths, and the OCSP response that came along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache

from cryptography import x509

from scanner.evidence import Attempt, Certificate, Deployment, Failure, FailureReason, PathValidation, Protocol
from scanner.probe.x509.parsing import certificate_from_der
from scanner.probe.x509.staple import MAX_SCT_LIST, staple_of
from scanner.probe.x509.trust import TrustStore, fingerprint_of, load_store, looked_at, validate_paths

MAX_CHAIN = 12
"""Certificates of a chain that are kept: those that lead on from the leaf, and of others the first."""
_MOST_READ = 100
"""Certificates of a chain that are read; more only serve to tire a reader."""


def deployment_of(  # noqa: PLR0913  # a deployment has that many parts
    chain: Sequence[bytes],
    stores: Sequence[str],
    *,
    with_sni: bool,
    protocol: Protocol | None,
    staple: bytes | None = None,
    tls_scts: int | None = None,
    tls_sct_list: bytes = b"",
) -> Deployment | Failure:
    """Read a chain of DER certificates as it was sent. Fails where its leaf cannot be read."""
    leaf, *others = (read_certificate(der) for der in chain[:_MOST_READ])
    if leaf.value is None:
        return leaf.failure or Failure(FailureReason.MALFORMED)
    # What cannot be read beside the leaf leads nowhere: it is as good as not sent.
    certificates = (leaf.value, *(other.value for other in others if other.value is not None))
    if len(certificates) > MAX_CHAIN:
        kept = {id(item) for item in looked_at(certificates, MAX_CHAIN)}
        certificates = tuple(item for item in certificates if id(item) in kept)
    trust_stores = tuple(load_store(name) for name in stores)
    paths = _paths(certificates, trust_stores, datetime.now(UTC).date())
    return Deployment(
        certificates,
        with_sni=with_sni,
        protocol=protocol,
        staple=staple_of(staple, certificates, _issuing_roots(paths, trust_stores) if staple else ()),
        tls_scts=tls_scts,
        paths=paths,
        tls_sct_list=tls_sct_list if len(tls_sct_list) <= MAX_SCT_LIST else b"",
    )


def _issuing_roots(paths: Sequence[PathValidation], stores: Sequence[TrustStore]) -> list[x509.Certificate]:
    """The roots that issued the leaf by themselves, which are rightly not sent."""
    wanted = {path.path[1] for path in paths if path.trusted and len(path.path) == 2}  # noqa: PLR2004  # leaf and root
    return [root for store in stores if wanted for root in store.roots if fingerprint_of(root) in wanted]


@lru_cache(maxsize=256)
def read_certificate(der: bytes) -> Attempt[Certificate]:
    """Read one certificate, which is seen again and again."""
    return certificate_from_der(der)


@lru_cache(maxsize=64)
def _paths(chain: tuple[Certificate, ...], stores: tuple[TrustStore, ...], _today: date) -> tuple[PathValidation, ...]:
    """Remembered, because the same chain is seen again and again; but not beyond the day or a change of the stores."""
    return validate_paths(chain, [store.name for store in stores])
