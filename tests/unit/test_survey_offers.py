"""Shrinking offers, against servers that exist in thought only: any set of things accepted, any order, is found."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner.evidence import Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.survey.families import by_family
from scanner.probe.survey.hello import Offer
from scanner.probe.survey.offers import ApplicationProtocols, Enumeration, HelloTemplate, Rotations
from scanner.probe.survey.primes import known_primes
from scanner.probe.survey.server_flight import Refusal, ServerFlight
from scanner.probe.survey.shrink import Remainder, Rotation, shrink
from scanner.probe.survey.suites import older_suites, refused_families
from scanner.probe.survey.tls13 import tls13

REFUSED = Refusal(40)


class ThoughtServer:
    """Picks one of each of two lists: by its own order, or by the client's; and counts how often it is asked."""

    def __init__(self, ones: list[int], others: list[int], *, own_order: bool) -> None:
        self.ones, self.others, self.own_order = ones, others, own_order
        self.asked = 0

    async def ask(self, ones, others) -> ServerFlight | Refusal | Failure:
        self.asked += 1
        one, other = self._pick(self.ones, ones), self._pick(self.others, others)
        if one is None or other is None:
            return REFUSED
        return ServerFlight(Protocol.TLS1_3, (one,), group=other)

    def _pick(self, own: list[int], offered: list[int]) -> int | None:
        first, second = (own, offered) if self.own_order else (offered, own)
        return next((code for code in first if code in second), None)


def pair(answer: ServerFlight) -> tuple[int, int | None]:
    return answer.suite, answer.group


codes = st.lists(st.integers(0, 30), unique=True, max_size=8)


@settings(deadline=None)
@given(codes, codes, st.booleans())
def test_everything_accepted_is_found_in_its_order_and_nothing_else(ones, others, own_order):
    server = ThoughtServer(ones, others, own_order=own_order)
    one, other = Remainder(list(range(31))), Remainder(list(range(31)))
    assert asyncio.run(shrink(one, other, server.ask, pair)) is None
    both = bool(ones and others)
    order = list if own_order else sorted
    assert one.accepted == (order(ones) if both else [])
    assert other.accepted == (order(others) if both else [])
    assert not one.left
    assert not other.left


@settings(deadline=None)
@given(codes.filter(bool), codes.filter(bool), st.booleans())
def test_it_takes_one_question_for_each_thing_and_three_more(ones, others, own_order):
    server = ThoughtServer(ones, others, own_order=own_order)
    asyncio.run(shrink(Remainder(list(range(31))), Remainder(list(range(31))), server.ask, pair))
    assert server.asked <= max(len(ones), len(others)) + 3


@settings(deadline=None)
@given(
    codes.map(lambda ones: [*(one for one in ones if one), 0]),
    codes.map(lambda ones: [0, *(one for one in ones if one)]),
    st.integers(1, 7),
)
def test_lists_in_parts_are_found_whole(ones, others, size):
    def parts() -> Remainder:
        first, *later = [list(range(31))[start : start + size] for start in range(0, 31, size)]
        return Remainder(first, [], later)

    one, other = parts(), parts()
    asyncio.run(shrink(one, other, ThoughtServer(ones, others, own_order=True).ask, pair))
    assert sorted(one.accepted) == sorted(ones)
    assert sorted(other.accepted) == sorted(others)
    assert one.failure is None is other.failure


@settings(deadline=None)
@given(codes.filter(bool), codes.filter(bool), st.integers(0, 12))
def test_a_failure_breaks_it_off_and_keeps_what_was_found(ones, others, good):
    server = ThoughtServer(ones, others, own_order=True)

    async def ask(some, more):
        return await server.ask(some, more) if server.asked < good else Failure(FailureReason.TIMED_OUT)

    one, other = Remainder(list(range(31))), Remainder(list(range(31)))
    failure = asyncio.run(shrink(one, other, ask, pair))
    assert (failure is None) == (not one.left and not other.left)
    assert one.accepted == ones[: len(one.accepted)]
    assert other.accepted == others[: len(other.accepted)]


@settings(deadline=None)
@given(codes.filter(bool), st.booleans(), st.integers(0, 12))
def test_a_rotation_shows_all_to_the_clients_order_and_claims_nothing_of_another(accepted, own_order, questions):
    server = ThoughtServer(accepted, [0], own_order=own_order)
    rotation = Rotation(list(range(31)))
    for _ in range(questions):
        answer = asyncio.run(server.ask(rotation.offered, [0]))
        rotation.note(answer.suite)
        assert sorted(rotation.offered) == list(range(31))
    if own_order or len(accepted) == 1:
        assert not rotation.complete
    else:
        assert rotation.seen == sorted(accepted)[:questions]
        assert rotation.complete == (questions > len(accepted))


