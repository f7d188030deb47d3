"""What is asked of a server once more, after both TLS engines have been at it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    ClientAuthentication,
    FailureReason,
    Protocol,
    ProtocolOffer,
    Robot,
    TlsEvidence,
)
from scanner.probe.tls.division import HandshakeResult, Remaining, Unanswered, remaining

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
    assert unanswered(Attempt.failed(FailureReason.ENGINE_ERROR)) == set(Unanswered)


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
        replace(LEFT, left=False),
        HandshakeResult(Attempt.failed(FailureReason.HANDSHAKE_FAILED), 2),
        replace(LEFT, evidence=Attempt.ok(TlsEvidence())),
    ],
)
def test_nothing_where_no_handshake_succeeded_or_nothing_was_left_out(result):
    assert unanswered(Attempt.failed(FailureReason.ENGINE_ERROR), result) == set()
