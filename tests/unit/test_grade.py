"""The grade after the published method: each cap and failure of it, and no grade where the evidence does not suffice."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scanner.evidence import Attempt, FailureReason, KeyType, Protocol, Robot, Staple, Ticketbleed, not_run
from scanner.grade import NOT_LOOKED_AT, ONLY_IF_ASKED, Effect, Grade, explained, grade, in_words
from scanner.inventory import Role
from tests.build.facts import (
    CBC,
    GCM,
    HOST,
    NO,
    NOW,
    TIMED_OUT,
    TLS13,
    TLS13_256,
    YES,
    World,
    certificate,
    deployment,
    hop,
    http,
    observed,
    offer,
    offers,
    probe,
    suite,
    tls,
    tls12_only,
    tls13_only,
    untrusted,
)
from tests.build.partial import losses
from tests.build.records import sample_record
from tests.build.weak_keys import WEAK, rsa_certificate
from tests.conftest import REPOSITORY

_RC4 = "TLS_ECDHE_RSA_WITH_RC4_128_SHA"
_3DES = "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"
_RSA = "TLS_RSA_WITH_AES_128_GCM_SHA256"
_SOUND = Attempt.ok(Robot.NOT_VULNERABLE)
_DHE = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"


def graded(world: World, role: Role = Role.APPLICATION) -> Grade:
    return grade(observed(world).evidence, HOST, 443, role, NOW)


def _groups(*protocols: Protocol, names: tuple[str, ...]) -> dict[Protocol, Attempt[tuple[str, ...]]]:
    return dict.fromkeys(protocols, Attempt.ok(names))


def of_tls(*deployments: Any, **changes: Any) -> World:
    return World(tls=tls(*deployments, **changes))


def with_suites(*names: Any, **more: Any) -> World:
    return of_tls(protocols=offers(tls1_2=offer(GCM, *names), **more))


def test_a_server_that_is_right_in_every_way_is_an_a_plus() -> None:
    found = graded(World())

    assert (found.letter, found.score, found.reasons, found.missing) == ("A+", 96, (), ())
    assert (found.protocol_score, found.key_exchange_score, found.cipher_score) == (100, 100, 90)


def test_the_score_is_of_three_weighted_parts_each_cut_to_a_whole_number() -> None:
    found = graded(
        of_tls(
            protocols=offers(
                tls1_0=offer(CBC), tls1_2=offer(suite(_DHE, "ffdhe2048", 2048)), tls1_3=offer(TLS13, TLS13_256)
            )
        )
    )

    # (90 + 100) / 2 = 95; a field of 2048 bits is 90; 128 and 256 bits are (80 + 100) / 2 = 90.
    assert (found.protocol_score, found.key_exchange_score, found.cipher_score) == (95, 90, 90)
    assert found.score == 28 + 27 + 36


_METHOD: list[tuple[World, str, Effect | None]] = [
    (World(http=http(probe(hop(hsts=())))), "A", Effect.NO_PLUS),
    (World(http=http(probe(hop(hsts=("max-age=15551999",))))), "A", Effect.NO_PLUS),
    (World(http=http(probe(hop(hsts=("max-age=x",))))), "A", Effect.NO_PLUS),
    (World(http=http(probe(hop(hsts=("max-age=15552000",))))), "A+", None),
    (of_tls(**tls12_only()), "A-", Effect.WARNING),
    (of_tls(secure_renegotiation=NO, client_renegotiation=NO), "A-", Effect.WARNING),
    (of_tls(secure_renegotiation=NO, client_renegotiation=YES), "F", Effect.FAIL),
    (of_tls(**tls13_only()), "A+", None),
    (of_tls(protocols=offers(tls1_1=offer(CBC))), "B", Effect.CAP_B),
    (of_tls(protocols=offers(tls1_0=offer(CBC))), "B", Effect.CAP_B),
    (of_tls(robot=_SOUND, protocols=offers(ssl3=offer("TLS_RSA_WITH_RC4_128_SHA"))), "B", Effect.CAP_B),
    (of_tls(robot=_SOUND, protocols=offers(ssl3=offer("TLS_RSA_WITH_AES_128_CBC_SHA"))), "C", Effect.CAP_C),
    (of_tls(protocols=offers(ssl2=offer("SSL_CK_DES_192_EDE3_CBC_WITH_MD5"))), "F", Effect.FAIL),
    (of_tls(protocols=offers(tls1_2=offer(), tls1_3=offer(), tls1_1=offer(CBC))), "C", Effect.CAP_C),
    (
        of_tls(protocols=offers(tls1_2=offer(), tls1_3=offer(), ssl3=offer("TLS_RSA_WITH_AES_128_CBC_SHA"))),
        "F",
        Effect.FAIL,
    ),
    (with_suites(_RC4), "C", Effect.CAP_C),
    (of_tls(protocols=offers(tls1_0=offer(CBC, _RC4))), "B", Effect.CAP_B),
    (of_tls(**tls12_only(_RC4)), "F", Effect.FAIL),
    (with_suites(_3DES), "C", Effect.CAP_C),
    (with_suites("TLS_RSA_EXPORT_WITH_RC4_40_MD5"), "F", Effect.FAIL),
    (with_suites("TLS_RSA_WITH_DES_CBC_SHA"), "F", Effect.FAIL),
    (with_suites("TLS_RSA_WITH_NULL_SHA256"), "F", Effect.FAIL),
    (with_suites("TLS_DH_anon_WITH_AES_128_GCM_SHA256"), "F", Effect.FAIL),
    (of_tls(robot=_SOUND, **tls12_only(_RSA)), "B", Effect.CAP_B),
    (of_tls(**tls12_only(CBC)), "B", Effect.CAP_B),
    (with_suites(suite(_DHE, "ffdhe2048", 2048)), "A+", None),
    (with_suites(suite(_DHE, None, 1024, "custom")), "B", Effect.CAP_B),
    (with_suites(suite(_DHE, None, 768, "custom")), "F", Effect.FAIL),
    (of_tls(groups=_groups(Protocol.TLS1_2, Protocol.TLS1_3, names=("x25519mlkem768",))), "A+", None),
    (of_tls(compression=YES), "C", Effect.CAP_C),
    (of_tls(heartbleed=YES), "F", Effect.FAIL),
    (of_tls(ccs_injection=YES), "F", Effect.FAIL),
    (of_tls(robot=Attempt.ok(Robot.STRONG_ORACLE), **tls12_only(GCM, _RSA)), "F", Effect.FAIL),
    (of_tls(ticketbleed=Attempt.ok(Ticketbleed.VULNERABLE)), "F", Effect.FAIL),
    (of_tls(ticketbleed=Attempt.ok(Ticketbleed.NOT_VULNERABLE)), "A+", None),
    (of_tls(padding_oracle=Attempt.ok(("wrong padding",)), protocols=offers(tls1_2=offer(GCM, CBC))), "F", Effect.FAIL),
    (of_tls(padding_oracle=Attempt.ok(()), protocols=offers(tls1_2=offer(GCM, CBC))), "A+", None),
    (of_tls(deployment(certificate(key_type=KeyType.RSA, key_bits=1024, curve=None))), "B", Effect.CAP_B),
    (of_tls(deployment(certificate(key_type=KeyType.RSA, key_bits=1023, curve=None))), "F", Effect.FAIL),
    (of_tls(deployment(certificate(signature_hash="md5"))), "F", Effect.FAIL),
    (of_tls(deployment(certificate(der=rsa_certificate(WEAK["roca"]), key_type=KeyType.RSA))), "F", Effect.FAIL),
    (
        of_tls(
            deployment(
                certificate(
                    der=rsa_certificate(WEAK["small-exponent"]), key_type=KeyType.RSA, key_bits=2048, curve=None
                )
            )
        ),
        "A+",
        None,
    ),
    (of_tls(deployment(certificate(signature_hash="sha1"))), "T", Effect.NOT_TRUSTED),
    (of_tls(deployment(paths=(untrusted(),))), "T", Effect.NOT_TRUSTED),
    (of_tls(deployment(certificate(not_after=NOW.replace(year=2020)))), "T", Effect.NOT_TRUSTED),
    (of_tls(deployment(staple=Staple("revoked", NOW))), "T", Effect.NOT_TRUSTED),
    (of_tls(deployment(certificate(dns_names=("other.example",)))), "M", Effect.WRONG_NAME),
]


@pytest.mark.parametrize(("world", "letter", "effect"), _METHOD)
def test_each_cap_and_failure_of_the_method(world: World, letter: str, effect: Effect | None) -> None:
    found = graded(world)

    assert found.letter == letter, (found.reasons, found.missing)
    assert effect is None or effect in {reason.effect for reason in found.reasons}
    order = [list(Effect).index(reason.effect) for reason in found.reasons]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("world", "missing"),
    [
        (World(tls=Attempt.failed(FailureReason.REFUSED)), "refused"),
        (World(tls=Attempt.failed(FailureReason.NOT_TLS)), "the endpoint does not speak TLS"),
        (of_tls(heartbleed=TIMED_OUT), "Heartbleed: timed-out (5 s)"),
        (of_tls(ticketbleed=TIMED_OUT), "Ticketbleed: timed-out (5 s)"),
        (of_tls(protocols=offers(ssl3=TIMED_OUT)), "ssl3: timed-out"),
        (of_tls(certificates=TIMED_OUT), "trust: timed-out (5 s)"),
        (
            of_tls(heartbleed=Attempt.failed(FailureReason.NOT_ASKED, "intrusive = false")),
            "Heartbleed: intrusive = false",
        ),
        (of_tls(groups=_groups(Protocol.TLS1_2, names=("x25519",))), "key exchanges: not-run (tls1.3)"),
        (World(http=Attempt.failed(FailureReason.TIMED_OUT, "5 s")), "HSTS: timed-out (5 s)"),
        (with_suites("TLS_OF_TOMORROW"), "cipher suites: unsupported (unknown cipher suite TLS_OF_TOMORROW)"),
        (with_suites("TLS_ECDHE_RSA_WITH_UNHEARD_OF_SHA"), "the key size of TLS_ECDHE_RSA_WITH_UNHEARD_OF_SHA"),
        (of_tls(secure_renegotiation=NO, client_renegotiation=TIMED_OUT), "renegotiation by the client"),
    ],
)
def test_what_was_not_observed_leaves_no_grade_and_is_named(world: World, missing: str) -> None:
    found = graded(world)

    assert found.letter is None
    assert any(item.startswith(missing) for item in found.missing), found.missing
    assert missing in in_words(found)


_LETTERS = ["A+", "A", "A-", "B", "C", "D", "E", "F", "M", "T"]


@pytest.mark.parametrize("case", _METHOD, ids=lambda case: case[1])
def test_knowing_less_never_makes_a_grade_better(case: tuple[World, str, Effect | None]) -> None:
    world, letter, _ = case
    for name, less in losses(world):
        found = graded(less(world)).letter
        assert found is None or _LETTERS.index(found) >= _LETTERS.index(letter), name


def test_the_documentation_says_what_the_grade_does_not_see() -> None:
    text = " ".join((REPOSITORY / "docs" / "policies.md").read_text("utf-8").split())
    assert all(item in text for item in NOT_LOOKED_AT)
    assert all(part in text for item in ONLY_IF_ASKED for part in item.split(", "))
    unasked = of_tls(ticketbleed=not_run(), padding_oracle=not_run(), protocols=offers(tls1_2=offer(GCM, CBC)))
    assert graded(unasked).letter == "A+"


def test_what_is_bad_enough_is_graded_whatever_else_is_unknown() -> None:
    assert graded(of_tls(heartbleed=YES, protocols=offers(ssl3=TIMED_OUT))).letter == "F"
    assert graded(of_tls(deployment(paths=(untrusted(),)), heartbleed=TIMED_OUT)).letter == "T"
    assert graded(of_tls(deployment(certificate(dns_names=("o.example",))), heartbleed=TIMED_OUT)).letter == "M"
    assert graded(of_tls(certificates=TIMED_OUT, heartbleed=YES)).letter is None, "T or F: nobody knows"


def test_a_server_without_http_can_have_no_plus() -> None:
    assert graded(World(http=Attempt.failed(FailureReason.NOT_RUN)), Role.SERVER).letter == "A"


def test_a_defect_leaves_it_undetermined(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("scanner.grade.seen.accepted_suites", broken)

    assert graded(World()).missing == ("the grading itself failed, which is a defect of Nightseal",)


def test_the_explanation_is_of_the_grade_that_was_given() -> None:
    (target, *_) = sample_record(4).targets
    evidence = observed(World()).evidence
    target = dataclasses.replace(target, host=HOST, evidence=evidence, grade="A+")

    assert explained(target, NOW) == graded(World())
    assert explained(dataclasses.replace(target, grade="B"), NOW) is None
    assert explained(dataclasses.replace(target, evidence=None), NOW) is None
