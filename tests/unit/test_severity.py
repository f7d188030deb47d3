"""Severities are ordered by gravity, whichever operator asks."""

from __future__ import annotations

import itertools

import pytest

from scanner.verdict import Severity

LADDER = [Severity.INFO, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL]


@pytest.mark.parametrize(("lower", "higher"), list(itertools.combinations(LADDER, 2)))
def test_every_operator_orders_by_gravity(lower: Severity, higher: Severity) -> None:
    assert lower < higher
    assert lower <= higher
    assert higher > lower
    assert higher >= lower
    assert not higher < lower
    assert not higher <= lower
    assert max(lower, higher) is higher
    assert min(lower, higher) is lower


def test_sorts() -> None:
    by_alphabet = sorted(LADDER, key=lambda severity: severity.value)
    assert by_alphabet != LADDER
    assert sorted(by_alphabet) == LADDER
