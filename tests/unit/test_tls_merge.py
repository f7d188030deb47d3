"""How two engines make one answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, ProtocolOffer, Robot, TlsEvidence
from scanner.probe.tls.merge import combined, with_remaining


def failed(reason: FailureReason) -> Attempt[TlsEvidence]:
    return Attempt.failed(reason)


def observed(offers: Mapping[Protocol, Attempt[ProtocolOffer]] | None = None) -> Attempt[TlsEvidence]:
    return Attempt.ok(TlsEvidence(protocols=offers or {}))


@pytest.mark.parametrize(
    ("survey", "handshake", "expected"),
    [
        (FailureReason.TIMED_OUT, FailureReason.NOT_TLS, FailureReason.NOT_TLS),
        (FailureReason.DEADLINE, FailureReason.REFUSED, FailureReason.REFUSED),
        (FailureReason.HANDSHAKE_FAILED, FailureReason.ENGINE_ERROR, FailureReason.HANDSHAKE_FAILED),
        (FailureReason.NOT_RUN, FailureReason.ENGINE_ERROR, FailureReason.ENGINE_ERROR),
        (FailureReason.NOT_RUN, FailureReason.DEADLINE, FailureReason.DEADLINE),
    ],
)
def test_of_two_reasons_the_one_that_explains_best_is_kept(survey, handshake, expected):
    assert combined(failed(survey), failed(handshake)).failure.reason is expected


def test_of_two_engines_the_survey_goes_first():
    ours = {Protocol.TLS1_2: Attempt.ok(ProtocolOffer())}
    theirs = {Protocol.TLS1_2: Attempt.failed(FailureReason.TIMED_OUT), Protocol.TLS1_3: Attempt.ok(ProtocolOffer())}

    both = combined(observed(ours), observed(theirs)).value

    assert both.protocols == {**theirs, **ours}


def test_a_failed_engine_gives_every_fact_its_reason():
    failure = Failure(FailureReason.REFUSED, "no")

    evidence = TlsEvidence.failed(failure)

    # All fields, whatever is added: what can fail has failed, and the rest tells of nothing that was seen.
    facts = {item.name: getattr(evidence, item.name) for item in dataclasses.fields(evidence)}
    attempts = {name: value for name, value in facts.items() if isinstance(value, Attempt)}
    assert {attempt.failure for attempt in attempts.values()} == {failure}
    others = {"protocols", "groups", "signature_schemes", "classical_curves_only", "ticket_key_since"}
    assert set(facts) - set(attempts) == others
    assert not any(facts[name] for name in set(facts) - set(attempts))


def test_what_one_engine_alone_could_tell_is_missing_for_the_reason_why_it_failed():
    surveyed = Attempt.ok(TlsEvidence(encrypt_then_mac=Attempt.ok(value=True)))

    both = combined(surveyed, failed(FailureReason.RESET)).value

    assert both.encrypt_then_mac.value is True
    assert both.heartbleed.failure.reason is both.early_data.failure.reason is FailureReason.RESET


def test_what_was_asked_once_more_completes_what_was_seen_before():
    first = Attempt.ok(TlsEvidence(heartbleed=Attempt.ok(value=False)))
    again = Attempt.ok(TlsEvidence(robot=Attempt.ok(Robot.NOT_VULNERABLE)))

    both = with_remaining(first, again).value
    without = with_remaining(first, failed(FailureReason.DEADLINE)).value

    assert (both.heartbleed.value, both.robot.value) == (False, Robot.NOT_VULNERABLE)
    assert (without.heartbleed.value, without.robot.failure.reason) == (False, FailureReason.DEADLINE)
    assert with_remaining(failed(FailureReason.REFUSED), again) == failed(FailureReason.REFUSED)
