"""The registries as data: complete where the library's own tables are, and free of doubles."""

from __future__ import annotations

import re

import pytest
from tlslite.constants import CipherSuite, GroupName, SignatureScheme

from scanner.evidence import Protocol
from scanner.probe import iana


def test_every_suite_that_tlslite_knows_is_there_under_the_same_code():
    # tlslite-ng keeps draft code points and one name in a spelling of its own.
    ours = {code: suite.name.upper() for code, suite in iana.cipher_suites().items()}
    ssl2 = {code: suite.name for code, suite in iana.ssl2_cipher_kinds().items()}
    for code, name in CipherSuite.ietfNames.items():
        if "draft" in name:
            continue
        assert {**ours, **ssl2}[code] == (name if code in ssl2 else name.upper())


def test_groups_and_schemes_agree_with_tlslite():
    groups = iana.groups()
    for name in ("secp192r1", "secp256r1", "x25519", "x448", "brainpoolP256r1tls13", "ffdhe2048", "x25519mlkem768"):
        assert groups[getattr(GroupName, name)].name == name.lower()
    schemes = iana.signature_schemes()
    for name in ("rsa_pss_rsae_sha256", "rsa_pss_pss_sha512", "ecdsa_secp384r1_sha384", "ed25519", "dsa_sha1"):
        high, low = getattr(SignatureScheme, name)
        assert schemes[high << 8 | low].name == name


def test_post_quantum_groups_are_offered_in_tls13_alone():
    names = {iana.groups()[code].name for code in iana.offered_groups(Protocol.TLS1_3)}
    older = {iana.groups()[code].name for code in iana.offered_groups(Protocol.TLS1_2)}
    hybrids = {"x25519mlkem768", "secp256r1mlkem768", "secp384r1mlkem1024"}
    assert hybrids <= names
    assert not hybrids & older
    assert {"ffdhe2048", "ffdhe8192"} <= names & older


@pytest.mark.parametrize("protocol", list(Protocol))
def test_no_signal_is_offered_as_a_suite(protocol):
    offered = iana.offered_suites(protocol)
    assert len(offered) == len(set(offered))
    assert not {0x0000, 0x00FF, iana.FALLBACK_SCSV} & set(offered)
    if protocol is not Protocol.SSL2:
        assert not [code for code in offered if "_SRP_" in iana.cipher_suites()[code].name]


def test_every_suite_is_offered_in_tls13_or_before_it_but_not_in_both():
    newer, older = set(iana.offered_suites(Protocol.TLS1_3)), set(iana.offered_suites(Protocol.TLS1_2))
    assert not newer & older
    left = {suite.name for code, suite in iana.cipher_suites().items() if code not in newer | older}
    assert {name for name in left if "_SRP_" not in name} == {
        "TLS_NULL_WITH_NULL_NULL",
        "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
        "TLS_FALLBACK_SCSV",
    }


def test_what_servers_have_comes_first():
    first = {iana.cipher_suites()[code].name for code in iana.offered_suites(Protocol.TLS1_2)[:12]}
    assert "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" in first
    assert "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" in first


@pytest.mark.parametrize(
    ("name", "key_exchange", "cbc", "signed"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE_RSA", False, True),
        ("TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA", "DHE_RSA_EXPORT", True, True),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "RSA", True, False),
        ("TLS_ECDH_anon_WITH_AES_128_CBC_SHA", "ECDH_anon", True, False),
        ("TLS_AES_128_GCM_SHA256", "", False, False),
        ("OLD_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE_RSA", False, True),
    ],
)
def test_a_name_tells_how_keys_are_exchanged(name, key_exchange, cbc, signed):
    (suite,) = [suite for suite in iana.cipher_suites().values() if suite.name == name]
    assert (suite.key_exchange, suite.is_cbc, suite.signed) == (key_exchange, cbc, signed)


def test_every_row_names_its_source():
    assert all(suite.reference for suite in iana.cipher_suites().values())
    assert all(re.fullmatch(r"(OLD_)?TLS_[A-Za-z0-9_]+", suite.name) for suite in iana.cipher_suites().values())
