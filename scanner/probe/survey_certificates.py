"""The certificates that were shown in the plain handshakes up to TLS 1.2, with what came along with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from cryptography import x509
from cryptography.x509 import ocsp

from scanner.evidence import Attempt, Certificate, Deployment, Failure, FailureReason, PathValidation, Protocol, Staple
from scanner.probe.certificates import certificate_from_der
from scanner.probe.survey_answer import Answer
from scanner.probe.trust import validate_paths

_STATUSES = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


def deployments(
    named: Iterable[Answer], nameless: Answer | None, stores: Sequence[str]
) -> Attempt[tuple[Deployment, ...]]:
    """One deployment for each chain that was shown: under the name asked for, and to a client that named none.

    Fails where no certificate was shown, as in TLS 1.3, where it is encrypted, or where it cannot be read.
    """
    found: dict[tuple[tuple[bytes, ...], bool], list[Answer]] = {}
    for answer in named:
        if answer.chain:
            found.setdefault((answer.chain, True), []).append(answer)
    if nameless is not None and nameless.chain and (nameless.chain, True) not in found:
        found[nameless.chain, False] = [nameless]
    if not found:
        return Attempt.failed(FailureReason.UNSUPPORTED, "no handshake showed a certificate in plain")
    result = []
    for (chain, with_sni), answers in found.items():
        deployment = _deployment(chain, answers, stores, with_sni=with_sni)
        if isinstance(deployment, Failure):
            return Attempt(failure=deployment)
        result.append(deployment)
    return Attempt.ok(tuple(result))


def _deployment(
    chain: tuple[bytes, ...], answers: Sequence[Answer], stores: Sequence[str], *, with_sni: bool
) -> Deployment | Failure:
    leaf, *others = (_certificate(der) for der in chain)
    if leaf.value is None:
        return leaf.failure or Failure(FailureReason.MALFORMED)
    # What cannot be read beside the leaf leads nowhere: it is as good as not sent.
    certificates = (leaf.value, *(other.value for other in others if other.value is not None))
    newest = max(answers, key=lambda answer: list(Protocol).index(answer.protocol))
    return Deployment(
        certificates,
        with_sni=with_sni,
        protocol=newest.protocol,
        staple=_staple(next((answer.staple for answer in answers if answer.staple), None)),
        tls_scts=max(answer.scts for answer in answers),
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
            this_update=response.this_update_utc,
            next_update=response.next_update_utc,
            produced_at=response.produced_at_utc,
        )
    except (ValueError, x509.DuplicateExtension):
        return Staple("unknown")
