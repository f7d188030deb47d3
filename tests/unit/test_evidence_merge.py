"""What two engines saw, as one: lists are put together, contradictions are told, reasons are chosen."""

from __future__ import annotations

import pytest

from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    Failure,
    FailureReason,
    Protocol,
    ProtocolOffer,
    Robot,
    TlsEvidence,
    merge,
)

BROKEN_OFF = Failure(FailureReason.RESET, "the server stopped answering")


def without_certificates(reason: FailureReason) -> TlsEvidence:
    return TlsEvidence(certificates=Attempt.failed(reason))


@pytest.mark.parametrize(
    ("survey", "handshake", "told"),
    [
        (FailureReason.UNSUPPORTED, FailureReason.HANDSHAKE_FAILED, FailureReason.HANDSHAKE_FAILED),
        (FailureReason.UNSUPPORTED, FailureReason.NOT_RUN, FailureReason.UNSUPPORTED),
        (FailureReason.TIMED_OUT, FailureReason.HANDSHAKE_FAILED, FailureReason.TIMED_OUT),
    ],
)
def test_an_engine_that_could_not_have_seen_it_leaves_the_reason_to_the_other(survey, handshake, told):
    both = merge(without_certificates(survey), without_certificates(handshake))

    assert both.certificates.failure.reason is told


def suites(*names: str, incomplete: Failure | None = None) -> TlsEvidence:
    offer = ProtocolOffer(tuple(AcceptedSuite(name) for name in names))
    return TlsEvidence(protocols={Protocol.TLS1_2: Attempt.partial(offer, incomplete)})


def groups(*names: str, incomplete: Failure | None = None) -> TlsEvidence:
    return TlsEvidence(groups={Protocol.TLS1_3: Attempt.partial(names, incomplete)})


def merged_suites(first: TlsEvidence, second: TlsEvidence) -> tuple[list[str], Failure | None]:
    attempt = merge(first, second).offer(Protocol.TLS1_2)
    assert attempt.value is not None
    return [suite.name for suite in attempt.value.suites], attempt.incomplete


def test_two_parts_are_a_larger_part():
    first, second = suites("A", incomplete=BROKEN_OFF), suites("B", incomplete=Failure(FailureReason.DEADLINE))
    assert merged_suites(first, second) == (["A", "B"], BROKEN_OFF)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_part_of_what_another_saw_whole_is_whole(swapped):
    pair = (suites("A", incomplete=BROKEN_OFF), suites("A", "B"))
    names, incomplete = merged_suites(*(reversed(pair) if swapped else pair))
    assert (set(names), incomplete) == ({"A", "B"}, None)


@pytest.mark.parametrize("swapped", [False, True])
def test_what_the_part_has_and_the_whole_has_not_is_a_contradiction(swapped):
    pair = (suites("A", "C", incomplete=BROKEN_OFF), suites("A", "B"))
    names, incomplete = merged_suites(*(reversed(pair) if swapped else pair))
    assert set(names) == {"A", "B", "C"}
    assert incomplete is not None
    assert incomplete.reason is FailureReason.INCONSISTENT
    assert incomplete.detail == "accepted when asked once and refused when asked again: C"


def test_two_whole_lists_that_differ_are_a_contradiction():
    both = merge(groups("x25519", "secp256r1"), groups("x25519", "secp384r1")).groups[Protocol.TLS1_3]
    assert both.value == ("x25519", "secp256r1", "secp384r1")
    assert both.incomplete == Failure(
        FailureReason.INCONSISTENT, "accepted when asked once and refused when asked again: secp384r1, secp256r1"
    )


def test_a_failure_adds_nothing_to_what_was_seen():
    failed = TlsEvidence(protocols={Protocol.TLS1_2: Attempt(failure=BROKEN_OFF)})
    assert merged_suites(suites("A"), failed) == (["A"], None)
    assert merged_suites(failed, suites("A", incomplete=BROKEN_OFF)) == (["A"], BROKEN_OFF)


def test_facts_that_differ_are_inconsistent_with_both_observations_told():
    both = merge(TlsEvidence(compression=Attempt.ok(True)), TlsEvidence(compression=Attempt.ok(False)))  # noqa: FBT003
    assert both.compression.failure == Failure(FailureReason.INCONSISTENT, "yes when asked once, no when asked again")
    both = merge(
        TlsEvidence(robot=Attempt.ok(Robot.RSA_NOT_OFFERED)), TlsEvidence(robot=Attempt.ok(Robot.STRONG_ORACLE))
    )
    assert both.robot.failure is not None
    assert both.robot.failure.detail == "rsa-not-offered when asked once, strong-oracle when asked again"


def test_a_fact_read_off_a_part_gives_way_to_one_that_was_asked_for():
    part = TlsEvidence(compression=Attempt.partial(False, BROKEN_OFF))  # noqa: FBT003  # an observation
    asked = TlsEvidence(compression=Attempt.ok(True))  # noqa: FBT003  # an observation
    assert merge(part, asked).compression == merge(asked, part).compression == asked.compression
