"""Cipher suites are understood by their names, for every name that the engines know."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sslyze.plugins.openssl_cipher_suites.cipher_suites import CipherSuitesRepository, TlsVersionEnum
from tlslite.constants import CipherSuite

from scanner.probe.iana import cipher_suites, ssl2_cipher_kinds
from scanner.rules.tls.groups import bits_of, has_mlkem, is_elliptic, is_finite_field
from scanner.rules.tls.suites import classify

_SIGNALS = {"TLS_EMPTY_RENEGOTIATION_INFO_SCSV", "TLS_FALLBACK_SCSV"}
_OF_SSLYZE = {
    suite.name: suite for version in TlsVersionEnum for suite in CipherSuitesRepository.get_all_cipher_suites(version)
}
_OF_TLSLITE = {name for name in vars(CipherSuite) if name.startswith(("TLS_", "SSL_CK"))} - _SIGNALS
_OF_IANA = {suite.name for table in (cipher_suites(), ssl2_cipher_kinds()) for suite in table.values()} - _SIGNALS
NAMES = sorted({*_OF_SSLYZE, *_OF_TLSLITE, *_OF_IANA})


def test_enough_names_are_known_to_make_the_tests_below_mean_something() -> None:
    assert len(NAMES) > 350


@pytest.mark.parametrize("name", NAMES)
def test_every_known_suite_is_taken_apart_without_contradiction(name: str) -> None:
    suite = classify(name)
    assert suite is not None
    assert suite.aead == bool(re.search("GCM|CCM|POLY1305|MGM|AEGIS", name))
    assert suite.rc4 == ("RC4" in name)
    assert suite.null == bool(re.search("NULL|TLS_SHA", name))
    assert suite.cbc == ("CBC" in name)
    assert suite.export == ("EXPORT" in name)
    assert suite.anonymous == bool(re.search("_anon_|_ANON_|TLS_NULL", name))
    assert suite.ephemeral == bool(re.search("DHE_|ECCPWD|_anon_|_ANON_", name)) or suite.tls13
    assert suite.block_of_64_bits == bool(re.search("DES|IDEA|RC2|28147|MAGMA", name))
    assert not (suite.aead and suite.cbc)
    assert suite.tls13 == ("_WITH_" not in name)


@pytest.mark.parametrize("name", sorted(_OF_SSLYZE))
def test_anonymity_agrees_with_sslyze(name: str) -> None:
    suite = classify(name)
    assert suite is not None
    assert suite.anonymous == _OF_SSLYZE[name].is_anonymous


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", ("ECDHE", "RSA", "AES_256", "GCM", None)),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", ("ECDHE", "ECDSA", "AES_128", "CCM_8", None)),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ("ECDHE", "RSA", "CHACHA20", "POLY1305", None)),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", ("RSA", "RSA", "3DES_EDE", "CBC", "SHA")),
        ("TLS_RSA_WITH_RC4_128_MD5", ("RSA", "RSA", "RC4_128", "", "MD5")),
        ("TLS_DH_anon_WITH_AES_128_CBC_SHA256", ("DH", "anon", "AES_128", "CBC", "SHA256")),
        ("TLS_PSK_DHE_WITH_AES_128_CCM_8", ("DHE", "PSK", "AES_128", "CCM_8", None)),
        ("TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5", ("RSA", "RSA", "RC2_40", "CBC", "MD5")),
        ("TLS_AES_128_GCM_SHA256", (None, None, "AES_128", "GCM", None)),
        ("TLS_SHA256_SHA256", (None, None, "NULL", "", "SHA256")),
        ("TLS_NULL_WITH_NULL_NULL", ("NULL", "NULL", "NULL", "", "NULL")),
        ("SSL_CK_DES_192_EDE3_CBC_WITH_MD5", ("RSA", "RSA", "3DES_EDE", "CBC", "MD5")),
        ("TLS_SRP_SHA_RSA_WITH_AES_128_CBC_SHA", ("SRP", "RSA", "AES_128", "CBC", "SHA")),
        ("TLS_GOSTR341112_256_WITH_28147_CNT_IMIT", ("GOSTR341112", "256", "28147", "CNT", "IMIT")),
    ],
)
def test_parts(name: str, parts: tuple[str | None, ...]) -> None:
    suite = classify(name)
    assert suite is not None
    assert (suite.key_exchange, suite.authentication, suite.cipher, suite.mode, suite.mac) == parts


@pytest.mark.parametrize(
    ("name", "over"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "a curve"),
        ("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "a finite field"),
        ("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", "a curve"),
        ("TLS_DH_anon_WITH_AES_128_CBC_SHA", "a finite field"),
        ("TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", "neither"),
        ("TLS_DH_RSA_WITH_AES_128_CBC_SHA", "neither"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", "neither"),
    ],
)
def test_which_exchange_is_ephemeral_over_what(name: str, over: str) -> None:
    suite = classify(name)
    assert suite is not None
    assert (suite.finite_field, suite.elliptic) == (over == "a finite field", over == "a curve")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "TLS_",
        "AES128-SHA",
        "TLS_FALLBACK_SCSV",
        "TLS_RSA_WITH_AES",
        "TLS_QKD_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_QKD_WITH_AES_128_GCM_SHA256",
    ],
)
def test_what_follows_no_scheme_is_not_guessed_at(name: str) -> None:
    assert classify(name) is None


@given(st.text(max_size=80) | st.text("TLSWIHRADE_0128GCM", max_size=60))
def test_any_text_is_survived(name: str) -> None:
    suite = classify(name)
    assert suite is None or suite.name == name


@pytest.mark.parametrize(
    ("name", "bits"),
    [("x25519", 255), ("x448", 448), ("secp256r1", 256), ("sect163k1", 163), ("ffdhe2048", 2048), ("secp521r1", 521),
     ("x25519mlkem768", 255), ("secp384r1mlkem1024", 384), ("brainpoolp512r1tls13", 512), ("mystery", None),
     ("mlkem768", None), ("x25519kyber768draft00", 255)],
)  # fmt: skip
def test_bits_of_groups(name: str, bits: int | None) -> None:
    assert bits_of(name) == bits
    assert has_mlkem(name) == ("mlkem" in name)
    assert is_finite_field(name) == (name == "ffdhe2048")
    assert is_elliptic(name) == (name not in {"ffdhe2048", "mlkem768"})
