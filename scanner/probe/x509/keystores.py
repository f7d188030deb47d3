"""Certificates in files: PEM, DER, PKCS#12 and Java's JKS, told apart by what is in them and not by their names.

Private keys are passed over: nothing of them is kept, and of JKS, whose certificates are not encrypted, nothing is
decrypted. A JKS file is read here because the library that could (pyjks) was last released in 2020, and wants a
compiler for a cipher that no certificate needs.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from asn1crypto.parser import parse  # type: ignore[import-untyped]  # the library is not typed
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from msgspec import Struct

from scanner.formats import load

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a file that is read."""
_MOST: Final = 5000
_JKS: Final = b"\xfe\xed\xfe\xed"
_JCEKS: Final = b"\xce\xce\xce\xce"
_KEY_ENTRY, _CERTIFICATE_ENTRY = 1, 2
_SECOND_VERSION: Final = 2


class KeystoreError(Exception):
    """A file gives no certificates; the message says why."""


class KeystoreContents(Struct, frozen=True):
    """What is in a file: chains of private keys (leaf first), and certificates that stand alone, all in DER.

    `wrong` says what more there may be that could not be read.
    """

    chains: tuple[tuple[bytes, ...], ...] = ()
    others: tuple[bytes, ...] = ()
    wrong: str = ""

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """Every certificate once."""
        return tuple(dict.fromkeys((*(der for chain in self.chains for der in chain), *self.others)))


def read_keystore(path: Path, password: str | None = None) -> KeystoreContents:
    """Read the certificates of a file. A password is for PKCS#12 alone, and for such as has one.

    Raises:
        KeystoreError: it cannot be read, is none of these, is damaged, or another password opens it.
    """
    try:
        # Neither a pipe, which is waited for, nor a device, which has no end.
        if not path.is_file() and path.exists():
            raise KeystoreError("it is not a regular file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise KeystoreError(error.strerror or str(error)) from error
    if len(data) > LARGEST:
        raise KeystoreError(f"it is larger than {LARGEST >> 20} MB")
    if data[:4] in {_JKS, _JCEKS}:
        return _java(data)
    if b"-----BEGIN" in data:
        return _pem(data)
    try:
        return KeystoreContents(others=(x509.load_der_x509_certificate(data).public_bytes(Encoding.DER),))
    except ValueError:
        pass
    try:
        return KeystoreContents(
            others=tuple(item.public_bytes(Encoding.DER) for item in load("scanner.probe.x509.bags:in_der")(data))
        )
    except (ValueError, UnsupportedAlgorithm):
        return _pkcs12(data, password)


def _pem(data: bytes) -> KeystoreContents:
    try:
        found = [item for bag in _BAG.findall(data) for item in load("scanner.probe.x509.bags:in_pem")(bag)]
        if not found or _A_CERTIFICATE.search(data):
            found += x509.load_pem_x509_certificates(_TRUSTED.sub(_without_trust, data))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeystoreError("it has no certificate in PEM that can be read") from error
    if len(found) > _MOST:
        raise KeystoreError(f"it has more than {_MOST} certificates")
    return KeystoreContents(others=tuple(item.public_bytes(Encoding.DER) for item in found))


_A_CERTIFICATE: Final = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----")
_BAG: Final = re.compile(rb"-----BEGIN PKCS7-----[A-Za-z0-9+/=\s]+-----END PKCS7-----")
_TRUSTED: Final = re.compile(
    rb"-----BEGIN TRUSTED CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END TRUSTED CERTIFICATE-----"
)


def _without_trust(found: re.Match[bytes]) -> bytes:
    """The certificate in OpenSSL's own form, in which its settings of trust follow it."""
    _, _, _, header, content, trailer = parse(base64.b64decode(re.sub(rb"\s", b"", found[1])))
    whole = base64.encodebytes(header + content + trailer)
    return b"-----BEGIN CERTIFICATE-----\n" + whole + b"-----END CERTIFICATE-----"


def _pkcs12(data: bytes, password: str | None) -> KeystoreContents:
    # Of the files that one pattern means, some have no password.
    tried = (password.encode(), None) if password is not None else (None,)
    trouble: Exception | None = None
    for one in tried:
        try:
            store = pkcs12.load_pkcs12(data, one)
            break
        except (ValueError, UnsupportedAlgorithm, TypeError) as error:
            trouble = trouble or error
    else:
        # The library does not tell a wrong password from a damaged file.
        what = "the password does not open it, or it is damaged" if password else "it wants a password, or is damaged"
        raise KeystoreError(f"it is no PEM, DER, JKS or PKCS#12 file, or {what}") from trouble
    others = tuple(item.certificate.public_bytes(Encoding.DER) for item in store.additional_certs)
    if store.cert is None:
        return KeystoreContents(others=others)
    # In which order the others stand says nothing.
    return KeystoreContents(chains=((store.cert.certificate.public_bytes(Encoding.DER),),), others=others)


def _java(data: bytes) -> KeystoreContents:
    """The certificates of a JKS file. Of JCEKS the same, up to the first secret key.

    The form: magic, version and count, four bytes each; then entries: what it is, alias, time in milliseconds, for a
    key its encrypted bytes and how many certificates there are, and each certificate with its type and length.
    """
    stream = io.BytesIO(data)
    chains: list[tuple[bytes, ...]] = []
    others: list[bytes] = []
    wrong = ""
    try:
        _take(stream, 4)
        version, count = _number(stream), _number(stream)
        if version > _SECOND_VERSION or count > _MOST:
            raise KeystoreError("it is a Java keystore of an unknown version, or of too many entries")
        for number in range(count):
            kind = _number(stream)
            _take(stream, _number(stream, 2))
            _take(stream, 8)
            if kind == _KEY_ENTRY:
                _take(stream, _number(stream))
                chains.append(tuple(_certificates(stream, _number(stream), version)))
            elif kind == _CERTIFICATE_ENTRY:
                others.extend(_certificates(stream, 1, version))
            else:  # a secret key of JCEKS: an object of Java's, whose length stands nowhere
                wrong = f"what follows a secret key, the entry {number + 1} of {count}, cannot be read"
                break
    except EOFError as error:
        raise KeystoreError("it is a Java keystore that ends too early") from error
    return KeystoreContents(tuple(chain for chain in chains if chain), tuple(others), wrong)


def _certificates(stream: io.BytesIO, count: int, version: int) -> Iterator[bytes]:
    if count > _MOST:
        raise KeystoreError("it is a Java keystore with too long a chain")
    for _ in range(count):
        if version == _SECOND_VERSION:
            _take(stream, _number(stream, 2))  # "X.509"
        yield _take(stream, _number(stream))


def _number(stream: io.BytesIO, size: int = 4) -> int:
    return int.from_bytes(_take(stream, size))


def _take(stream: io.BytesIO, size: int) -> bytes:
    taken = stream.read(size)
    if len(taken) != size:
        raise EOFError
    return taken
