"""Whatever a server sends as a certificate becomes evidence, or a failure: never an exception."""

from __future__ import annotations

import dataclasses
import ipaddress
import random
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from scanner.evidence import ALL_EXTENSIONS, Certificate, Extension, FailureReason, KeyType
from scanner.probe.x509.extensions import MAX_EXTENSIONS
from scanner.probe.x509.parsing import MAX_DER, MAX_NAMES, certificate_from_der

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = ec.derive_private_key(7, ec.SECP256R1())
RICH = (
    x509.SubjectAlternativeName([x509.DNSName("a.example"), x509.IPAddress(ipaddress.ip_address("::1"))]),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    ),
    x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/1")], None, None, None)]
    ),
    x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example")
            ),
            x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.example/ca.der")
            ),
        ]
    ),
    x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]),
    x509.TLSFeature([x509.TLSFeatureType.status_request]),
)


def made(*extensions, subject=((NameOID.COMMON_NAME, "a.example"),), key=KEY, signer=None, issuer=None) -> bytes:
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(0xABCDEF)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=90))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signer = signer or key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, algorithm).public_bytes(Encoding.DER)


def read(der: bytes) -> Certificate:
    attempt = certificate_from_der(der)
    assert attempt.value is not None, attempt.failure
    return attempt.value


def test_every_part_is_read():
    certificate = read(made(*RICH, x509.BasicConstraints(ca=False, path_length=None)))

    assert certificate.subject == certificate.issuer == "CN=a.example"
    assert certificate.serial == "abcdef"
    assert (certificate.not_before, certificate.not_after) == (START, START + timedelta(days=90))
    assert (certificate.key_type, certificate.key_bits, certificate.curve) == (KeyType.ECDSA, 256, "secp256r1")
    assert (certificate.signature_algorithm, certificate.signature_hash) == ("ecdsa-with-SHA256", "sha256")
    assert (certificate.dns_names, certificate.ip_addresses) == (("a.example",), ("::1",))
    assert certificate.extended_key_usage == ("1.3.6.1.5.5.7.3.1",)
    assert certificate.key_usage == ("digitalSignature", "keyEncipherment")
    assert certificate.ocsp_urls == ("http://ocsp.example",)
    assert certificate.issuer_urls == ("http://ca.example/ca.der",)
    assert certificate.crl_urls == ("http://crl.example/1",)
    assert certificate.policies == ("2.23.140.1.2.1",)
    assert certificate.must_staple
    assert certificate.self_signed
    assert certificate.self_issued
    assert not certificate.is_ca


def test_what_is_missing_is_empty():
    certificate = read(made())

    assert certificate.key_usage is None
    assert certificate.extended_key_usage == certificate.dns_names == certificate.crl_urls == ()
    assert not certificate.must_staple


@pytest.mark.parametrize(
    ("new_key", "kind", "bits", "algorithm", "digest"),
    [
        (
            lambda: rsa.generate_private_key(65537, 2048),
            KeyType.RSA,
            2048,
            "sha256WithRSAEncryption",
            "sha256",
        ),
        (lambda: ec.derive_private_key(9, ec.SECP384R1()), KeyType.ECDSA, 384, "ecdsa-with-SHA256", "sha256"),
        (
            lambda: ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
            KeyType.ED25519,
            256,
            "ed25519",
            None,
        ),
    ],
)
def test_keys_are_told_by_type_and_size(new_key, kind, bits, algorithm, digest):
    certificate = read(made(key=new_key()))

    assert (certificate.key_type, certificate.key_bits) == (kind, bits)
    assert (certificate.signature_algorithm, certificate.signature_hash) == (algorithm, digest)


def test_issued_under_its_own_name_by_another_key_is_not_self_signed():
    certificate = read(made(signer=ec.derive_private_key(8, ec.SECP256R1())))

    assert certificate.self_issued
    assert not certificate.self_signed


def test_a_hostile_subject_is_escaped_and_cut_and_hides_nothing():
    certificate = read(
        made(
            subject=(
                (NameOID.STREET_ADDRESS, "long " * 1024),
                (NameOID.ORGANIZATION_NAME, "\x1b[31mred\x1b]0;title\x07"),
                (NameOID.ORGANIZATIONAL_UNIT_NAME, "\u202egnp.exe"),
                (NameOID.COMMON_NAME, "<script>alert(1)</script>"),
            )
        )
    )

    assert certificate.subject.isprintable()
    assert len(certificate.subject) <= 300
    assert certificate.subject.startswith("CN=<script>alert(1)</script>,OU=\\u202egnp.exe")
    assert "\\x1b[31mred" in certificate.subject


