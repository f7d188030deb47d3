"""Whose key made a signature: the question is who signed, not how well.

The library's own `verify_directly_issued_by` refuses MD5 and SHA-1, as who relies on a signature must.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from scanner.probe.x509.extensions import BROKEN


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` has the name that the certificate gives its issuer, and its key signed it."""
    try:
        if certificate.issuer != issuer.subject:
            return False
        padding_used = certificate.signature_algorithm_parameters
        return made_by(
            issuer.public_key(),
            certificate.signature,
            certificate.tbs_certificate_bytes,
            certificate.signature_hash_algorithm,
            padding_used if isinstance(padding_used, padding.PSS) else None,
        )
    except BROKEN:
        return False


def made_by(
    key: PublicKeyTypes,
    signature: bytes,
    data: bytes,
    digest: hashes.HashAlgorithm | Prehashed | None,
    pss: padding.PSS | None = None,
) -> bool:
    """Whether the key made the signature over the data, or over what has the data as its digest (`Prehashed`).

    Raises what the library raises of odd parameters.
    """
    try:
        if isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(signature, data, pss or padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, data, ec.ECDSA(digest))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True
