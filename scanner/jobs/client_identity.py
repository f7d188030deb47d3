"""Whether a client certificate and its key belong together, in words that name the files: OpenSSL's do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from scanner.inventory import ClientCertificate

_KINDS = (
    (rsa.RSAPublicKey, "RSA"),
    (ec.EllipticCurvePublicKey, "EC"),
    (dsa.DSAPublicKey, "DSA"),
    (ed25519.Ed25519PublicKey, "Ed25519"),
    (ed448.Ed448PublicKey, "Ed448"),
)


def misfit(identity: ClientCertificate) -> str | None:
    """Why a key is not that of a certificate; None where it is, or where that cannot be told without OpenSSL.

    The first certificate of a file is the client's own; those after it are its chain.
    """
    try:
        chain = x509.load_pem_x509_certificates(identity.cert.read_bytes())
        key = load_pem_private_key(identity.key.read_bytes(), None).public_key()
        numbers = [place for place, item in enumerate(chain, 1) if _der(item.public_key()) == _der(key)]
        own = chain[0].public_key()
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None  # encrypted, torn, or of an algorithm that is not known: OpenSSL says what is wrong
    if 1 in numbers:
        return None
    if numbers:
        return (
            f"{identity.key} belongs to certificate {numbers[0]} of {identity.cert}, and not to the first: "
            "the client's own comes first, its chain after it"
        )
    kinds = f"the key is {_kind(key)}, the certificate is for an {_kind(own)} key"
    other = kinds if _kind(key) != _kind(own) else "the certificate is for another key"
    return f"{identity.key} does not belong to the certificate {identity.cert}: {other}"


def _der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _kind(key: PublicKeyTypes) -> str:
    return next((name for kind, name in _KINDS if isinstance(key, kind)), "unknown")
