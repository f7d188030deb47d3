"""Names in certificates by RFC 9525."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.rules.certificates.hostname import covers, matches, under
from tests.build.facts import certificate


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("www.example.com", "www.example.com"),
        ("WWW.Example.COM", "www.example.com"),
        ("www.example.com", "www.example.com."),
        ("*.example.com", "www.example.com"),
        ("*.example.com", "xn--bcher-kva.example.com"),
        ("xn--bcher-kva.example.com", "bücher.example.com"),
        ("bücher.example.com", "xn--bcher-kva.example.com"),
    ],
)
def test_matches(pattern: str, host: str) -> None:
    assert matches(pattern, host)


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("example.com", "www.example.com"),
        ("www.example.com", "example.com"),
        ("*.example.com", "example.com"),
        ("*.example.com", "a.b.example.com"),
        ("*.com", "example.com"),
        ("*", "localhost"),
        ("w*.example.com", "www.example.com"),
        ("*w.example.com", "www.example.com"),
        ("www.*.com", "www.example.com"),
        ("*.*.example.com", "a.b.example.com"),
        ("www..example.com", "www..example.com"),
        ("", ""),
        ("192.0.2.1", "192.0.2.2"),
        ("www.example.com\x00.evil.example", "www.example.com"),
        ("-" * 300 + "ü.example", "www.example.com"),
    ],
)
def test_does_not_match(pattern: str, host: str) -> None:
    assert not matches(pattern, host)


def test_addresses_match_address_entries_alone() -> None:
    by_address = certificate(
        dns_names=("192.0.2.1", "2001:db8::1"), ip_addresses=("192.0.2.7", "2001:DB8::0:7", "junk")
    )
    assert covers(by_address, "192.0.2.7")
    assert covers(by_address, "2001:db8::7")
    assert not covers(by_address, "192.0.2.1")
    assert not covers(by_address, "2001:db8::1")
    assert not covers(by_address, "junk")


def test_the_common_name_does_not_count() -> None:
    assert not covers(certificate(subject="CN=www.example.com", dns_names=()), "www.example.com")


def test_under() -> None:
    assert under("shop.example.com", "example.com")
    assert under("example.com", "Example.COM.")
    assert not under("notexample.com", "example.com")
    assert not under("example.com", "")


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_survived_and_a_star_never_reaches_two_labels(pattern: str, host: str) -> None:
    if matches(pattern, host):
        assert pattern.rstrip(".").count(".") == host.rstrip(".").count(".") or not (pattern + host).isascii()
