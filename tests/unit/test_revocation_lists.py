"""A list of revoked certificates says the same of a certificate, however many are asked about."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from scanner.evidence import RevocationStatus
from scanner.probe.authority import crl
from scanner.probe.authority.crl import RevocationList
from scanner.probe.authority.serials import LONGEST, SerialIndex
from tests.build.authority import START, certificate

ISSUER = certificate("Issuer", ca=True)
SERIALS = st.one_of(
    st.integers(1, 300),
    st.integers(1, 2**159 - 1),
    st.integers(1, 2**64).map(lambda low: (0x05 << 152) + low),  # a long beginning in common
    st.integers(1, 2**64).map(lambda high: (high << 88) + 0x30020102),  # and an end, which looks like an entry
)


def made(serials: list[int]) -> RevocationList:
    builder = x509.CertificateRevocationListBuilder().issuer_name(ISSUER.certificate.subject)
    builder = builder.last_update(START).next_update(START + timedelta(days=1))
    for number in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(START)
        if number % 2:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return RevocationList.read(builder.sign(ISSUER.key, hashes.SHA256()).public_bytes(Encoding.DER))


def integer(number: int) -> bytes:
    content = number.to_bytes(number.bit_length() // 8 + 1)
    return bytes((2, len(content))) + content


@given(st.lists(SERIALS, min_size=1, max_size=40, unique=True))
def test_the_index_has_every_serial_number_and_where_it_stands(listed: list[int]) -> None:
    found = made(listed)
    index = SerialIndex.of(found.data, *found.entries)
    assert index is not None
    for number in listed:
        places = [at for at in index.places_of(integer(number)) if found.data[at:].startswith(integer(number))]
        assert places
        assert places == sorted(set(places))


@given(st.lists(SERIALS, min_size=1, max_size=8, unique=True), st.lists(SERIALS, min_size=1, max_size=4))
def test_the_answer_is_the_same_before_and_after_many_questions(listed: list[int], asked: list[int]) -> None:
    wanted = [*asked, *listed]
    leaves = [certificate("www", ISSUER, serial=number, own_key=ISSUER.key).certificate for number in wanted]
    first = [made(listed).judge(leaf, [], is_ca=False) for leaf in leaves]
    found = made(listed)
    for _ in range(crl._MANY + 1):  # how often it is searched before there is an index
        found.judge(leaves[0], [], is_ca=False)
    assert found._index is not None  # or the two would be the same
    assert [found.judge(leaf, [], is_ca=False) for leaf in leaves] == first
    revoked = [said.status is RevocationStatus.REVOKED for said in first]
    assert revoked == [number in listed for number in wanted]


def test_numbers_are_found_over_the_edges_of_what_is_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.probe.authority.serials._CHUNK", 37)
    listed = [(0x5A << 8 * size) + step for size in (0, 1, 6, 7, 8, 14, 15, 16, 18) for step in (1, 2, 3, 4)]
    found = made(sorted(set(listed)))
    index = SerialIndex.of(found.data, *found.entries)
    assert index is not None
    for number in listed:
        assert any(found.data[at:].startswith(integer(number)) for at in index.places_of(integer(number))), number


def test_bytes_that_only_look_like_entries_take_no_memory() -> None:
    hostile = b"\x30\x02\x02\x02" * 100_000
    assert SerialIndex.of(hostile, 0, len(hostile)) is None
    assert SerialIndex.of(b"", 0, 0) is None


def test_a_hash_cannot_be_foreseen() -> None:
    data = made([5, 6]).data
    assert [tuple(index.factors) for index in (SerialIndex.of(data, 0, len(data)),) if index] != [
        tuple(index.factors) for index in (SerialIndex.of(data, 0, len(data)),) if index
    ]


def test_a_number_longer_than_the_index_has_is_searched_for() -> None:
    assert SerialIndex.holds(integer(1 << (8 * LONGEST - 2)))
    assert not SerialIndex.holds(integer(1 << (8 * LONGEST)))


def test_one_certificate_a_million_times_is_read_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    found = made([77] * 200)
    read: list[bytes] = []
    whole = RevocationList._entry  # what is counted
    monkeypatch.setattr(RevocationList, "_entry", lambda self, entry: read.append(entry) or whole(self, entry))
    said = found.judge(certificate("www", ISSUER, serial=77).certificate, [], is_ca=False)
    assert said.status is RevocationStatus.REVOKED
    assert len(read) < 10
    assert all(one == other for one, other in pairwise(read))
