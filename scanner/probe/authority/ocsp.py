"""Questions to OCSP responders (RFC 6960, RFC 5019), and whose word their answers are.

No nonce is sent: what is signed beforehand has none, and public responders answer so. What an answer says holds for as
long as it says itself.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from scanner.evidence import CLOCK_SKEW, RevocationFailure, RevocationStatus, ServiceFault
from scanner.probe.authority.published import Judgement, Unusable, reason_name
from scanner.probe.x509.extensions import BROKEN
from scanner.probe.x509.signatures import issued_by, made_by

_STATUSES: Final = {
    ocsp.OCSPCertStatus.GOOD: RevocationStatus.GOOD,
    ocsp.OCSPCertStatus.REVOKED: RevocationStatus.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: RevocationStatus.UNKNOWN,
}
_LONGEST_GET: Final = 255
"""Bytes of an encoded request that may go into a URL (RFC 6960 appendix A.1)."""
_PSS_HASHES: Final = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())


def request_for(certificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
    """A request about a certificate, DER. SHA-1 names the issuer, as RFC 5019 section 2.1.1 wants; nothing rests on it.

    Raises:
        ValueError: the certificates cannot be named so.
    """
    algorithm = hashes.SHA1()  # noqa: S303  # see above
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm).build()
    return request.public_bytes(serialization.Encoding.DER)


def get_url(responder: str, request: bytes) -> str | None:
    """The URL by which to GET the answer; None where the request is too long for one."""
    encoded = quote(base64.b64encode(request).decode("ascii"), safe="")
    return f"{responder.rstrip('/')}/{encoded}" if len(encoded) <= _LONGEST_GET else None


def judge(data: bytes, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> Judgement:
    """What a response says of a certificate. `now` is when a delegated responder's certificate must be valid.

    Raises:
        Unusable: it says nothing that counts: an error, signed by somebody else, or about another certificate.
    """
    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            later = response.response_status is ocsp.OCSPResponseStatus.TRY_LATER
            failure = RevocationFailure.TRY_LATER if later else RevocationFailure.RESPONDER_ERROR
            raise Unusable(failure, f"the responder answers {response.response_status.name.lower()}")
        faults = _check_signature(response, issuer, now)
        found = [one for one in response.responses if _is_about(one, certificate, issuer)]
        if not found:
            raise Unusable(RevocationFailure.OTHER_SCOPE, "a response about other certificates")
        # Of several about the same certificate a revocation counts, and else the newest.
        single = max(
            found, key=lambda one: (one.certificate_status is ocsp.OCSPCertStatus.REVOKED, one.this_update_utc)
        )
        revoked = single.certificate_status is ocsp.OCSPCertStatus.REVOKED
        return Judgement(
            _STATUSES[single.certificate_status],
            single.this_update_utc,
            single.next_update_utc,
            faults,
            reason_name(single.revocation_reason) if revoked else None,
            single.revocation_time_utc if revoked else None,
        )
    except BROKEN as error:
        raise Unusable(RevocationFailure.MALFORMED, "it is not an OCSP response in DER, or a broken one") from error


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if single.serial_number != certificate.serial_number:
        return False
    named = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm).build()
    return (named.issuer_key_hash, named.issuer_name_hash) == (single.issuer_key_hash, single.issuer_name_hash)


def _check_signature(response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> tuple[ServiceFault, ...]:
    """Check that the issuer signed, or a responder to which it delegated (RFC 6960 section 4.2.2.2).

    Raises:
        Unusable: neither did.
    """
    weak = response.signature_algorithm_oid in _SHA1_SIGNATURES
    faults = (ServiceFault.SHA1,) if weak else ()
    if _signed_by(response, issuer.public_key()):
        return faults
    for delegate, no_check in _delegates(response, issuer, now):
        if _signed_by(response, delegate.public_key()):
            return faults if no_check else (*faults, ServiceFault.NO_NOCHECK)
    raise Unusable(RevocationFailure.NOT_SIGNED, "signed neither by the issuer nor by the issuer's own responder")


_SHA1_SIGNATURES: Final = frozenset({SignatureAlgorithmOID.RSA_WITH_SHA1, SignatureAlgorithmOID.ECDSA_WITH_SHA1})


def _delegates(
    response: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime
) -> Iterator[tuple[x509.Certificate, bool]]:
    """The certificates in a response by which the issuer lets others sign, and whether each has ocsp-nocheck."""
    for candidate in response.certificates:
        try:
            if not issued_by(candidate, issuer) or not _valid(candidate, now):
                continue
            extensions = {type(item.value): item.value for item in candidate.extensions}
        except BROKEN:
            continue
        usage = extensions.get(x509.ExtendedKeyUsage)
        if isinstance(usage, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.OCSP_SIGNING in usage:
            yield candidate, x509.OCSPNoCheck in extensions


def _valid(certificate: x509.Certificate, moment: datetime, skew: timedelta = CLOCK_SKEW) -> bool:
    return certificate.not_valid_before_utc - skew <= moment <= certificate.not_valid_after_utc + skew


def _signed_by(response: ocsp.OCSPResponse, key: PublicKeyTypes) -> bool:
    signature, data = response.signature, response.tbs_response_bytes
    if response.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        # The library does not tell the parameters: the usual ones are tried.
        tried = ((digest, padding.PSS(padding.MGF1(digest), digest.digest_size)) for digest in _PSS_HASHES)
        return any(made_by(key, signature, data, digest, pss) for digest, pss in tried)
    digest = response.signature_hash_algorithm
    return not isinstance(digest, hashes.MD5) and made_by(key, signature, data, digest)
