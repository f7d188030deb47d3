"""`report --owner` and `--label`: the report of what is theirs, and nothing of anybody else."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec import structs

from scanner.errors import UsageError
from scanner.jobs.output import Rendering, render
from scanner.jobs.reporting import owned
from scanner.ownership import Ownership
from tests.build.judged import judged_record

RECORD = judged_record(4).record
ERP = next(target.endpoint for target in RECORD.targets if target.host == "erp.example.internal")
SHOP = next(target.endpoint for target in RECORD.targets if target.host == "shop.example.com")
OWNERS = {
    ERP: Ownership("erp-team", None, (("tier", "2"),)),
    SHOP: Ownership("payments", None, (("region", "eu"), ("tier", "1"))),
}
ALL = Rendering(RECORD, previous=judged_record(1).record, owners=OWNERS)


def endpoints(rendering: Rendering) -> set[str]:
    return {target.endpoint for target in rendering.record.targets}


def test_of_nobody_is_of_everybody() -> None:
    assert owned(ALL, None, ()) is ALL


@pytest.mark.parametrize(
    ("owner", "labels", "expected"),
    [
        ("erp-team", (), {ERP}),
        (None, ("tier=1",), {SHOP}),
        ("payments", ("tier=1", "region=eu"), {SHOP}),
    ],
)
def test_only_what_is_theirs(owner: str | None, labels: tuple[str, ...], expected: set[str]) -> None:
    found = owned(ALL, owner, labels)
    assert endpoints(found) == expected
    assert found.previous is not None
    assert {target.endpoint for target in found.previous.targets} <= expected
    assert found.record.run.expected_targets == len(found.record.targets)
    assert set(found.record.run.environments) == {target.environment for target in found.record.targets}


@pytest.mark.parametrize(
    ("owner", "labels", "problem"),
    [
        ("erp-taem", (), "erp-team"),
        ("erp-team", ("tier=1",), r'no target of the owner "erp-team" with the label "tier=1" \(did you mean "tier=2"'),
        (None, ("zzz=yyyyyyyy",), r'no target with the label "zzz=yyyyyyyy" \(labels: region=eu, tier=1, tier=2\)'),
        (None, ("tier=1", "tier=2"), r'with the labels "tier=1" and "tier=2" \(labels: '),
        ("xyz", (), r'no target of the owner "xyz" \(owners: erp-team, payments\)'),
        (None, ("tier",), "is not NAME=VALUE"),
        (None, ("=1",), "is not NAME=VALUE"),
    ],
)
def test_what_nobody_has_is_refused(owner: str | None, labels: tuple[str, ...], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        owned(ALL, owner, labels)


def test_an_interrupted_run_still_says_how_many_there_would_have_been() -> None:
    run = dataclasses.replace(RECORD.run, complete=False, expected_targets=99)
    found = owned(structs.replace(ALL, record=dataclasses.replace(RECORD, run=run)), "erp-team", ())
    assert found.record.run.expected_targets == 99


def test_the_terminal_says_whose_a_target_is_and_with_whom_it_is_shared() -> None:
    shared = {**OWNERS, SHOP: Ownership("payments", "pay@example.com", (("tier", "1"),), ("erp-team",))}
    everything = structs.replace(ALL, owners=shared)

    whole = render(everything, "text").decode()
    theirs = render(owned(everything, "erp-team", ()), "text").decode()

    assert "  Owners: payments, erp-team · Contact: pay@example.com · tier=1\n" in whole
    assert "  Owner: erp-team · tier=2\n" in whole
    assert "  Owner: erp-team, shared with payments · Contact: pay@example.com · tier=1\n" in theirs
    assert "Owner" not in render(structs.replace(ALL, owners={}), "text").decode()
