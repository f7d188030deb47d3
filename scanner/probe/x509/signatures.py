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


def is_named_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` has the name that the certificate gives its issuer, whoever signed it."""
    try:
        return certificate.issuer == issuer.subject
    except BROKEN:
        return False


def is_checkable(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether a signature by the issuer's key could be checked here: the library knows its kind and its hash."""
    try:
        key = issuer.public_key()
        hashed = certificate.signature_hash_algorithm is not None
        _ = certificate.signature_algorithm_parameters
    except BROKEN:
        return False
    if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return hashed
    return isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


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