def test_the_names_that_are_kept_have_a_limit():
    names = [x509.DNSName(f"h{number}.example") for number in range(MAX_NAMES + 300)]

    assert len(read(made(x509.SubjectAlternativeName(names))).dns_names) == MAX_NAMES


SCTS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
NOTHING = {
    Extension.SUBJECT_ALT_NAME: {"dns_names": (), "ip_addresses": ()},
    Extension.EXTENDED_KEY_USAGE: {"extended_key_usage": ()},
    Extension.KEY_USAGE: {"key_usage": None},
    Extension.BASIC_CONSTRAINTS: {"is_ca": False},
    Extension.NAME_CONSTRAINTS: {},
    Extension.AUTHORITY_INFO_ACCESS: {"ocsp_urls": (), "issuer_urls": ()},
    Extension.CRL_DISTRIBUTION_POINTS: {"crl_urls": ()},
    Extension.CERTIFICATE_POLICIES: {"policies": ()},
    Extension.TLS_FEATURE: {"must_staple": False},
    Extension.SCT_LIST: {"embedded_scts": 0},
}
"""What a certificate claims where one of its extensions is malformed."""
OIDS = {
    Extension.SUBJECT_ALT_NAME: x509.SubjectAlternativeName.oid,
    Extension.EXTENDED_KEY_USAGE: x509.ExtendedKeyUsage.oid,
    Extension.KEY_USAGE: x509.KeyUsage.oid,
    Extension.BASIC_CONSTRAINTS: x509.BasicConstraints.oid,
    Extension.NAME_CONSTRAINTS: x509.NameConstraints.oid,
    Extension.AUTHORITY_INFO_ACCESS: x509.AuthorityInformationAccess.oid,
    Extension.CRL_DISTRIBUTION_POINTS: x509.CRLDistributionPoints.oid,
    Extension.CERTIFICATE_POLICIES: x509.CertificatePolicies.oid,
    Extension.TLS_FEATURE: x509.TLSFeature.oid,
    Extension.SCT_LIST: SCTS,
}
WHOLE = (*RICH, x509.BasicConstraints(ca=True, path_length=None))


def garbled(oid: x509.ObjectIdentifier, garbage: bytes) -> bytes:
    """A certificate with every extension, the one of that OID being garbage."""
    others = [extension for extension in WHOLE if extension.oid != oid]
    return made(*others, x509.UnrecognizedExtension(oid, garbage))


@pytest.mark.parametrize("garbage", [b"", b"\xff\xff", b"\x30\x03\x02\x01", b"garbage", b"\x04\x03\x00\x01\x00"])
@pytest.mark.parametrize("extension", Extension)
def test_a_malformed_extension_claims_nothing_and_hides_nothing_else(extension, garbage):
    certificate = read(garbled(OIDS[extension], garbage))

    expected = {field.name: getattr(read(made(*WHOLE)), field.name) for field in dataclasses.fields(Certificate)}
    expected |= NOTHING[extension] | {"unreadable_extensions": (extension.value,)}
    own = {"der", "fingerprint"}
    assert {name: getattr(certificate, name) for name in expected if name not in own} == {
        name: value for name, value in expected.items() if name not in own
    }


def test_an_extension_of_a_malformed_kind_that_nobody_knows_hides_nothing():
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\xff")

    assert read(made(*WHOLE, unknown)).unreadable_extensions == ()


def test_an_extension_that_is_there_twice_counts_as_malformed():
    # The second is of an OID of the same length, which is then made that of the first.
    second = x509.SubjectAlternativeName([x509.DNSName("b.example")]).public_bytes()
    der = made(*WHOLE, x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), second))
    certificate = read(der.replace(bytes.fromhex("0603551d63"), bytes.fromhex("0603551d11")))

    assert certificate.unreadable_extensions == ("subjectAltName",)
    assert certificate.dns_names == ()
    assert certificate.key_usage == ("digitalSignature", "keyEncipherment")


