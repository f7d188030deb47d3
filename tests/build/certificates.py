"""Real X.509 certificates for tests: the same bytes every time, made in well under a millisecond each.

Keys come from fixed numbers and ECDSA nonces from RFC 6979, so that golden files stay as they are.
"""

from __future__ import annotations

import functools
import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scanner.evidence import Certificate, KeyType

_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@functools.cache
def _ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(name.encode()).digest()) >> 1, ec.SECP256R1())


@functools.cache
def _rsa_key(name: str, bits: int) -> rsa.RSAPublicKey:
    """A public key alone: no one can sign by it, and a leaf never needs to."""
    digest = b"".join(hashlib.sha256(f"{name}{i}".encode()).digest() for i in range(bits // 256))
    modulus = int.from_bytes(digest) | (1 << (bits - 1)) | 1
    return rsa.RSAPublicNumbers(65537, modulus).public_key()


def _name(common_name: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


INTERMEDIATE = _name("Example Issuing CA 1", "Example Trust Services")
ROOT = _name("Example Root CA", "Example Trust Services")


@functools.cache
def leaf(
    *names: str, not_before: datetime, days: int, key: str = "", rsa_bits: int | None = None, self_signed: bool = False
) -> Certificate:
    """A server certificate for `names`, valid for `days` days. The same `key` twice is the same key pair."""
    key = key or names[0]
    subject = _name(names[0], "Example Ltd")
    public = _rsa_key(key, rsa_bits) if rsa_bits else _ec_key(key).public_key()
    issuer = subject if self_signed else INTERMEDIATE
    return _issue(subject, issuer, public, names, not_before, days, ca=False)


@functools.cache
def intermediate() -> Certificate:
    """The CA that issues every leaf that is not self-signed."""
    return _issue(
        INTERMEDIATE, ROOT, _ec_key("intermediate").public_key(), (), datetime(2024, 1, 1, tzinfo=UTC), 3650, ca=True
    )


@functools.cache
def root() -> Certificate:
    """The CA at the top, which no server sends."""
    return _issue(ROOT, ROOT, _ec_key("root").public_key(), (), datetime(2020, 1, 1, tzinfo=UTC), 7300, ca=True)


def _issue(  # noqa: PLR0913, PLR0917  # a certificate has that many parts
    subject: x509.Name,
    issuer: x509.Name,
    public: _PublicKey,
    names: tuple[str, ...],
    not_before: datetime,
    days: int,
    *,
    ca: bool,
) -> Certificate:
    serial = int.from_bytes(hashlib.sha256(f"{subject}{issuer}{not_before}{days}{names}".encode()).digest()[:16]) >> 1
    not_after = not_before + timedelta(days=days, seconds=-1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)  # noqa: FBT003  # criticality, as the library wants it
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)  # noqa: FBT003  # the same
    signer = _ec_key("root" if issuer == ROOT else "intermediate" if issuer == INTERMEDIATE else names[0])
    made = builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
    der = made.public_bytes(Encoding.DER)
    return Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        spki=hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest(),
        subject=subject.rfc4514_string(),
        issuer=issuer.rfc4514_string(),
        serial=f"{serial:x}",
        not_before=not_before,
        not_after=not_after,
        key_type=KeyType.RSA if isinstance(public, rsa.RSAPublicKey) else KeyType.ECDSA,
        key_bits=public.key_size,
        signature_algorithm="ecdsa-with-SHA256",
        signature_hash="sha256",
        curve=None if isinstance(public, rsa.RSAPublicKey) else "secp256r1",
        dns_names=names,
        is_ca=ca,
        self_signed=subject == issuer,
        self_issued=subject == issuer,
        extended_key_usage=() if ca else ("1.3.6.1.5.5.7.3.1",),
    )
