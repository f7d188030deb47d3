"""What is asked of a server once more, after both TLS engines have been at it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from msgspec import structs

from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    ClientAuthentication,
    Deployment,
    FailureReason,
    Protocol,
    ProtocolOffer,
    Robot,
    TlsEvidence,
)
from scanner.probe.tls.division import (
    HandshakeResult,
    Remaining,
    RsaTransport,
    Unanswered,
    remaining,
    rsa_transport,
)
from tests.build.certificates import leaf

NONE = Attempt.ok(ProtocolOffer())
SOME = Attempt.ok(ProtocolOffer((AcceptedSuite("TLS_RSA_WITH_AES_128_CBC_SHA"),)))
OLDER = (Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_1)
SURVEY = TlsEvidence(
    protocols={**dict.fromkeys(OLDER, NONE), Protocol.TLS1_2: SOME},
    certificates=Attempt.ok(()),
    session_tickets=Attempt.ok(value=True),
    robot=Attempt.ok(Robot.RSA_NOT_OFFERED),
)
HANDSHAKE = TlsEvidence(client_authentication=Attempt.ok(ClientAuthentication.NOT_ASKED))
LEFT = HandshakeResult(Attempt.ok(HANDSHAKE), 5, Protocol.TLS1_3, left=True)


def certified(*kinds: str) -> Attempt[tuple[Deployment, ...]]:
    """Certificates with a key of each kind."""
    sizes = {"rsa": 2048, "rsa-too": 2048, "ecdsa": None}
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    leaves = [leaf("x.example", not_before=begins, days=90, key=kind, rsa_bits=sizes[kind]) for kind in kinds]
    return Attempt.ok(tuple(Deployment((one,)) for one in leaves))


def unanswered(survey: Attempt[TlsEvidence], result: HandshakeResult = LEFT) -> set[Unanswered]:
    left = remaining(survey, result)
    if left is None:
        return set()
    assert left == Remaining(Protocol.TLS1_3, ClientAuthentication.NOT_ASKED, left.unanswered)
    return set(left.unanswered)


def test_nothing_where_the_survey_found_all_that_was_left_to_it():
    assert unanswered(Attempt.ok(SURVEY)) == set()


@pytest.mark.parametrize(
    ("fact", "asked"),
    [
        ("robot", Unanswered.ROBOT),
        ("session_tickets", Unanswered.SESSION_TICKETS),
        ("certificates", Unanswered.CERTIFICATES),
    ],
)
def test_what_the_survey_did_not_find_out(fact, asked):
    without = replace(SURVEY, **{fact: Attempt.failed(FailureReason.MALFORMED)})

    assert unanswered(Attempt.ok(without)) == {asked}


def test_everything_where_the_survey_failed():
    assert unanswered(Attempt.failed(FailureReason.ENGINE_ERROR)) == set(Unanswered) - {
        Unanswered.EARLY_DATA,
        Unanswered.RENEGOTIATION,
    }


@pytest.mark.parametrize(
    ("reason", "asked"),
    [(FailureReason.RESET, True), (FailureReason.TIMED_OUT, True), (FailureReason.NOT_RUN, False)],
)
@pytest.mark.parametrize(
    ("fact", "again"),
    [("max_early_data_size", Unanswered.EARLY_DATA), ("client_renegotiation", Unanswered.RENEGOTIATION)],
)
def test_what_a_busy_server_did_not_tell(reason, asked, fact, again):
    cut_off = replace(HANDSHAKE, **{fact: Attempt.failed(reason)})
    assert unanswered(Attempt.ok(SURVEY), structs.replace(LEFT, evidence=Attempt.ok(cut_off))) == (
        {again} if asked else set()
    )


def test_what_a_busy_server_did_not_tell_sslyze_alone():
    """One that asks for a client certificate is left to sslyze as a whole."""
    told = Attempt.failed(FailureReason.RESET)
    alone = structs.replace(LEFT, left=False, evidence=Attempt.ok(replace(HANDSHAKE, client_renegotiation=told)))
    assert unanswered(Attempt.ok(SURVEY), alone) == {Unanswered.RENEGOTIATION}


def test_renegotiation_of_a_server_that_turned_us_away_in_words():
    told = Attempt.failed(FailureReason.HANDSHAKE_FAILED, "TLS error: wrong version number")
    busy = structs.replace(LEFT, evidence=Attempt.ok(replace(HANDSHAKE, client_renegotiation=told)))
    assert unanswered(Attempt.ok(SURVEY), busy) == {Unanswered.RENEGOTIATION}


@pytest.mark.parametrize("reason", [FailureReason.TIMED_OUT, FailureReason.RESET, FailureReason.DEADLINE])
def test_nothing_of_a_server_that_had_enough(reason):
    stopped = replace(
        SURVEY,
        protocols={**SURVEY.protocols, Protocol.TLS1_0: Attempt.failed(reason)},
        robot=Attempt.failed(reason),
    )

    assert unanswered(Attempt.ok(stopped)) == set()


def test_nothing_of_older_protocols_where_there_are_none():
    newest_alone = replace(
        SURVEY,
        protocols=dict.fromkeys((*OLDER, Protocol.TLS1_2), NONE),
        certificates=Attempt.failed(FailureReason.UNSUPPORTED),
        session_tickets=Attempt.failed(FailureReason.UNSUPPORTED),
    )

    assert unanswered(Attempt.ok(newest_alone)) == set()


@pytest.mark.parametrize(
    "result",
    [
        structs.replace(LEFT, left=False),
        HandshakeResult(Attempt.failed(FailureReason.HANDSHAKE_FAILED), 2),
        structs.replace(LEFT, evidence=Attempt.ok(TlsEvidence())),
    ],
)
def test_nothing_where_no_handshake_succeeded_or_nothing_was_left_out(result):
    assert unanswered(Attempt.failed(FailureReason.ENGINE_ERROR), result) == set()


RSA, GCM = AcceptedSuite("TLS_RSA_WITH_AES_128_CBC_SHA"), AcceptedSuite("TLS_RSA_WITH_AES_256_GCM_SHA384")
EC = AcceptedSuite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")


def accepting(*suites: AcceptedSuite, protocol: Protocol = Protocol.TLS1_2) -> dict[Protocol, Attempt[ProtocolOffer]]:
    return {**dict.fromkeys((*OLDER, Protocol.TLS1_2), NONE), protocol: Attempt.ok(ProtocolOffer(suites))}


@pytest.mark.parametrize("protocol", [Protocol.TLS1_2, Protocol.TLS1_1, Protocol.TLS1_0])
def test_the_key_of_rsa_transport_is_the_one_that_was_shown(protocol):
    seen = replace(SURVEY, protocols=accepting(EC, RSA, protocol=protocol), certificates=certified("rsa", "ecdsa"))

    found = rsa_transport(seen)

    assert (found.protocol, found.gcm, found.modulus.bit_length()) == (protocol, False, 2048)
    assert found.exponent == 65_537


def test_gcm_is_told_because_some_servers_are_vulnerable_with_it_alone():
    assert rsa_transport(replace(SURVEY, protocols=accepting(GCM, RSA), certificates=certified("rsa"))).gcm


@pytest.mark.parametrize(
    ("suites", "kinds"),
    [
        ((EC,), ("rsa",)),
        ((replace(RSA, unconfirmed=True),), ("rsa",)),
        ((RSA,), ("rsa", "rsa-too")),
        ((RSA,), ("ecdsa",)),
        ((RSA,), ()),
        ((), ("rsa",)),
    ],
)
def test_no_key_is_guessed(suites, kinds):
    """With another key than the server's every ciphertext would be wrong, and all answers alike: a pass of nothing."""
    assert rsa_transport(replace(SURVEY, protocols=accepting(*suites), certificates=certified(*kinds))) is None


def test_of_several_protocols_the_newest_counts():
    protocols = {**accepting(EC), Protocol.TLS1_0: Attempt.ok(ProtocolOffer((RSA,)))}
    assert rsa_transport(replace(SURVEY, protocols=protocols, certificates=certified("rsa"))) is None


def test_the_key_is_handed_on_where_the_oracle_is_asked_for():
    survey = replace(
        SURVEY, protocols=accepting(RSA), certificates=certified("rsa"), robot=Attempt.failed(FailureReason.NOT_RUN)
    )
    left = remaining(Attempt.ok(survey), LEFT)
    assert isinstance(left.transport, RsaTransport)
