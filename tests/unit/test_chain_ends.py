"""With which certificate a chain ends, and who is told so: the rule has cases of its own."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from reports.export.numbers import numbers_of
from reports.view import build_view
from scanner.evidence import Attempt, Certificate, Completion, Deployment, PathValidation, TargetEvidence, TlsEvidence
from scanner.rules import all_rules
from scanner.verdict import RunRecord
from tests.build.certificates import intermediate, leaf, root
from tests.build.records import sample_record

RECORD = sample_record(0)
SHOP = "production/shop.example.com:443@192.0.2.10"
NIGHT = RECORD.run.started_at
LEAF = leaf("shop.example.com", not_before=NIGHT - timedelta(days=10), days=100)
TOP = root()


def above(days: float, name: str = "Issuing") -> Certificate:
    """An intermediate that ends so many days after the run began."""
    return dataclasses.replace(
        intermediate(), fingerprint=f"{days:064.0f}", subject=f"CN={name},O=Example", not_after=NIGHT + timedelta(days)
    )


def shown(*chain: Certificate, paths: tuple[PathValidation, ...] = (), **more: object) -> Deployment:
    return Deployment(chain, paths=paths or (path(*chain),), **more)


def path(*through: Certificate, trusted: bool = True, lasting: tuple[Certificate, ...] = ()) -> PathValidation:
    def names(found: tuple[Certificate, ...]) -> tuple[str, ...]:
        return tuple(item.fingerprint for item in (*found, TOP)) if found else ()

    return PathValidation("mozilla", "aa", trusted, names(through), lasting=names(lasting))


SHORT, LONG, EARLIEST = above(20), above(200), above(5, "Other")


@pytest.mark.parametrize(
    ("deployment", "ends"),
    [
        (shown(LEAF, SHORT), SHORT),
        (shown(LEAF, LONG), LEAF),
        (shown(LEAF), LEAF),
        (shown(LEAF, LONG, SHORT), SHORT),
        (shown(LEAF, LONG, EARLIEST, paths=(path(LEAF, LONG),)), LEAF),
        (shown(LEAF, SHORT, LONG, paths=(path(LEAF, SHORT, lasting=(LEAF, LONG)),)), LEAF),
        (shown(LEAF, SHORT, EARLIEST, paths=(path(LEAF, EARLIEST), path(LEAF, SHORT))), SHORT),
        (shown(LEAF, SHORT, LONG, paths=(path(LEAF, LONG, trusted=False), path(LEAF, SHORT))), SHORT),
        (shown(LEAF, SHORT, paths=(path(LEAF, SHORT, trusted=False),)), None),
        (Deployment((LEAF, SHORT)), None),
        (
            shown(
                LEAF,
                paths=(path(LEAF, trusted=False),),
                completion=Completion((SHORT,), (path(LEAF, SHORT),)),
            ),
            SHORT,
        ),
    ],
    ids=[
        "intermediate", "leaf", "no-intermediate", "two", "not-on-the-path", "lasting", "best-of-two-stores",
        "only-one-trusts", "untrusted", "nobody-looked", "fetched",
    ],
)  # fmt: skip
def test_the_chain_ends_with_what_ends_first_on_the_path_that_holds_longest(
    deployment: Deployment, ends: Certificate | None
) -> None:
    assert deployment.ends_first == ends


def record_with(*deployments: Deployment) -> RunRecord:
    tls = Attempt.ok(TlsEvidence(certificates=Attempt.ok(deployments)))
    target = next(item for item in RECORD.targets if item.id == SHOP)
    changed = dataclasses.replace(target, evidence=TargetEvidence(NIGHT, 1.0, 1, tls=tls))
    return dataclasses.replace(RECORD, targets=(changed,))


def test_metrics_and_the_timeline_have_the_intermediate_that_ends_first() -> None:
    record = record_with(shown(LEAF, SHORT))
    ends = {name: end for _, _, name, end in numbers_of(record)["certificates"]}
    assert ends == {item.fingerprint[:16]: item.not_after.timestamp() for item in (LEAF, SHORT)}
    first, second = build_view(record, rules=all_rules()).certificates
    assert (first.name, first.days_left, first.environments) == ("Issuing", 20, ("production",))
    assert second.fingerprint == LEAF.fingerprint


def test_an_intermediate_that_holds_longer_is_not_among_them() -> None:
    record = record_with(shown(LEAF, LONG))
    assert len(numbers_of(record)["certificates"]) == len(build_view(record, rules=all_rules()).certificates) == 1
