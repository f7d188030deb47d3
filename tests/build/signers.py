"""Keys of people who sign, with their certificates, in PKCS #12 files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    pkcs12,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Person:
    """A signer's key, and the CA that vouches for them."""

    p12: bytes
    ca_pem: bytes


def person(name: str, *, passphrase: str = "", ended: bool = False) -> Person:
    """Someone with a certificate of a CA of their own; `ended`: one that has expired."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = _certificate(f"CA of {name}", f"CA of {name}", ca_key, ca_key, ca=True)
    certificate = _certificate(name, f"CA of {name}", key, ca_key, ca=False, ended=ended)
    locked: KeySerializationEncryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    p12 = pkcs12.serialize_key_and_certificates(name.encode(), key, certificate, [ca], locked)
    return Person(p12, ca.public_bytes(Encoding.PEM))


def _certificate(  # noqa: PLR0913  # a certificate has a name, an issuer and two keys
    name: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    signing_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
    ended: bool = False,
) -> x509.Certificate:
    start = datetime.now(UTC) - timedelta(days=60)
    usage = x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30 if ended else 400))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(signing_key, hashes.SHA256())
    )
