"""Servers whose certificates are made to break who reads them. What comes after the first flight is not said."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from tlslite.constants import AlertDescription, HandshakeType  # type: ignore[import-untyped]  # it ships no types

from scanner.lab.hostile import flights
from scanner.lab.hostile.behaviour import Behaviour, Serve, Visit

_REFUSAL: Final = flights.alert(AlertDescription.handshake_failure)
_URLS: Final = (
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:22/",
    "http://10.0.0.1/ca.der",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
)


def _serving(*chain: bytes) -> Serve:
    return _saying(flights.certificate(chain))


def _saying(certificate_message: bytes) -> Serve:
    async def serve(visit: Visit) -> None:
        suite = flights.usual(await visit.hear())
        if suite is None:
            await visit.say(_REFUSAL)
            return
        done = flights.message(HandshakeType.server_hello_done, b"")
        await visit.say(flights.handshake(flights.server_hello(suite), certificate_message, done))
        await visit.silence()

    return serve


@lru_cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _certificate(
    names: list[str], subject: str = "hostile", public: rsa.RSAPublicKey | None = None, urls: tuple[str, ...] = ()
) -> bytes:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject, _validate=False)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public or _key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(item) for item in names]), critical=False)
    )
    if urls:
        places = [x509.UniformResourceIdentifier(url) for url in urls]
        access = (AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS)
        builder = builder.add_extension(
            x509.AuthorityInformationAccess([x509.AccessDescription(kind, url) for kind in access for url in places]),
            critical=False,
        ).add_extension(
            x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None) for url in places]),
            critical=False,
        )
    return builder.sign(_key(), hashes.SHA256()).public_bytes(Encoding.DER)


def _large_key(bits: int) -> rsa.RSAPublicKey:
    """A key that looks like RSA of so many bits, without any factors that anybody knew."""
    return rsa.RSAPublicNumbers(65537, random.Random(bits).getrandbits(bits) | 1 << (bits - 1) | 1).public_key()  # noqa: S311  # nobody's key


def certificates(host: str) -> tuple[Behaviour, ...]:
    """The servers, whose certificates are for `host`."""
    leaf = _certificate([host])
    junk = random.Random(0).randbytes(800)  # noqa: S311  # garbage, not a secret
    shown: tuple[tuple[str, str, Serve, str], ...] = (
        ("garbage", "Its certificate is 800 random bytes", _serving(junk), r"malformed \(no certificate in DER: \w+"),
        ("truncated", "Its certificate ends in the middle", _serving(leaf[: len(leaf) // 2]),
         r"malformed \(no certificate in DER: short data"),
        ("empty", "Its certificate has no bytes", _serving(b""), r"malformed \(no certificate in DER: short data"),
        ("no-chain", "It sends no certificate", _serving(), r"length mismatch \(tls_process_server_certificate"),
        ("200-in-chain", "It sends 200 certificates", _serving(*([leaf] * 200)),
         "The chain holds certificates more than once: CN=hostile"),
        ("nested", "Its certificate is 2,000 sequences in each other", _serving(_nested(2000)),
         r"malformed \(no certificate in DER: unexpected tag"),
        ("64kb-names", "Its certificate names 64 kB of hosts", _serving(_certificate(_many_names(host))),
         r"too-large \(a certificate of 6\d{4} bytes"),
        ("rsa-16384", "Its key has 16,384 bits", _serving(_certificate([host], public=_large_key(16_384))),
         "rsa of 16384 bits"),
        ("control-characters", "Its subject is full of control characters",
         _serving(_certificate([host], "\x1b[31m\r\n\x00<script>alert(1)</script>\u202e")),
         r"CN=\\\\x1b\[31m\\\\x0d\\\\x0a\\\\x00<script>"),
        ("urls-inside", "Its certificate leads to addresses of this machine and its networks",
         _serving(_certificate([host], urls=_URLS)), r"the list http://169\.254\.169\.254/latest/meta-data/ \("),
        ("lying-list", "Its list of certificates is announced as longer than the message",
         _saying(flights.message(HandshakeType.certificate, b"\xff\xff\xff" + leaf)),
         r"a message that cannot be read \(read past end of buffer"),
        ("a-megabyte", "Its certificates have a megabyte", _serving(*([leaf] * (2**20 // len(leaf)))),
         "a handshake message of more than 131072 bytes"),
    )  # fmt: skip
    return tuple(
        Behaviour(
            name=f"cert-{name}",
            description=description,
            serve=serve,
            told=told,
            statuses=("assessed", "partial", "unreachable"),
            passes=("https.active", "proto", "cipher", "vuln", "kex", "integrity", "cert", "comp"),
        )
        for name, description, serve, told in shown
    )


def _many_names(host: str) -> list[str]:
    return [host, *(f"{number:08}.{host}" for number in range(65_536 // (len(host) + 11)))]


def _nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        size = len(data)
        length = bytes([size]) if size < 0x80 else bytes([0x82]) + size.to_bytes(2)  # noqa: PLR2004  # DER's short form
        data = b"\x30" + length + data
    return data
