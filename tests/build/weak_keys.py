"""RSA keys of 512 bits, weak in one way each: small enough to be made in no time, as the checks do not look at sizes."""

from __future__ import annotations

import functools
import math
import random
from datetime import UTC, datetime

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

_RANDOM = random.Random(20261124)  # noqa: S311  # the same keys in every run; nobody uses them
_HALF = 256
_ROCA = math.prod(prime for prime in range(2, 168) if all(prime % number for number in range(2, math.isqrt(prime) + 1)))


def is_prime(number: int) -> bool:
    """By Miller and Rabin, which is enough for keys that nobody uses."""
    if number < 3 or number % 2 == 0:
        return number == 2
    if math.gcd(number, _ROCA) not in {1, number}:
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(16):
        power = pow(_RANDOM.randrange(2, number - 1), odd, number)
        if power in {1, number - 1}:
            continue
        if all((power := power * power % number) != number - 1 for _ in range(twos - 1)):
            return False
    return True


def next_prime(number: int) -> int:
    number |= 1
    while not is_prime(number):
        number += 2
    return number


def prime(bits: int = _HALF) -> int:
    return next_prime(_RANDOM.getrandbits(bits) | 3 << (bits - 2))


def roca_prime() -> int:
    """A prime as the library of CVE-2017-15361 made them: a multiple of a primorial, and a power of 65537."""
    while True:
        number = _RANDOM.randrange(1 << (_HALF - 1), 1 << _HALF) // _ROCA * _ROCA
        number += pow(65_537, _RANDOM.randrange(1 << 40), _ROCA)
        if is_prime(number):
            return number


@functools.cache
def _first() -> int:
    return prime()


WEAK: dict[str, tuple[int, int]] = {
    "sound": (_first() * prime(), 65_537),
    "even": (_first() * 2, 65_537),
    "prime-modulus": (prime(2 * _HALF), 65_537),
    "small-factor": (65_521 * prime(2 * _HALF - 16), 65_537),
    "close-primes": (_first() * next_prime(_first() + (1 << 100)), 65_537),
    "roca": (roca_prime() * roca_prime(), 65_537),
    "exponent": (_first() * prime(), 1),
    "small-exponent": (_first() * prime(), 3),
}
"""Modulus and public exponent by what is weak, which is the reason that cert.weak-key gives."""

TWICE_THE_SAME = (_first() ** 2, 65_537)
"""Two primes that are not only close: Fermat's method has nothing to search for."""

_ANY = rsa.generate_private_key(65_537, 1024)  # noqa: S505  # another key takes its place


@functools.cache
def rsa_certificate(numbers: tuple[int, int]) -> bytes:
    """A certificate for the key, in DER. The key stands in it as it is: what signs does not look at it."""
    modulus, exponent = numbers
    public = _ANY.public_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "weak")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1).public_key(public)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2027, 1, 1, tzinfo=UTC)
    )
    signed = builder.sign(ec.derive_private_key(2, ec.SECP256R1()), hashes.SHA256())
    return with_key(signed.public_bytes(Encoding.DER), modulus, exponent)


def with_key(der: bytes, modulus: int, exponent: int) -> bytes:
    """The certificate with another RSA key in it; its signature is wrong then, which nobody looks at here."""
    certificate = asn1.Certificate.load(der)
    key = certificate["tbs_certificate"]["subject_public_key_info"]
    key["public_key"] = asn1_keys.RSAPublicKey({"modulus": modulus, "public_exponent": exponent})
    return bytes(certificate.dump(force=True))
