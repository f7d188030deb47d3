"""A stapled OCSP response (RFC 6960), believed only as far as the certificate's issuer stands behind it.

The response comes from the very host that it speaks of, so a signature that is not the issuer's says nothing. One that
is no answer, or is not about this certificate, is as good as none: that is how a browser takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asn1crypto.parser import parse  # type: ignore[import-untyped]  # the library is not typed
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from scanner.evidence import Certificate, Staple
from scanner.probe.x509.extensions import BROKEN
from scanner.probe.x509.signatures import made_by

MAX_SCT_LIST = 4096
"""Bytes of a list of SCTs that is kept: one SCT takes 120."""
_MAX_BYTES = 65_536
_STATUSES = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


def staple_of(
    der: bytes | None, chain: Sequence[Certificate], issuers: Sequence[x509.Certificate] = ()
) -> Staple | None:
    """What a response says of the chain's leaf; None where there is none that says anything of it.

    `issuers` are those that were not sent and are known all the same: a root that issues by itself. Where none of all
    is the leaf's issuer, nobody can tell who signed, and the status is "unknown".
    """
    if der is None or len(der) > _MAX_BYTES:
        return None
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        staple = Staple(
            _STATUSES[response.certificate_status],
            response.this_update_utc,
            response.next_update_utc,
            response.produced_at_utc,
            verified=True,
        )
        leaf, *others = (x509.load_der_x509_certificate(certificate.der) for certificate in chain)
        if response.serial_number != leaf.serial_number:
            return None
        issuer = next((other for other in (*others, *issuers) if _issued(leaf, other)), None)
        if issuer is None:
            return replace(staple, certificate_status="unknown", verified=False)
        return replace(staple, sct_list=_scts(response)) if _signed(response, leaf, issuer) else None
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm, x509.DuplicateExtension):
        return None


def _scts(response: ocsp.OCSPResponse) -> bytes:
    """The list of SCTs that a response brings (RFC 6962 section 3.3); none where it cannot be read."""
    try:
        value = response.single_extensions.get_extension_for_class(x509.SignedCertificateTimestamps).value
        listed: bytes = parse(value.public_bytes())[4]
    except (*BROKEN, x509.ExtensionNotFound):
        return b""
    return listed if len(listed) <= MAX_SCT_LIST else b""


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _signed(response: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer, or a responder to which it delegated (RFC 6960 section 4.2.2.2), signed for this leaf."""
    named = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, response.hash_algorithm).build()
    if (named.issuer_key_hash, named.issuer_name_hash) != (response.issuer_key_hash, response.issuer_name_hash):
        return False
    delegates = [certificate for certificate in response.certificates if _delegated(certificate, issuer)]
    return any(_verifies(response, signer) for signer in (issuer, *delegates))


def _delegated(responder: x509.Certificate, issuer: x509.Certificate) -> bool:
    if not _issued(responder, issuer):
        return False
    try:
        usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _verifies(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    return made_by(
        signer.public_key(), response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
    )
