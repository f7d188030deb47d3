"""Certificates are read out of PEM, DER, PKCS#12, PKCS#7 and JKS files, whatever their names; hostile ones harm nothing."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from scanner.inventory import CertificateFile, Endpoint, Role
from scanner.pem_labels import holds_no_certificate
from scanner.probe.x509.files import read_files
from scanner.probe.x509.keystores import KeystoreContents, KeystoreError, read_keystore
from tests.build.authority import certificate, der
from tests.build.certificates import intermediate, leaf
from tests.build.records import FIRST_NIGHT

# Made by pyjks 20.0.0, password "changeit": a private key with its chain of two, and the second as a trusted one.
JKS = base64.b64decode(
    "/u3+7QAAAAIAAAACAAAAAQADYXBwAAABoin7UZAAAADIMIHFMA4GCisGAQQBKgIRAQEFAASBsuVadqoh7UBadmTtbZKo1aNXdari"
    "skZbUD6vJ9xj5giuTwG+peT57sSDBn2U6jHtjNDv/2kIRSixicSDko+wq9E7FDkrGtnwWAxm90JNT6RMOdEEbwwPGH6BxgyBK2Cw"
    "dVjsQEsHOq2Xck/cHuvkoVfBUeez1Ja09S9GT/zAPOAW1r69ubitS7ApdOUFJGG0mEBttBKd1iWaH+UmKTvnCrUUByBcsE1wvf11"
    "6IWmkChJIpwAAAACAAVYLjUwOQAAAR0wggEZMIHAoAMCAQICAQcwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2EwHhcNMjYwMTAx"
    "MDAwMDAwWhcNMjcwMTAxMDAwMDAwWjAOMQwwCgYDVQQDDANhcHAwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASwGhcqdqRgLJLT"
    "JCy4l93jAkx0DeuyFbTGsKrpPCKRqehcEHQyN9rVb+wOLfunA3kcAPdwHH4Wvf18SFOPx3/ioxAwDjAMBgNVHRMBAf8EAjAAMAoG"
    "CCqGSM49BAMCA0gAMEUCIQD3MZKpWFmeb1tLirAU/7duxsNopIJRQD6kCu2R6ANl0AIgb4pvevGMpRPtN+7hkOkCfhxAJoVXz5CL"
    "WRASq5+YvJwABVguNTA5AAABHjCCARowgcKgAwIBAgIBBzAKBggqhkjOPQQDAjANMQswCQYDVQQDDAJjYTAeFw0yNjAxMDEwMDAw"
    "MDBaFw0yNzAxMDEwMDAwMDBaMA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUVkLelFRQNLXhMhWCGaP"
    "3++Mgv0fW+UkIVVKDcPQM+3gwX2okEpyfYrhvza/inkmDQEvANTYCIjR0LtE/aFtpKMTMBEwDwYDVR0TAQH/BAUwAwEB/zAKBggq"
    "hkjOPQQDAgNHADBEAiAlv2WNcp9mBly+6sSJgZMmXV3ofnsMkLy3no+NsOeJ5gIgS4ePk/YWreEjQEv3pGG0e9xZrviDJQwTcr64"
    "0QDyFRgAAAACAARyb290AAABoin7UZAABVguNTA5AAABHjCCARowgcKgAwIBAgIBBzAKBggqhkjOPQQDAjANMQswCQYDVQQDDAJj"
    "YTAeFw0yNjAxMDEwMDAwMDBaFw0yNzAxMDEwMDAwMDBaMA0xCzAJBgNVBAMMAmNhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"
    "UVkLelFRQNLXhMhWCGaP3++Mgv0fW+UkIVVKDcPQM+3gwX2okEpyfYrhvza/inkmDQEvANTYCIjR0LtE/aFtpKMTMBEwDwYDVR0T"
    "AQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAlv2WNcp9mBly+6sSJgZMmXV3ofnsMkLy3no+NsOeJ5gIgS4ePk/YWreEjQEv3"
    "pGG0e9xZrviDJQwTcr640QDyFRilg+2z3BPQqk45FlrWZlxaRSMzxw=="
)
APP = "4816f052e0e6a2962611457fe1ea8e03706fccf3bc5f35ea5892f692c04bdea2"
CA = "23002ed1d23502ffd840e483f2e39800c52a84f95a1a19e2bcf9a33bf7424cf2"
LEAF, ABOVE = leaf("a.example.com", not_before=FIRST_NIGHT, days=90).der, intermediate().der
CERTIFICATES = [x509.load_der_x509_certificate(der) for der in (LEAF, ABOVE)]


ROOT = certificate("Root", ca=True)
ISSUER = certificate("Issuer", ROOT, ca=True)
OWN = der(certificate("own.example", ISSUER, dns=["own.example"]).certificate)


def pem_of(*found: bytes) -> bytes:
    head, end = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
    return b"".join(head + base64.encodebytes(item) + end for item in found)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "store"
    path.write_bytes(data)
    return path


def fingerprints(kept: KeystoreContents) -> list[str]:
    return [hashlib.sha256(der).hexdigest() for der in kept.certificates]


def test_a_java_keystore_gives_chains_and_trusted_certificates_without_a_password(tmp_path: Path) -> None:
    kept = read_keystore(written(tmp_path, JKS))
    assert [[hashlib.sha256(der).hexdigest() for der in chain] for chain in kept.chains] == [[APP, CA]]
    assert fingerprints(KeystoreContents(others=kept.others)) == [CA]


@pytest.mark.parametrize("cut", range(0, len(JKS) - 40, 37))
def test_a_java_keystore_that_ends_early_is_told(tmp_path: Path, cut: int) -> None:
    with pytest.raises(KeystoreError):
        read_keystore(written(tmp_path, JKS[:cut]))


@given(data=st.binary(max_size=400), head=st.sampled_from([JKS[:4], b"\xce\xce\xce\xce", b"-----BEGIN", b"0\x82", b""]))
def test_whatever_is_in_a_file_is_a_keystore_or_an_error(tmp_path_factory, data: bytes, head: bytes) -> None:
    path = written(tmp_path_factory.mktemp("any"), head + data)
    with contextlib.suppress(KeystoreError):
        assert isinstance(read_keystore(path, "x"), KeystoreContents)


def test_a_count_of_four_thousand_million_costs_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="too many entries"):
        read_keystore(written(tmp_path, JKS[:8] + b"\xff" * 4 + JKS[12:]))
    with pytest.raises(KeystoreError, match="ends too early"):
        read_keystore(written(tmp_path, JKS[:12] + b"\0\0\0\2\0\1a" + b"\0" * 8 + b"\0\5X.509\xff\xff\xff\xff"))


def test_pem_der_and_pkcs7_are_told_apart_by_what_is_in_them(tmp_path: Path) -> None:
    pem = b"some words\n" + b"".join(item.public_bytes(Encoding.PEM) for item in CERTIFICATES)
    assert read_keystore(written(tmp_path, pem)).others == (LEAF, ABOVE)
    assert read_keystore(written(tmp_path, LEAF)).others == (LEAF,)
    bundle = pkcs7.serialize_certificates(CERTIFICATES, Encoding.DER)
    assert set(read_keystore(written(tmp_path, bundle)).others) == {LEAF, ABOVE}
    in_pem = pkcs7.serialize_certificates(CERTIFICATES, Encoding.PEM)
    assert set(read_keystore(written(tmp_path, in_pem)).others) == {LEAF, ABOVE}
    assert set(read_keystore(written(tmp_path, pem_of(OWN) + in_pem)).others) == {OWN, LEAF, ABOVE}


def test_openssls_own_form_is_the_certificate_without_its_settings(tmp_path: Path) -> None:
    settings = bytes.fromhex("300c300a06082b06010505070301")
    trusted = pem_of(LEAF + settings).replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE")
    assert read_keystore(written(tmp_path, trusted + pem_of(ABOVE))).others == (LEAF, ABOVE)
    with pytest.raises(KeystoreError, match="no certificate in PEM"):
        read_keystore(written(tmp_path, trusted.replace(b"MII", b"AAA", 1)))


def test_what_follows_a_secret_key_of_jceks_is_not_taken_for_nothing(tmp_path: Path) -> None:
    entry = b"\0\0\0\2\0\1a" + bytes(8) + b"\0\5X.509" + len(LEAF).to_bytes(4) + LEAF
    secret = b"\0\0\0\3\0\1s" + bytes(8) + b"\xac\xed serialised"
    data = b"\xce\xce\xce\xce\0\0\0\2\0\0\0\3" + entry + secret + entry
    kept = read_keystore(written(tmp_path, data))
    assert kept.others == (LEAF,)
    assert kept.wrong == "what follows a secret key, the entry 2 of 3, cannot be read"
    path = written(tmp_path, data)
    endpoint = Endpoint("e", "file:store", 0, Role.SERVER, file=CertificateFile(path))
    tls = read_files([endpoint], lambda _: ())[endpoint.id].tls.value
    assert tls is not None
    assert tls.certificates.value
    assert tls.certificates.incomplete is not None
    assert "follows a secret key" in tls.certificates.incomplete.detail
    assert not read_keystore(written(tmp_path, data.replace(b"\0\0\0\3", b"\0\0\0\1", 1))).wrong


def test_certificates_beyond_the_most_that_are_judged_are_not_taken_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scanner.probe.x509.files._MOST_LEAVES", 1)
    path = written(tmp_path, pem_of(OWN, LEAF))
    endpoint = Endpoint("e", "file:store", 0, Role.SERVER, file=CertificateFile(path))
    tls = read_files([endpoint], lambda _: ())[endpoint.id].tls.value
    assert tls is not None
    assert tls.certificates.incomplete is not None
    assert tls.certificates.incomplete.detail == "1 of 2 certificates are judged"


def test_an_authority_that_issued_none_of_the_others_is_judged_by_itself(tmp_path: Path) -> None:
    other = der(certificate("Trusted", ca=True).certificate)
    path = written(tmp_path, pem_of(OWN, der(ISSUER.certificate), der(ROOT.certificate), other))
    endpoint = Endpoint("e", "file:store", 0, Role.SERVER, file=CertificateFile(path))
    tls = read_files([endpoint], lambda _: ())[endpoint.id].tls.value
    assert tls is not None
    assert [item.leaf.der for item in tls.certificates.value or ()] == [OWN, other]


@pytest.mark.parametrize(
    ("data", "nothing"),
    [
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", True),
        (b"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", True),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", True),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", True),
        (b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----BEGIN CERTIFICATE-----\nbroken", False),
        (b"-----BEGIN TRUSTED CERTIFICATE-----\nbroken", False),
        (b"-----BEGIN PKCS7-----\nbroken", False),
        (b"broken", False),
        (b"", False),
    ],
)
def test_a_file_of_keys_alone_is_told_from_one_that_is_broken(tmp_path: Path, data: bytes, nothing: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert holds_no_certificate(written(tmp_path, data)) is nothing
    assert not holds_no_certificate(tmp_path / "missing")


def test_pkcs12_opens_by_its_password_alone(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "p12")])
    own = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1).public_key(key.public_key())
        .not_valid_before(FIRST_NIGHT).not_valid_after(FIRST_NIGHT.replace(year=2027)).sign(key, hashes.SHA256())
    )  # fmt: skip
    locked = pkcs12.serialize_key_and_certificates(b"a", key, own, CERTIFICATES[1:], BestAvailableEncryption(b"secret"))
    kept = read_keystore(written(tmp_path, locked), "secret")
    assert kept.chains == ((own.public_bytes(Encoding.DER),),)
    assert kept.others == (ABOVE,)
    assert key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) not in repr(kept).encode()
    with pytest.raises(KeystoreError, match="the password does not open it"):
        read_keystore(written(tmp_path, locked), "wrong")
    with pytest.raises(KeystoreError, match="wants a password"):
        read_keystore(written(tmp_path, locked))
    # The others that a pattern means may have none.
    open_to_all = pkcs12.serialize_key_and_certificates(b"a", key, own, CERTIFICATES[1:], NoEncryption())
    assert read_keystore(written(tmp_path, open_to_all), "secret") == kept


def test_what_is_no_file_or_no_certificate_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="No such file"):
        read_keystore(tmp_path / "nothing")
    with pytest.raises(KeystoreError, match="no certificate in PEM"):
        read_keystore(written(tmp_path, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
    with pytest.raises(KeystoreError, match="no PEM, DER, JKS or PKCS#12"):
        read_keystore(written(tmp_path, b"hello"))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(KeystoreError, match="larger than 16 MB"):
        read_keystore(tmp_path / "large")


def spoilt(found: bytes, text: bytes) -> bytes:
    """The certificate with a name that is no text in place of the first one that reads so."""
    return found.replace(text, b"\xff\xfe" + text[2:], 1)


def java_of(*found: bytes) -> bytes:
    """A Java keystore with these as trusted certificates."""
    entries = b"".join(b"\0\0\0\2\0\1a" + bytes(8) + b"\0\5X.509" + len(item).to_bytes(4) + item for item in found)
    return b"\xfe\xed\xfe\xed\0\0\0\2" + len(found).to_bytes(4) + entries + bytes(20)


@pytest.mark.parametrize(
    ("data", "chains"),
    [
        (pem_of(OWN, der(ISSUER.certificate)), [2]),
        (pem_of(spoilt(OWN, b"Issuer"), der(ISSUER.certificate)), [1, 1]),
        (pem_of(OWN, spoilt(der(ISSUER.certificate), b"Root")), [2]),
        (pem_of(OWN, spoilt(der(ISSUER.certificate), b"Issuer")), [1, 1]),
        (java_of(OWN, der(ISSUER.certificate), b"garbage"), [2]),
        (java_of(b"garbage", OWN), [1]),
        (java_of(b"garbage"), []),
        (java_of(b""), []),
    ],
    ids=["whole", "leaf", "issuer", "subject", "garbage-above", "garbage", "only-garbage", "empty"],
)
def test_what_cannot_be_read_in_a_file_costs_itself_and_not_the_run(
    tmp_path: Path, data: bytes, chains: list[int]
) -> None:
    path = written(tmp_path, data)
    endpoint = Endpoint("e", "file:store", 0, Role.SERVER, file=CertificateFile(path))
    (evidence,) = read_files([endpoint], lambda _: ["mozilla"]).values()
    tls = evidence.tls.value
    found = (tls.certificates.value or ()) if tls is not None else ()
    assert [len(item.chain) for item in found] == chains
    if not chains:
        assert evidence.tls.failure or tls.certificates.failure, "it is told that there is none"
    elif b"garbage" in data:
        assert tls.certificates.incomplete.detail == "1 certificate cannot be read"
    else:
        assert tls.certificates.incomplete is None