def test_a_name_of_an_odd_kind_hides_no_other():
    # GeneralNames: an ediPartyName, which no library reads; a dNSName in UTF-8, which is not allowed; a good one.
    entries = bytes.fromhex("a5058103616161") + b"\x82\x02\xc3\xa9" + b"\x82\x09a.example"
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30" + bytes([len(entries)]) + entries)
    certificate = read(made(names))

    assert certificate.dns_names == ("\\xc3\\xa9", "a.example")
    assert certificate.unreadable_extensions == ()


def test_what_beats_the_limits_is_said_and_soon_done_with():
    many = [x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{arc}"), b"") for arc in range(MAX_EXTENSIONS)]
    certificate = read(made(*many, x509.UnrecognizedExtension(SCTS, b"\xff"), *RICH))

    assert certificate.unreadable_extensions == (Extension.SCT_LIST, "8 more")
    assert certificate.dns_names == ("a.example",)


def test_an_unknown_tls_feature_is_no_failure():
    # RFC 7633 features are numbers of TLS extensions; the parser has names for two of them.
    feature = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.24"), b"\x30\x03\x02\x01\x63")

    assert not read(made(feature)).must_staple
    both = x509.UnrecognizedExtension(x509.TLSFeature.oid, bytes.fromhex("3006020163020105"))
    assert read(made(both)).must_staple


def test_what_is_no_certificate_fails_with_a_reason():
    assert certificate_from_der(b"").failure.reason is FailureReason.MALFORMED
    assert certificate_from_der(b"\x30\x03\x02\x01\x01").failure.reason is FailureReason.MALFORMED
    assert certificate_from_der(made() + bytes(MAX_DER)).failure.reason is FailureReason.TOO_LARGE


@pytest.mark.parametrize(
    ("der", "words"),
    [
        (b"", "no certificate in DER: short data"),
        (b"\x30\x03\x02\x01\x01", "no certificate in DER: unexpected tag"),
        (b"\x30\x82\xff\xff\x00", "no certificate in DER: short data"),
        (b"\x31\x00", "no certificate in DER: unexpected tag"),
    ],
)
def test_what_is_no_certificate_is_told_in_words(der, words):
    assert certificate_from_der(der).failure.detail == words


def san_of(der: bytes) -> tuple[int, int]:
    """Where the subjectAltName extension of `made(*RICH)` begins and ends, its header included."""
    start = der.index(bytes.fromhex("0603551d11")) - 2
    return start, start + 2 + der[start + 1]


SOUND = made(*WHOLE)
SAN_FROM, SAN_TO = san_of(SOUND)


@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_whatever_is_damaged_nothing_raises_and_the_names_survive_unless_they_are_damaged(damage):
    damaged = bytearray(SOUND)
    for place, byte in damage:
        damaged[place] = byte
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        certificate = certificate_from_der(bytes(damaged)).value

    if certificate is None:
        return
    text = (certificate.subject, certificate.issuer, *certificate.dns_names, *certificate.unreadable_extensions)
    assert all(item == "" or item.isprintable() for item in text)
    assert len(certificate.unreadable_extensions) <= len(WHOLE) + 1
    if certificate.unreadable_extensions:
        # Whatever else is broken, the extension that is whole is read, unless another took its name.
        intact = bytes(damaged[SAN_FROM:SAN_TO]) == SOUND[SAN_FROM:SAN_TO]
        once = bytes(damaged).count(bytes.fromhex("0603551d11")) == 1
        found = certificate.dns_names == ("a.example",) and certificate.ip_addresses == ("::1",)
        assert found or not (intact and once) or certificate.unreadable_extensions == (ALL_EXTENSIONS,)


@given(
    st.sampled_from([item for item in WHOLE if item.oid != x509.SubjectAlternativeName.oid]), st.binary(max_size=300)
)
def test_whatever_another_extension_holds_the_names_are_read(extension, garbage):
    certificate = read(garbled(extension.oid, garbage))

    assert (certificate.dns_names, certificate.ip_addresses) == (("a.example",), ("::1",))


def test_a_damaged_certificate_never_raises():
    whole = made(*RICH)
    chance = random.Random(1)  # noqa: S311  # the same damage every time
    readable = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3000):
            damaged = bytearray(whole)
            for _ in range(chance.choice((1, 1, 2, 5))):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            attempt = certificate_from_der(bytes(damaged))
            readable += attempt.value is not None
            if attempt.value is not None:
                text = (attempt.value.subject, attempt.value.issuer, *attempt.value.dns_names)
                assert all(item == "" or item.isprintable() for item in text)

    # Neither end of it would prove anything.
    assert 300 < readable < 2700
