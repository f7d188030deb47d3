"""Data that was gathered elsewhere is what it says it is: primes are safe ones, identifiers are domains, dates are past."""

from __future__ import annotations

import re
from datetime import date

import gmpy2
import pytest

from scanner.probe import iana
from scanner.probe.survey.primes import known_primes, modulus_of
from scanner.rules.certificates import caa_identifiers
from scanner.rules.certificates.caa import _DOMAIN

PRIMES = {row["name"]: int(row["prime"], 16) for row in iana.rows("dh_primes.csv")}


def test_each_prime_of_a_program_has_one_name_and_no_rfc_has_it() -> None:
    assert len(PRIMES) == len(set(PRIMES.values())) == len(list(iana.rows("dh_primes.csv"))) > 40
    assert all(known_primes()[prime] == name for name, prime in PRIMES.items())
    programs = {name.partition("-")[0] for name in PRIMES}
    assert programs == {"apache", "haproxy", "java", "nginx", "openssl", "postfix", "proftpd", "skip", "socat"}


@pytest.mark.parametrize("name", PRIMES)
def test_a_prime_of_a_program_is_a_safe_one_of_the_size_in_its_name(name: str) -> None:
    prime = PRIMES[name]
    assert prime.bit_length() == int(name.rpartition("-")[2])
    assert gmpy2.is_prime(prime, 5)
    assert gmpy2.is_prime((prime - 1) // 2, 5)
    assert (modulus_of(prime).name, modulus_of(prime).safe, modulus_of(prime).hexadecimal) == (name, True, None)


def test_the_identifiers_of_authorities_are_domains_and_dated() -> None:
    found = caa_identifiers.identifiers()
    assert len(found) > 80
    for organisation, domains in found.items():
        assert organisation == organisation.lower().strip()
        assert domains
        assert all(_DOMAIN.fullmatch(domain) and "." in domain for domain in domains), organisation
    oldest, newest = caa_identifiers.dates()
    assert date(2025, 1, 1) < oldest < newest < date(2026, 11, 30)


@pytest.mark.parametrize(
    ("organisation", "domain"),
    [
        ("let's encrypt", "letsencrypt.org"),
        ("google trust services", "pki.goog"),
        ("digicert inc", "digicert.com"),
        ("sectigo limited", "entrust.net"),
        ("amazon", "amazontrust.com"),
        ("microsoft corporation", "microsoft.com"),
        ("certainly", "certainly.com"),
    ],
)
def test_the_authorities_that_issue_most_are_there(organisation: str, domain: str) -> None:
    assert domain in caa_identifiers.identifiers()[organisation]


def test_no_identifier_is_that_of_an_authority_in_a_word_only() -> None:
    """A domain of one authority stands at another only where that one says so, as successors and resellers do."""
    found = caa_identifiers.identifiers()
    assert "letsencrypt.org" not in {
        domain
        for name, domains in found.items()
        if not re.search("encrypt|internet security", name)
        for domain in domains
    }
