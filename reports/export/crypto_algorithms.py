"""The algorithms that cipher suites, groups, signatures and keys are made of, as CycloneDX describes them.

`nistQuantumSecurityLevel` is the category of NIST's call for post-quantum proposals (section 4.A.5): AES-128, -192 and
-256 define categories 1, 3 and 5; ML-KEM-512, -768 and -1024 are in 1, 3 and 5 (FIPS 203, table 2), ML-DSA-44, -65 and
-87 in 2, 3 and 5 (FIPS 204, table 1). What Shor's algorithm breaks is in none, which CycloneDX writes as 0. A hybrid
group is in the category of its ML-KEM half. Where no document gives a category, none is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cyclonedx.model.crypto import AlgorithmProperties, CryptoFunction, CryptoMode, CryptoPrimitive

from reports.view.certificates import key_of
from scanner.evidence import Certificate, KeyType
from scanner.rules.tls.suites import Suite, classify

Algorithm = tuple[str, AlgorithmProperties]
"""Its name, and what is known of it."""

_BROKEN_BY_SHOR: Final = 0
_CIPHER_BITS: Final = re.compile(r"(AES|CAMELLIA|ARIA)_(128|192|256)")
_AES_CATEGORIES: Final = {"128": 1, "192": 3, "256": 5}
_KEM: Final = re.compile(r"(?P<curve>.*?)mlkem(?P<size>512|768|1024)")
_KEM_CATEGORIES: Final = {"512": 1, "768": 3, "1024": 5}
_MLDSA_CATEGORIES: Final = {"mldsa44": 2, "mldsa65": 3, "mldsa87": 5}
_TRADITIONAL: Final = re.compile(r"rsa|dsa|ed25519|ed448|sm2|gost", re.IGNORECASE)
_HASH: Final = re.compile(r"_(SHA|MD5|SM3)(\d*)$")
_MODES: Final = {"CBC": CryptoMode.CBC, "GCM": CryptoMode.GCM, "CCM": CryptoMode.CCM, "CCM_8": CryptoMode.CCM}
_KEY_FUNCTIONS: Final = (CryptoFunction.SIGN, CryptoFunction.VERIFY)


def of_suite(name: str) -> Iterator[Algorithm]:
    """The parts of a cipher suite, by its IANA name; none where the name does not follow the scheme."""
    suite = classify(name)
    if suite is None:
        return
    yield from _key_exchange(suite)
    if not suite.null:
        yield _cipher(suite)
    if suite.mac is not None:
        mac = "SHA1" if suite.mac == "SHA" else suite.mac
        yield f"HMAC-{mac}", AlgorithmProperties(primitive=CryptoPrimitive.MAC, crypto_functions=[CryptoFunction.TAG])
    if (suite.mac is None) and (match := _HASH.search(name)):
        digest = f"{match[1]}-{match[2]}" if match[2] else match[1]
        yield (
            digest,
            AlgorithmProperties(
                primitive=CryptoPrimitive.HASH,
                parameter_set_identifier=match[2] or None,
                crypto_functions=[CryptoFunction.DIGEST],
            ),
        )


def _key_exchange(suite: Suite) -> Iterator[Algorithm]:
    """Up to TLS 1.2 the suite names it; in TLS 1.3 the groups and signature schemes do."""
    exchange, proof = suite.key_exchange, suite.authentication
    if exchange is None:
        return
    if suite.rsa_key_transport:
        yield (
            "RSA key transport",
            AlgorithmProperties(
                primitive=CryptoPrimitive.PKE,
                crypto_functions=[CryptoFunction.ENCRYPT, CryptoFunction.DECRYPT],
                nist_quantum_security_level=_BROKEN_BY_SHOR,
            ),
        )
        return
    if exchange in {"ECDHE", "DHE", "ECDH", "DH"}:
        yield (
            exchange,
            AlgorithmProperties(
                primitive=CryptoPrimitive.KEY_AGREE,
                crypto_functions=[CryptoFunction.KEYGEN, CryptoFunction.KEYDERIVE],
                nist_quantum_security_level=_BROKEN_BY_SHOR,
            ),
        )
    if proof in {"RSA", "ECDSA", "DSS"}:
        yield (
            f"{proof.replace('DSS', 'DSA')} signature",
            AlgorithmProperties(
                primitive=CryptoPrimitive.SIGNATURE,
                crypto_functions=_KEY_FUNCTIONS,
                nist_quantum_security_level=_BROKEN_BY_SHOR,
            ),
        )


def _cipher(suite: Suite) -> Algorithm:
    name = "-".join(part for part in (suite.cipher.replace("_", "-"), suite.mode.replace("_", "-")) if part)
    match = _CIPHER_BITS.fullmatch(suite.cipher)
    if suite.aead:
        primitive = CryptoPrimitive.AE
    else:
        primitive = CryptoPrimitive.BLOCK_CIPHER if suite.cbc else CryptoPrimitive.STREAM_CIPHER
    bits = match[2] if match else "256" if suite.cipher == "CHACHA20" else None
    return name, AlgorithmProperties(
        primitive=primitive,
        parameter_set_identifier=bits,
        mode=_MODES.get(suite.mode),
        crypto_functions=[CryptoFunction.ENCRYPT, CryptoFunction.DECRYPT],
        classical_security_level=int(bits) if bits else None,
        nist_quantum_security_level=_AES_CATEGORIES[match[2]] if match and match[1] == "AES" else None,
    )


def of_group(name: str) -> Algorithm:
    """A named group, by its IANA name in lower case."""
    if match := _KEM.fullmatch(name):
        hybrid = bool(match["curve"])
        return name, AlgorithmProperties(
            primitive=CryptoPrimitive.COMBINER if hybrid else CryptoPrimitive.KEM,
            parameter_set_identifier=f"ML-KEM-{match['size']}",
            curve=match["curve"] or None,
            crypto_functions=[CryptoFunction.KEYGEN, CryptoFunction.ENCAPSULATE, CryptoFunction.DECAPSULATE],
            nist_quantum_security_level=_KEM_CATEGORIES[match["size"]],
        )
    draft = "kyber" in name
    finite = name.startswith("ffdhe")
    return name, AlgorithmProperties(
        primitive=CryptoPrimitive.COMBINER if draft else CryptoPrimitive.KEY_AGREE,
        parameter_set_identifier=name.removeprefix("ffdhe") if finite else None,
        curve=None if finite or draft else name,
        crypto_functions=[CryptoFunction.KEYGEN, CryptoFunction.KEYDERIVE],
        nist_quantum_security_level=None if draft else _BROKEN_BY_SHOR,
    )


def of_signature(name: str) -> Algorithm:
    """A signature scheme of TLS, or the algorithm by which a certificate is signed."""
    traditional = _TRADITIONAL.search(name) is not None and not name.startswith("mldsa")
    return name, AlgorithmProperties(
        primitive=CryptoPrimitive.SIGNATURE,
        crypto_functions=_KEY_FUNCTIONS,
        nist_quantum_security_level=_BROKEN_BY_SHOR if traditional else _MLDSA_CATEGORIES.get(name),
    )


def of_key(certificate: Certificate) -> Algorithm:
    """The algorithm of a certificate's public key."""
    known = certificate.key_type is not KeyType.OTHER
    return key_of(certificate), AlgorithmProperties(
        primitive=CryptoPrimitive.SIGNATURE if known else CryptoPrimitive.UNKNOWN,
        parameter_set_identifier=str(certificate.key_bits),
        curve=certificate.curve,
        crypto_functions=_KEY_FUNCTIONS if known else None,
        nist_quantum_security_level=_BROKEN_BY_SHOR if known else None,
    )
