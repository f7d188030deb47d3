"""Which of two engines' reasons is told where neither saw a certificate."""

from __future__ import annotations

import pytest

from scanner.evidence import Attempt, FailureReason, TlsEvidence, merge


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
