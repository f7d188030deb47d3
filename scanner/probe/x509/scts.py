"""Verifies the SCTs of a certificate (RFC 6962 section 3.2): which log promised to publish it, and when.

Logs sign a certificate without its list of SCTs for SCTs within it, and the whole certificate for those that come along
in the handshake: in an extension, or in a stapled OCSP response.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from asn1crypto.parser import parse  # type: ignore[import-untyped]  # the library is not typed
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from scanner.evidence import CLOCK_SKEW, Attempt, FailureReason, Sct, SctCheck, SctSource, Transparency
from scanner.probe.x509.ct_logs import Log, LogList
from scanner.probe.x509.extensions import BROKEN, read_extensions, what_is_wrong
from scanner.probe.x509.signatures import made_by

_CERTIFICATE: Final = struct.pack(">H", 0)
_PRECERTIFICATE: Final = struct.pack(">H", 1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST: Final = 20
_V1: Final = 0
_SHA256: Final = 4
_ALGORITHMS: Final = frozenset({1, 3})  # RSA and ECDSA (RFC 5246 section 7.4.1.4.1)
_HEAD: Final = struct.Struct(">B32sQ")


class _Timestamp(Struct, frozen=True):
    """An SCT taken apart (RFC 6962 section 3.2). `signature` is empty where it is by an algorithm that no log has."""

    log_id: bytes
    milliseconds: int
    extensions: bytes
    signature: bytes

    @property
    def moment(self) -> datetime:
        """When the log promised. Raises OverflowError where no calendar has that moment."""
        return _EPOCH + timedelta(milliseconds=self.milliseconds)


def verified(  # noqa: PLR0913  # a certificate, what came with it, and by what that is verified
    leaf: x509.Certificate,
    der: bytes,
    issuer: x509.Certificate | None,
    logs: LogList,
    now: datetime,
    *,
    delivered: Mapping[SctSource, bytes] | None = None,
) -> Attempt[Transparency]:
    """What the SCTs of a leaf are worth, those within it and the lists that were `delivered` along with it.

    Logs sign the issuer's key along with what they take a certificate for, so it must be known for SCTs within it.
    """
    value = read_extensions(leaf, der).values.get(x509.PrecertificateSignedCertificateTimestamps)
    if value and issuer is None:
        return Attempt.failed(FailureReason.UNSUPPORTED, "the issuer is not known")
    whole = _CERTIFICATE + len(der).to_bytes(3) + der
    try:
        found: list[Sct] = []
        if value and issuer is not None:
            key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            body = leaf.tbs_precertificate_bytes
            entry = _PRECERTIFICATE + hashlib.sha256(key).digest() + len(body).to_bytes(3) + body
            found += _all_verified(parse(value.public_bytes())[4], entry, logs, now, SctSource.CERTIFICATE)
    except BROKEN as error:
        return Attempt.failed(FailureReason.MALFORMED, what_is_wrong(error))
    for source, listed in (delivered or {}).items():
        found += _all_verified(listed, whole, logs, now, source)
    return Attempt.ok(Transparency(tuple(found), logs.source, logs.date))


def _all_verified(listed: bytes, entry: bytes, logs: LogList, now: datetime, source: SctSource) -> Iterator[Sct]:
    """What the SCTs of one list are worth; those that cannot be read are worth nothing, as clients have it."""
    for number, one in enumerate(_items(listed)):
        if number == _MOST:
            return
        timestamp = _read(one)
        if timestamp is not None:
            yield _verified(timestamp, entry, logs, now, source)


def _items(listed: bytes) -> Iterator[bytes]:
    """The SCTs of a list (RFC 6962 section 3.3), as far as it is in its form."""
    at, end = 2, min(len(listed), 2 + int.from_bytes(listed[:2]))
    while at + 2 <= end:
        size = int.from_bytes(listed[at : at + 2])
        if at + 2 + size > end:
            return
        yield listed[at + 2 : at + 2 + size]
        at += 2 + size


def _read(sct: bytes) -> _Timestamp | None:
    try:
        version, log_id, milliseconds = _HEAD.unpack_from(sct)
        (size,) = struct.unpack_from(">H", sct, _HEAD.size)
        at = _HEAD.size + 2 + size
        digest, algorithm, length = struct.unpack_from(">BBH", sct, at)
        signature = sct[at + 4 :]
        found = _Timestamp(log_id, milliseconds, sct[_HEAD.size + 2 : at], signature)
        _ = found.moment
    except (struct.error, OverflowError):
        return None
    if version != _V1 or len(signature) != length:
        return None
    # Logs sign with SHA-256 alone (RFC 6962 section 2.1.4).
    good = digest == _SHA256 and algorithm in _ALGORITHMS
    return found if good else _Timestamp(log_id, milliseconds, found.extensions, b"")


def _verified(timestamp: _Timestamp, entry: bytes, logs: LogList, now: datetime, source: SctSource) -> Sct:
    logged_at, name = timestamp.moment, timestamp.log_id.hex()
    log = logs.logs.get(timestamp.log_id)
    if log is None:
        return Sct(name, logged_at, SctCheck.UNKNOWN_LOG, source=source)
    if not _signed(timestamp, entry, log):
        check = SctCheck.BAD_SIGNATURE
    else:
        check = SctCheck.FUTURE if logged_at > now + CLOCK_SKEW else SctCheck.VALID
    return Sct(name, logged_at, check, log.name, log.operator_at(logged_at), log.states, source)


def _signed(timestamp: _Timestamp, entry: bytes, log: Log) -> bool:
    more = timestamp.extensions
    data = struct.pack(">BBQ", _V1, 0, timestamp.milliseconds) + entry + struct.pack(">H", len(more)) + more
    try:
        return bool(timestamp.signature) and made_by(log.key, timestamp.signature, data, hashes.SHA256())
    except BROKEN:
        return False
