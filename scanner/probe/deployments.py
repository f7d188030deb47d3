"""One served chain as evidence: certificates, trust paths, and the OCSP response that came along."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.x509 import ocsp

from scanner.evidence import Attempt, Certificate, Deployment, Failure, FailureReason, PathValidation, Protocol, Staple
from scanner.probe.certificates import certificate_from_der
from scanner.probe.trust import validate_paths

MAX_CHAIN = 12
"""Certificates of a chain that are kept; more only serve to tire a reader."""
_STATUSES = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


def deployment_of(  # noqa: PLR0913  # a deployment has that many parts
    chain: Sequence[bytes],
    stores: Sequence[str],
    *,
    with_sni: bool,
    protocol: Protocol | None,
    staple: bytes | None = None,
    tls_scts: int | None = None,
) -> Deployment | Failure:
    """Read a chain of DER certificates as it was sent. Fails where its leaf cannot be read."""
    leaf, *others = (_certificate(der) for der in chain[:MAX_CHAIN])
    if leaf.value is None:
        return leaf.failure or Failure(FailureReason.MALFORMED)
    # What cannot be read beside the leaf leads nowhere: it is as good as not sent.
    certificates = (leaf.value, *(other.value for other in others if other.value is not None))
    return Deployment(
        certificates,
        with_sni=with_sni,
        protocol=protocol,
        staple=_staple(staple),
        tls_scts=tls_scts,
        paths=_paths(certificates, tuple(stores)),
    )


@lru_cache(maxsize=256)
def _certificate(der: bytes) -> Attempt[Certificate]:
    return certificate_from_der(der)


@lru_cache(maxsize=64)
def _paths(chain: tuple[Certificate, ...], stores: tuple[str, ...]) -> tuple[PathValidation, ...]:
    return validate_paths(chain, stores)


def _staple(der: bytes | None) -> Staple | None:
    """What a stapled response says; that of one that cannot be read is unknown. Its signature is not checked here."""
    if der is None:
        return None
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return Staple("unknown")
        return Staple(
            _STATUSES[response.certificate_status],
            response.this_update_utc,
            response.next_update_utc,
            response.produced_at_utc,
        )
    except (ValueError, KeyError, x509.DuplicateExtension):
        return Staple("unknown")