def test_rotations_tell_schemes_of_different_keys_apart():
    rotations = Rotations.of(Protocol.TLS1_2)
    for scheme in (0x0804, 0x0403, 0x0804):  # RSA, ECDSA, RSA: the suites changed, not the server's mind
        rotations.note(ServerFlight(Protocol.TLS1_2, (1,), group=29, scheme=scheme))
    assert not rotations.groups.complete
    assert not any(rotation.complete for rotation in rotations.schemes.values())
    assert rotations.schemes["rsa"].seen == [0x0804]
    assert rotations.offered_schemes.index(0x0805) < rotations.offered_schemes.index(0x0804)


@pytest.mark.parametrize("name", ["mldsa44", "sm2sig_sm3"])
def test_a_scheme_of_a_kind_that_was_not_offered_breaks_nothing(name):
    """A hostile server, or one of TLS 1.3's own kinds of key, may sign with what TLS 1.2 has not."""
    (code,) = (code for code, scheme in iana.signature_schemes().items() if scheme.name == name)
    rotations = Rotations.of(Protocol.TLS1_2)
    before = rotations.offered_schemes
    rotations.note(ServerFlight(Protocol.TLS1_2, (0xC02F,), scheme=code))
    assert rotations.offered_schemes == before


def test_a_server_that_does_not_keep_to_the_offer_is_caught_and_asked_no_more():
    answers = [ServerFlight(Protocol.TLS1_3, (7,), group=9)] * 10

    async def ask(_some, _more):
        return answers.pop()

    one, other = Remainder([1, 7]), Remainder([9, 10])
    assert asyncio.run(shrink(one, other, ask, pair)) is None
    assert one.accepted == [7]
    assert one.failure == Failure(FailureReason.INCONSISTENT, "the server chose 0x0007, which was not offered")
    assert other.failure == Failure(FailureReason.INCONSISTENT, "the server chose 0x0009, which was not offered")


class Insisting:
    """Chooses one of the suites that it is offered, and then the same again and again, whatever is offered."""

    def __init__(self, protocol: Protocol, groups: list[int]) -> None:
        self.protocol, self.groups = protocol, groups
        self.asked = 0

    async def ask(self, offer: Offer, *, whole: bool = True) -> ServerFlight | Failure:
        del offer, whole
        self.asked += 1
        if self.asked > 10:
            return Failure(FailureReason.DEADLINE)
        return ServerFlight(self.protocol, (NOT_TWICE[self.protocol],), group=self.groups[0] if self.groups else None)


NOT_TWICE = {Protocol.TLS1_2: 0xC02F, Protocol.TLS1_3: 0x1301}
SAID = {
    Protocol.TLS1_2: "the server chose suite 0xC02F, which was not offered",
    Protocol.TLS1_3: "the server chose 0x1301, which was not offered",
}


@pytest.mark.parametrize("protocol", [Protocol.TLS1_2, Protocol.TLS1_3])
def test_a_suite_that_was_not_offered_is_not_believed(protocol):
    server = Insisting(protocol, [29] if protocol is Protocol.TLS1_3 else [])

    async def survey() -> Enumeration:
        template = HelloTemplate("shop.example")
        if protocol is Protocol.TLS1_3:
            return await tls13(server, template)
        return await older_suites(server, template, Enumeration(protocol))

    found = asyncio.run(survey())

    assert found.suites == (NOT_TWICE[protocol],), "once, when it was offered"
    assert found.failure == Failure(FailureReason.INCONSISTENT, SAID[protocol])
    assert server.asked <= 3, "who does not keep to the offer is asked no more"


def test_a_suite_of_another_family_than_the_one_offered_is_not_believed():
    found = Enumeration(Protocol.TLS1_2, [ServerFlight(Protocol.TLS1_2, (0xC030,))], refused=[0x0005, 0x0004])
    server = Insisting(Protocol.TLS1_2, [])

    asyncio.run(refused_families(server, HelloTemplate("shop.example"), found))

    assert found.suites == (0xC030,)
    assert not found.hidden
    assert found.failure == Failure(FailureReason.INCONSISTENT, SAID[Protocol.TLS1_2])


def test_application_protocols_end_with_the_first_that_is_not_chosen():
    protocols = ApplicationProtocols(("h2", "http/1.1"))
    protocols.note(ServerFlight(Protocol.TLS1_2, (1,), alpn="h2"))
    protocols.note(ServerFlight(Protocol.TLS1_2, (1,), alpn=None))
    assert (protocols.accepted, protocols.left) == (["h2"], [])


@pytest.mark.parametrize("protocol", [Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_2])
def test_small_parts_are_the_whole(protocol):
    suites = iana.offered_suites(protocol)
    parts = list(HelloTemplate(None, small=True).parts(suites))
    assert sorted(code for part in parts for code in part) == sorted(suites)
    assert all(len(part) <= 20 and len(by_family(part)) == 1 for part in parts)
    assert list(HelloTemplate(None).parts(suites)) == [suites]


def test_published_primes_have_their_names():
    names = {name: prime.bit_length() for prime, name in known_primes().items()}
    expected = {
        "ffdhe2048": 2048,
        "oakley-1": 768,
        "oakley-2": 1024,
        "oakley-14": 2048,
        "rfc5114-22": 1024,
        "oakley-15": 3072,
    }
    assert expected.items() <= names.items()
