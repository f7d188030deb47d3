"""The signed zone of the tests is what it says: signed by its authority, vouched for by the resolver, or bogus there."""

from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.build.signed_zone import ORIGIN, signed_zone

_RECORDS = "mail IN A 192.0.2.1"
_WRONG = f'trust-anchor: "{ORIGIN}. DS 1 13 2 {"00" * 32}"'


def asked(place: str) -> dns.message.Message:
    query = dns.message.make_query(f"mail.{ORIGIN}", "A", want_dnssec=True)
    query.flags |= dns.flags.AD
    return dns.query.udp(query, "127.0.0.1", timeout=30, port=int(place.rpartition(":")[2]))


@pytest.mark.parametrize(("signed", "trusted", "vouched"), [(True, None, True), (False, None, False)])
def test_what_the_resolver_vouches_for(tmp_path: Path, *, signed: bool, trusted: str | None, vouched: bool) -> None:
    with signed_zone(tmp_path, _RECORDS, signed=signed, trusted=trusted) as zone:
        answer = asked(zone.resolver)

    assert answer.rcode() == dns.rcode.NOERROR
    assert bool(answer.flags & dns.flags.AD) is vouched


def test_a_bogus_zone_is_answered_by_an_error(tmp_path: Path) -> None:
    with signed_zone(tmp_path, _RECORDS, trusted=_WRONG) as zone:
        assert asked(zone.resolver).rcode() == dns.rcode.SERVFAIL
        assert asked(zone.authority).rcode() == dns.rcode.NOERROR
