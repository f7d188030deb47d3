"""The certificates of mutual TLS between a coordinator, its workers and their broker: made, and made anew.

One authority of the fleet's own signs all of them, and nothing else trusts it. Its key stays in the folder in which
they were made; each member is given its own folder and no more.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scanner.errors import OutputError, UsageError
from scanner.fleet.settings import BROKER, CA, CERTIFICATE, COORDINATOR, KEY, member_of_zone
from scanner.inventory import is_address

_AUTHORITY_DAYS: Final = 3650
DAYS: Final = 90
"""How long a member's certificate is good for; it is made anew by the same command."""
_MARGIN: Final = timedelta(minutes=5)


def make(folder: Path, hosts: Sequence[str], zones: Sequence[str], now: datetime | None = None) -> list[Path]:
    """Make the certificates of a broker at these hosts, of the coordinator, and of a worker for each zone.

    The authority that is there already signs them; else one is made. Returns the folders of the members.

    Raises:
        UsageError: a zone's name is no name of a folder.
        OutputError: the folder can't be written.
    """
    for zone in zones:
        if not zone.replace("-", "").replace("_", "").isalnum() or not zone.isascii():
            raise UsageError(f'a zone "{zone}": its name is made of letters, digits, "-" and "_"')
    moment = now or datetime.now(UTC)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority, key = _authority(folder, moment)
        members = {BROKER: hosts, COORDINATOR: (), **{member_of_zone(zone): () for zone in zones}}
        return [_member(folder / name, name, names, authority, key, moment) for name, names in members.items()]
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from error


def _authority(folder: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate_file, key_file = folder / CA, folder / "ca-key.pem"
    if certificate_file.exists() and key_file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise UsageError(f"{key_file} is not a key that this command made")
        return x509.load_pem_x509_certificate(certificate_file.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Nightseal fleet, {now:%Y-%m-%d}")])
    certificate = (
        _begun(name, name, key.public_key(), now, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_file(key_file, _pem(key), 0o600)
    write_file(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate, key


def _member(  # noqa: PLR0913, PLR0917  # what a certificate is made of
    folder: Path,
    name: str,
    hosts: Sequence[str],
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(host)) if is_address(host) else x509.DNSName(host)
        for host in hosts or (name,)
    ]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _begun(subject, authority.subject, key.public_key(), now, DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    write_file(folder / KEY, _pem(key), 0o600)
    write_file(folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    write_file(folder / CA, authority.public_bytes(serialization.Encoding.PEM), 0o644)
    return folder


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _MARGIN)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file that nobody else may read before it is there, or at all where `mode` says so."""
    temporary = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    temporary.replace(path)
