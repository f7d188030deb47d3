"""Reads X.509 certificates into evidence, whatever nonsense they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID, PublicKeyAlgorithmOID

from scanner.evidence import Attempt, Certificate, FailureReason, KeyType
from scanner.probe.x509.extensions import BROKEN, places_of, read_extensions, what_is_wrong
from scanner.probe.x509.signatures import issued_by
from scanner.untrusted import printable

T = TypeVar("T")

MAX_NAMES = 500
"""subjectAltName entries that are kept; a certificate may hold any number of them."""
MAX_DER = 65_536
"""Bytes of a certificate beyond which it is not read: real ones have a tenth of it."""


def certificate_from_der(der: bytes) -> Attempt[Certificate]:
    """Read one certificate. A part that cannot be read is left empty; what is no certificate gives a failure."""
    if len(der) > MAX_DER:
        return Attempt.failed(FailureReason.TOO_LARGE, f"a certificate of {len(der)} bytes")
    try:
        return Attempt.ok(_read(x509.load_der_x509_certificate(der), der))
    except BROKEN as error:
        return Attempt.failed(FailureReason.MALFORMED, what_is_wrong(error))


def _read(certificate: x509.Certificate, der: bytes) -> Certificate:
    read = read_extensions(certificate, der)
    extensions = read.values
    key_type, bits, curve, spki = _key(certificate)
    algorithm = certificate.signature_algorithm_oid
    subject, issuer = _name(lambda: certificate.subject), _name(lambda: certificate.issuer)
    usage = extensions.get(x509.KeyUsage)
    constraints = extensions.get(x509.BasicConstraints)
    access = extensions.get(x509.AuthorityInformationAccess) or ()
    return Certificate(
        der=der,
        fingerprint=hashlib.sha256(der).hexdigest(),
        spki=spki,
        subject=subject,
        issuer=issuer,
        serial=f"{certificate.serial_number:x}",
        not_before=_moment(lambda: certificate.not_valid_before_utc, datetime.max.replace(tzinfo=UTC)),
        not_after=_moment(lambda: certificate.not_valid_after_utc, datetime.min.replace(tzinfo=UTC)),
        key_type=key_type,
        key_bits=bits,
        curve=curve,
        signature_algorithm=_algorithm_name(algorithm),
        signature_hash=_signature_hash(certificate),
        dns_names=tuple(printable(name, 253) for name in read.dns_names[:MAX_NAMES]),
        ip_addresses=read.ip_addresses[:MAX_NAMES],
        is_ca=bool(constraints and constraints.ca),
        self_signed=_self_signed(certificate),
        self_issued=bool(subject) and subject == issuer,
        extended_key_usage=tuple(oid.dotted_string for oid in extensions.get(x509.ExtendedKeyUsage) or ())[:50],
        key_usage=_usages(usage) if usage else None,
        ocsp_urls=_access_urls(access, AuthorityInformationAccessOID.OCSP),
        issuer_urls=_access_urls(access, AuthorityInformationAccessOID.CA_ISSUERS),
        crl_urls=_crl_urls(extensions.get(x509.CRLDistributionPoints) or ()),
        policies=tuple(
            policy.policy_identifier.dotted_string for policy in extensions.get(x509.CertificatePolicies) or ()
        )[:50],
        must_staple=read.must_staple,
        embedded_scts=len(extensions.get(x509.PrecertificateSignedCertificateTimestamps) or ()),
        unreadable_extensions=read.unreadable,
    )


def _key(certificate: x509.Certificate) -> tuple[KeyType, int, str | None, str]:  # noqa: PLR0911  # one for each type
    """Type, size in bits, curve (IANA group name) and SHA-256 of the public key."""
    try:
        key = certificate.public_key()
        spki = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    except BROKEN:
        return KeyType.OTHER, 0, None, ""
    match key:
        case rsa.RSAPublicKey():
            for_pss_alone = certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
            return KeyType.RSA_PSS if for_pss_alone else KeyType.RSA, key.key_size, None, spki
        case ec.EllipticCurvePublicKey():
            return KeyType.ECDSA, key.curve.key_size, key.curve.name.lower(), spki
        case ed25519.Ed25519PublicKey():
            return KeyType.ED25519, 256, None, spki
        case ed448.Ed448PublicKey():
            return KeyType.ED448, 456, None, spki
        case dsa.DSAPublicKey():
            return KeyType.DSA, key.key_size, None, spki
        case _:
            return KeyType.OTHER, 0, None, spki


def _name(read: Callable[[], x509.Name]) -> str:
    """A distinguished name as RFC 4514 text, each value cut so that one long attribute does not hide the others."""
    try:
        parts = [
            f"{_ATTRIBUTES.get(attribute.oid, attribute.oid.dotted_string)}={printable(_text(attribute.value), 100)}"
            for attribute in read()
        ]
    except BROKEN:
        return ""
    return printable(",".join(reversed(parts)), 300)


_ATTRIBUTES = {
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.SERIAL_NUMBER: "serialNumber",
}


def _text(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
    return text.replace("\\", "\\\\").replace(",", "\\,")


def _moment(read: Callable[[], datetime], otherwise: datetime) -> datetime:
    """A date; one that cannot be read becomes the bound that makes the certificate invalid."""
    try:
        return read()
    except (ValueError, OverflowError):
        return otherwise


def _algorithm_name(oid: x509.ObjectIdentifier) -> str:
    """The RFC's name of a common algorithm; any other is told by its number."""
    name = str(getattr(oid, "_name", ""))
    return oid.dotted_string if name in {"", "Unknown OID"} else name


def _signature_hash(certificate: x509.Certificate) -> str | None:
    try:
        algorithm = certificate.signature_hash_algorithm
    except BROKEN:
        return "unknown"
    return algorithm.name.lower() if algorithm else None


def _self_signed(certificate: x509.Certificate) -> bool:
    """Whether its own key signed it. MD5 and SHA-1 count as well: the question is who signed, not how well."""
    try:
        return issued_by(certificate, certificate)
    except Exception:  # noqa: BLE001  # whatever the parser or the verification raises, it was not shown to be
        return False


def _usages(usage: x509.KeyUsage) -> tuple[str, ...]:
    names = {
        "digitalSignature": usage.digital_signature,
        "nonRepudiation": usage.content_commitment,
        "keyEncipherment": usage.key_encipherment,
        "dataEncipherment": usage.data_encipherment,
        "keyAgreement": usage.key_agreement,
        "keyCertSign": usage.key_cert_sign,
        "cRLSign": usage.crl_sign,
    }
    return tuple(name for name, present in names.items() if present)


def _access_urls(access: Iterable[x509.AccessDescription], method: x509.ObjectIdentifier) -> tuple[str, ...]:
    return tuple(
        printable(item.access_location.value)
        for item in access
        if item.access_method == method and isinstance(item.access_location, x509.UniformResourceIdentifier)
    )[:10]


def _crl_urls(points: Iterable[x509.DistributionPoint]) -> tuple[str, ...]:
    """Where lists are: URLs, and in words what is named otherwise, so that nobody takes it for nothing."""
    return tuple(printable(place) for point in points for place in places_of(point))[:10]
