"""Verifies the SCTs in a certificate (RFC 6962 section 3.2): which log promised to publish it, and when."""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.certificate_transparency import SignatureAlgorithm, SignedCertificateTimestamp

from scanner.evidence import CLOCK_SKEW, Attempt, FailureReason, Sct, SctCheck, Transparency
from scanner.probe.x509.ct_logs import Log, LogList
from scanner.probe.x509.extensions import BROKEN, read_extensions, what_is_wrong
from scanner.probe.x509.signatures import made_by

_PRECERTIFICATE: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST: Final = 20
_ALGORITHMS: Final = frozenset({SignatureAlgorithm.RSA, SignatureAlgorithm.ECDSA})


def verified(
    leaf: x509.Certificate, der: bytes, issuer: x509.Certificate | None, logs: LogList, now: datetime
) -> Attempt[Transparency]:
    """What the SCTs in a leaf are worth. Logs sign the issuer's key along with the certificate, so it must be known."""
    scts = read_extensions(leaf, der).values.get(x509.PrecertificateSignedCertificateTimestamps) or ()
    if not scts:
        return Attempt.ok(Transparency((), logs.source, logs.date))
    if issuer is None:
        return Attempt.failed(FailureReason.UNSUPPORTED, "the issuer is not known")
    try:
        key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        body = leaf.tbs_precertificate_bytes
        entry = hashlib.sha256(key).digest() + len(body).to_bytes(3) + body
        found = tuple(_verified(sct, entry, logs, now) for sct in list(scts)[:_MOST])
    except BROKEN as error:
        return Attempt.failed(FailureReason.MALFORMED, what_is_wrong(error))
    return Attempt.ok(Transparency(found, logs.source, logs.date))


def _verified(sct: SignedCertificateTimestamp, entry: bytes, logs: LogList, now: datetime) -> Sct:
    logged_at = sct.timestamp.replace(tzinfo=UTC)
    log = logs.logs.get(sct.log_id)
    if log is None:
        return Sct(sct.log_id.hex(), logged_at, SctCheck.UNKNOWN_LOG)
    if not _signed(sct, entry, log):
        check = SctCheck.BAD_SIGNATURE
    else:
        check = SctCheck.FUTURE if logged_at > now + CLOCK_SKEW else SctCheck.VALID
    return Sct(sct.log_id.hex(), logged_at, check, log.name, log.operator_at(logged_at), log.states)


def _signed(sct: SignedCertificateTimestamp, entry: bytes, log: Log) -> bool:
    """Whether the log signed. Logs sign with SHA-256 alone (RFC 6962 section 2.1.4)."""
    if not isinstance(sct.signature_hash_algorithm, hashes.SHA256) or sct.signature_algorithm not in _ALGORITHMS:
        return False
    milliseconds = (sct.timestamp.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    more = sct.extension_bytes
    data = struct.pack(">BBQH", 0, 0, milliseconds, _PRECERTIFICATE) + entry + struct.pack(">H", len(more)) + more
    try:
        return made_by(log.key, sct.signature, data, hashes.SHA256())
    except BROKEN:
        return False
