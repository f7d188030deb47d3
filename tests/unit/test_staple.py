"""A stapled response is believed where the issuer stands behind it, and only there."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scanner.evidence import Certificate
from scanner.probe.x509.parsing import certificate_from_der
from scanner.probe.x509.staple import staple_of

NOW = datetime.now(UTC).replace(microsecond=0)
LEAF_KEY, RESPONDER_KEY, STRANGER_KEY = (ec.derive_private_key(n, ec.SECP256R1()) for n in (3, 4, 5))
ISSUER_KEYS = {
    "ecdsa": lambda: ec.derive_private_key(2, ec.SECP256R1()),
    "rsa": functools.cache(lambda: rsa.generate_private_key(65537, 2048)),
    "ed25519": lambda: ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
}
"""Made when they are first asked for: every worker collects these tests, and one runs them."""


def digest_for(key):
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def issued(subject: str, key, signer, *extensions) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("Issuer"))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW - timedelta(days=1)).not_valid_after(NOW + timedelta(days=1))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, digest_for(signer))


def evidence(certificate: x509.Certificate) -> Certificate:
    value = certificate_from_der(certificate.public_bytes(Encoding.DER)).value
    assert value is not None
    return value


class Ca:
    """An issuer with one leaf, and the responses that anyone might make about it."""

    def __init__(self, kind: str = "ecdsa") -> None:
        self.key = ISSUER_KEYS[kind]()
        self.certificate = issued("Issuer", self.key, self.key, x509.BasicConstraints(ca=True, path_length=None))
        self.leaf = issued("a.example", LEAF_KEY, self.key)
        self.chain = [evidence(self.leaf), evidence(self.certificate)]

    def response(self, status=ocsp.OCSPCertStatus.GOOD, *, about=None, signer=None, responder=None) -> bytes:
        signer = signer or self.key
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=about or self.leaf,
            issuer=self.certificate,
            algorithm=hashes.SHA1(),  # noqa: S303  # it names the issuer, as every responder does, and proves nothing
            cert_status=status,
            this_update=NOW,
            next_update=NOW + timedelta(days=2),
            revocation_time=NOW if revoked else None,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder or self.certificate)
        if responder is not None:
            builder = builder.certificates([responder])
        return builder.sign(signer, digest_for(signer)).public_bytes(Encoding.DER)


@pytest.mark.parametrize("kind", ISSUER_KEYS)
def test_the_issuers_word_counts(kind):
    ca = Ca(kind)

    good, revoked = (
        staple_of(ca.response(status), ca.chain) for status in (ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED)
    )

    assert (good.certificate_status, revoked.certificate_status) == ("good", "revoked")
    assert (good.this_update, good.next_update) == (NOW, NOW + timedelta(days=2))


def test_a_delegated_responders_word_counts():
    ca = Ca()
    delegate = issued("Responder", RESPONDER_KEY, ca.key, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]))

    assert staple_of(ca.response(signer=RESPONDER_KEY, responder=delegate), ca.chain).certificate_status == "good"


def test_nobody_elses_word_counts():
    ca = Ca()
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    without_the_right = issued("Responder", RESPONDER_KEY, ca.key)
    by_a_stranger = issued("Responder", RESPONDER_KEY, STRANGER_KEY, usage)

    in_the_issuers_name = issued("Issuer", STRANGER_KEY, STRANGER_KEY, x509.BasicConstraints(ca=True, path_length=None))
    tampered = bytearray(ca.response())
    tampered[-1] ^= 1

    assert staple_of(bytes(tampered), ca.chain) is None
    assert staple_of(ca.response(signer=STRANGER_KEY, responder=in_the_issuers_name), ca.chain) is None
    assert staple_of(ca.response(signer=RESPONDER_KEY, responder=without_the_right), ca.chain) is None
    assert staple_of(ca.response(signer=RESPONDER_KEY, responder=by_a_stranger), ca.chain) is None
    assert staple_of(ca.response(signer=LEAF_KEY, responder=ca.leaf), ca.chain) is None


def test_a_response_about_another_certificate_says_nothing():
    ca = Ca()

    assert staple_of(ca.response(about=issued("b.example", LEAF_KEY, ca.key)), ca.chain) is None


def test_without_the_issuer_nobody_can_tell():
    ca = Ca()

    staple = staple_of(ca.response(), ca.chain[:1])
    assert (staple.certificate_status, staple.verified) == ("unknown", False)


def test_an_issuer_that_is_known_without_being_sent_counts():
    ca, other = Ca(), Ca()
    revoked = ca.response(ocsp.OCSPCertStatus.REVOKED)

    found = staple_of(revoked, ca.chain[:1], [other.certificate, ca.certificate])
    assert (found.certificate_status, found.verified) == ("revoked", True)
    without_the_right = issued("Responder", RESPONDER_KEY, ca.key)
    assert (
        staple_of(ca.response(signer=RESPONDER_KEY, responder=without_the_right), ca.chain[:1], [ca.certificate])
        is None
    )


def test_what_is_no_response_is_no_staple():
    ca = Ca()
    refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)

    assert staple_of(None, ca.chain) is None
    assert staple_of(b"", ca.chain) is None
    assert staple_of(b"\x30\x03\x0a\x01\x00", ca.chain) is None
    assert staple_of(refusal.public_bytes(Encoding.DER), ca.chain) is None
    assert staple_of(ca.response() + bytes(70_000), ca.chain) is None
