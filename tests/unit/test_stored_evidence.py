"""Evidence that version 0.1 stored is read as it was: what it saw, and what it did not see."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.evidence import FailureReason, Protocol, from_json, to_json

_STORED = Path(__file__).parents[1] / "build" / "stored"


@pytest.mark.parametrize("name", ["whole", "broken-off"])
def test_evidence_of_version_0_1_is_read_and_written_back_as_it_was(name: str) -> None:
    stored = (_STORED / f"evidence-0.1-{name}.json").read_bytes()
    assert to_json(from_json(stored)) == stored


def test_what_0_1_saw_whole_is_whole() -> None:
    tls = from_json((_STORED / "evidence-0.1-whole.json").read_bytes()).tls.value
    assert tls is not None
    assert tls.negotiated == (Protocol.TLS1_0, Protocol.TLS1_1, Protocol.TLS1_2, Protocol.TLS1_3)
    assert all(tls.offer(protocol).cut_off is None for protocol in Protocol)


def test_what_0_1_told_in_the_words_of_a_failure_stays_a_failure() -> None:
    tls = from_json((_STORED / "evidence-0.1-broken-off.json").read_bytes()).tls.value
    assert tls is not None
    broken_off = tls.offer(Protocol.TLS1_2)
    assert broken_off.value is None
    assert broken_off.failure is not None
    assert broken_off.failure.reason is FailureReason.RESET
    assert "accepted by then: TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" in broken_off.failure.detail
    assert tls.negotiated == (Protocol.TLS1_0, Protocol.TLS1_1)
