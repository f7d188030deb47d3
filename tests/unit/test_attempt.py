"""An observation: whole, in part, or none."""

from __future__ import annotations

import pytest

from scanner.evidence import Attempt, Failure, FailureReason

RESET = Failure(FailureReason.RESET)


def test_a_value_may_be_incomplete() -> None:
    attempt = Attempt.partial(("x25519",), RESET)
    assert attempt.value == ("x25519",)
    assert attempt.failure is None
    assert attempt.cut_off is RESET


def test_a_whole_value_is_not_cut_off() -> None:
    assert Attempt.ok(()).cut_off is None
    assert Attempt.partial((), None) == Attempt.ok(())


def test_a_failure_is_cut_off() -> None:
    assert Attempt.failed(FailureReason.RESET).cut_off == RESET


@pytest.mark.parametrize(
    "fields", [{}, {"value": 1, "failure": RESET}, {"incomplete": RESET}, {"failure": RESET, "incomplete": RESET}]
)
def test_anything_else_is_a_mistake(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Attempt"):
        Attempt(**fields)
