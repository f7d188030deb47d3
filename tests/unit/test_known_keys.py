"""Keys that share a prime are found: among those of a run, and with every one that was seen before."""

from __future__ import annotations

import hashlib
import math
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gmpy2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from scanner.evidence import Attempt, KeyType, KeyWeakness, TargetEvidence
from scanner.known_keys import FILE, KnownKeys, PublishedKeys, SeenKey, sharing
from tests.build.at_once import compared
from tests.build.facts import NOW, certificate, deployment, tls
from tests.build.weak_keys import prime, rsa_certificate

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PRIMES = [prime(128) for _ in range(24)]


def key(first: int, second: int, place: str = "e/a:443") -> SeenKey:
    modulus = PRIMES[first] * PRIMES[second]
    return SeenKey(modulus, hashlib.sha256(str(modulus).encode()).hexdigest(), place)


def troubled(found: object, *keys: SeenKey) -> list[bool]:
    return [item.digest in found for item in keys]


@pytest.mark.parametrize("size", [3, 120])
@given(data=st.data())
def test_those_that_share_a_factor_are_those_that_pairs_show(size: int, data: st.DataObject) -> None:
    generator = random.Random(data.draw(st.integers(0, 2**32)))  # noqa: S311  # any numbers
    numbers = list({
        PRIMES[generator.randrange(len(PRIMES))] * PRIMES[generator.randrange(len(PRIMES))] if generator.random() < 0.2
        else generator.getrandbits(255) | 1
        for _ in range(size)
    })  # fmt: skip
    old = [generator.getrandbits(255) | 1, PRIMES[0] * PRIMES[1]]
    numbers = [number for number in numbers if number not in old]
    expected = {n for n in numbers if any(math.gcd(n, other) > 1 for other in [*numbers, *old] if other != n)}
    assert set(sharing(numbers, gmpy2.mpz(math.prod(old)))) == expected


def test_a_new_key_breaks_one_of_last_year_and_both_are_told(tmp_path: Path) -> None:
    known = KnownKeys(tmp_path / FILE)
    old, other, new = key(0, 1, "e/old:443"), key(2, 3), key(1, 4, "e/new:443")
    assert known.compare([old, other], BEGAN) == {}
    found = known.compare([old, other, new], BEGAN + timedelta(days=365))
    assert troubled(found, old, other, new) == [True, False, True]
    assert (found[new.digest].place, found[new.digest].seen_at) == ("e/old:443", BEGAN)
    assert (found[old.digest].place, found[old.digest].other) == ("e/new:443", new.fingerprint)
    # It stays so, and the one that is not served any more is not spoken of.
    again = known.compare([old], BEGAN + timedelta(days=366))
    assert troubled(again, old, new) == [True, False]


def test_a_key_of_which_both_primes_are_elsewhere_is_found(tmp_path: Path) -> None:
    first, second, between = key(0, 1), key(2, 3), key(1, 2)
    found = KnownKeys(tmp_path / FILE).compare([first, second, between], BEGAN)
    assert troubled(found, first, second, between) == [True, True, True]


def test_the_same_key_in_two_certificates_shares_nothing_with_itself(tmp_path: Path) -> None:
    one = key(0, 1)
    renewed = structs.replace(one, fingerprint="ff" * 32)
    known = KnownKeys(tmp_path / FILE)
    assert known.compare([one, renewed], BEGAN) == {}
    assert known.compare([renewed], BEGAN) == {}


def test_a_product_of_another_number_of_keys_is_made_anew(tmp_path: Path) -> None:
    known = KnownKeys(tmp_path / FILE)
    known.compare([key(0, 1), key(2, 3)], BEGAN)
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE product SET keys = 1, value = ?", (gmpy2.to_binary(gmpy2.mpz(3)),))
    database.close()
    new = key(3, 5)
    assert troubled(known.compare([new], BEGAN), new) == [True]


def test_the_factor_itself_is_not_kept(tmp_path: Path) -> None:
    KnownKeys(tmp_path / FILE).compare([key(0, 1), key(1, 2)], BEGAN)
    assert PRIMES[1].to_bytes(16) not in (tmp_path / FILE).read_bytes()


def evidence(numbers: tuple[int, int]) -> TargetEvidence:
    der = rsa_certificate(numbers)
    leaf = certificate(der=der, key_type=KeyType.RSA, fingerprint=hashlib.sha256(der).hexdigest())
    return TargetEvidence(NOW, 1.0, 1, tls=Attempt.ok(tls(deployment(leaf))))


def troubles(found: TargetEvidence) -> list[KeyWeakness]:
    (shown,) = found.tls.value.certificates.value
    return [item.kind for item in shown.key_troubles]


def test_what_a_run_saw_is_told_of_what_other_runs_saw(tmp_path: Path) -> None:
    shared, first, second = prime(), (prime(), 65_537), (prime(), 65_537)
    before = {"e/old:443@192.0.2.1": evidence((shared * first[0], 65_537))}
    after = {"e/new:443@192.0.2.2": evidence((shared * second[0], 65_537)), "e/dead:443@": TargetEvidence(NOW, 1.0, 1)}
    assert compared(before, tmp_path, None, NOW) == before
    found = compared(after, tmp_path, None, NOW)
    assert troubles(found["e/new:443@192.0.2.2"]) == [KeyWeakness.SHARED_FACTOR]
    assert found["e/dead:443@"] == after["e/dead:443@"]
    assert compared(after, None, None, NOW) == after, "without a folder only this run's keys are compared"
    assert troubles(compared({**before, **after}, None, None, NOW)["e/old:443@192.0.2.1"]) == [
        KeyWeakness.SHARED_FACTOR
    ]


def test_a_file_that_is_damaged_costs_what_was_known_and_not_the_run(tmp_path: Path, caplog) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    seen = {"e/a:443@": evidence((prime() * prime(), 65_537))}
    assert compared(seen, tmp_path, None, NOW) == seen
    assert "cannot be used" in caplog.text


def test_published_keys_are_found_in_a_sorted_file(tmp_path: Path) -> None:
    public = (prime() * prime(), 65_537)
    elliptic = certificate()
    records = [hashlib.sha256(str(number).encode()).digest()[:15] + b"\x01" for number in range(999)]
    size = (public[0].bit_length() + 7) // 8
    records.append(hashlib.sha256(public[0].to_bytes(size)).digest()[:15] + b"\x07")
    path = tmp_path / "blocklist.dat"
    path.write_bytes(b"".join(sorted(records)))
    found = compared(
        {"a@": evidence(public), "b@": evidence((prime() * prime(), 65_537))}, None, PublishedKeys(path), NOW
    )
    assert troubles(found["a@"]) == [KeyWeakness.PUBLISHED]
    (shown,) = found["a@"].tls.value.certificates.value
    assert shown.key_troubles[0].listed == 7
    assert troubles(found["b@"]) == []
    assert PublishedKeys(path).list_of(elliptic) is None
    for records_in_it in (records[:1], records[-1:]):
        path.write_bytes(records_in_it[0])
        PublishedKeys(path).list_of(evidence(public).tls.value.certificates.value[0].leaf)
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="no multiple of 16 bytes"):
        PublishedKeys(path)
