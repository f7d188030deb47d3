"""Bags of certificates (PKCS #7); loaded where there is one, for what reads them brings the parser of e-mails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import pkcs7

if TYPE_CHECKING:
    from cryptography import x509


def in_der(data: bytes) -> list[x509.Certificate]:
    """The certificates in a bag in DER.

    Raises:
        ValueError: it is none.
        UnsupportedAlgorithm: there is more in it than certificates.
    """
    return pkcs7.load_der_pkcs7_certificates(data)


def in_pem(data: bytes) -> list[x509.Certificate]:
    """The same of a bag in PEM."""
    return pkcs7.load_pem_pkcs7_certificates(data)
