"""What two runs count, and what the difference is said to come from: for any two runs, the one follows from the other."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.view.build import build_view
from scanner.evidence import FailureReason
from scanner.history.attribution import ChangeCause
from scanner.history.diff import diff
from scanner.rules import all_rules
from scanner.verdict import ONE_ADDRESS, AppliedWaiver, CountedAs, RunRecord, Severity, Status, TargetResult, Verdict
from tests.build.records import sample_record

BASE = sample_record(0)
SHOP = "production/shop.example.com:443@192.0.2.10"
RULES = ("cert.expiry", "https.hsts", "kex.post-quantum")
WAIVER = AppliedWaiver("until the migration", "platform-team", date(2026, 10, 31))

kinds = st.sampled_from(
    [
        {"status": Status.PASS},
        {"status": Status.FAIL},
        {"status": Status.FAIL},
        {"status": Status.FAIL, "severity": Severity.INFO},
        {"status": Status.FAIL, "severity": Severity.CRITICAL},
        {"status": Status.FAIL, "waiver": WAIVER},
        {"status": Status.NOT_APPLICABLE, "reason": "no-http"},
        {"status": Status.NOT_APPLICABLE, "reason": ONE_ADDRESS},
        {"status": Status.INDETERMINATE, "reason": "not-observed"},
        {"status": Status.INDETERMINATE, "reason": str(FailureReason.UNREACHABLE)},
    ]
)


@st.composite
def verdicts(draw: st.DrawFn) -> tuple[Verdict, ...]:
    """What the rules say of one address: of each at most once for each subject, or of none."""
    base = BASE.targets[0].verdicts[0]
    judged = draw(st.sets(st.tuples(st.sampled_from(RULES), st.sampled_from(["", "rsa", "/Shop"])), max_size=5))
    return tuple(
        dataclasses.replace(
            base, **{"rule": rule, "subject": subject, "severity": Severity.HIGH, "reason": "weak", "waiver": None}
            | draw(kinds)
        )
        for rule, subject in sorted(judged)
    )  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> RunRecord:
    """A run of some environments, endpoints and addresses, judged by one of two policies."""
    model = BASE.targets[0]
    policy = draw(st.sampled_from([model.policy, dataclasses.replace(model.policy, digest="00" * 32)]))
    places = draw(
        st.sets(
            st.tuples(
                st.sampled_from(["production", "test", "legacy"]), st.sampled_from("ab"), st.sampled_from([1, 2, 3])
            ),
            max_size=8,
        )
    )
    targets = tuple(
        dataclasses.replace(
            model,
            id=f"{environment}/{name}.example.com:443@192.0.2.{last}",
            environment=environment,
            host=f"{name}.example.com",
            ip=f"192.0.2.{last}",
            policy=policy,
            evidence=draw(st.sampled_from([target.evidence for target in BASE.targets[:3]])),
            verdicts=draw(verdicts()),
        )
        for environment, name, last in sorted(places)
    )
    run = dataclasses.replace(
        BASE.run,
        complete=draw(st.booleans()),
        expected_targets=len(targets),
        tool_version=draw(st.sampled_from(["0.1.0", "0.2.0"])),
        config_digest=draw(st.sampled_from(["c0" * 32, "c1" * 32])),
        started_at=BASE.run.started_at + timedelta(days=draw(st.integers(0, 400))),
    )
    return RunRecord(run, targets)


def not_met(record: RunRecord) -> int:
    return sum(verdict.counted_as is CountedAs.NOT_MET for verdict in record.verdicts)


@given(before=runs(), after=runs())
def test_what_was_not_met_with_more_and_fewer_is_what_is_not_met(before: RunRecord, after: RunRecord) -> None:
    """Also for the part of it that one owner has, whatever its endpoints are."""
    of_owner = [
        RunRecord(record.run, tuple(target for target in record.targets if target.host.startswith("a")))
        for record in (before, after)
    ]
    for first, second in ((before, after), of_owner):
        found = diff(first, second).balances
        assert not_met(first) + sum(item.more - item.fewer for item in found) == not_met(second)
        assert all(item.more >= 0 and item.fewer >= 0 and item.more + item.fewer for item in found)
        assert len({item.cause for item in found}) == len(found)


@given(before=runs(), after=runs())
def test_page_one_adds_up(before: RunRecord, after: RunRecord) -> None:
    view = build_view(after, rules=all_rules(), previous=before)
    changes = view.changes
    assert changes is not None
    assert changes.failed_now == view.total.failed
    assert changes.failed_before + sum(item.more - item.fewer for item in changes.through) == changes.failed_now


def failing_at(*addresses: int, **run_changes: object) -> RunRecord:
    """A run in which one requirement is not met at these addresses of a name, and met at no other of three."""
    model = next(target for target in BASE.targets if target.id == SHOP)
    verdict = dataclasses.replace(
        model.verdicts[0], rule="cert.expiry", status=Status.FAIL, severity=Severity.HIGH, waiver=None
    )
    targets = tuple(
        dataclasses.replace(model, id=f"{model.endpoint}@192.0.2.{last}", ip=f"192.0.2.{last}", verdicts=(verdict,))
        for last in addresses
    )
    return RunRecord(dataclasses.replace(BASE.run, **run_changes), targets)


def waived_at(record: RunRecord, last: int) -> RunRecord:
    return with_verdicts(record, last, waiver=WAIVER)


def with_verdicts(record: RunRecord, last: int, **changes: object) -> RunRecord:
    def change(target: TargetResult) -> TargetResult:
        if target.ip != f"192.0.2.{last}":
            return target
        verdicts = tuple(dataclasses.replace(verdict, **changes) for verdict in target.verdicts)
        return dataclasses.replace(target, verdicts=verdicts)

    return RunRecord(record.run, tuple(map(change, record.targets)))


TWO = failing_at(1, 2)


@pytest.mark.parametrize(
    ("before", "after", "through"),
    [
        pytest.param(TWO, failing_at(3, 4), [], id="the name moved"),
        pytest.param(TWO, failing_at(3), [(ChangeCause.ADDRESSES, 0, 1)], id="it moved to fewer addresses"),
        pytest.param(TWO, failing_at(1, 2, 3), [(ChangeCause.ADDRESSES, 1, 0)], id="one more address"),
        pytest.param(
            failing_at(1, 2, 3), failing_at(1, complete=False), [(ChangeCause.NETWORK, 0, 2)], id="interrupted"
        ),
        pytest.param(
            failing_at(1, complete=False), TWO, [(ChangeCause.NETWORK, 1, 0)], id="the run before was interrupted"
        ),
        pytest.param(TWO, waived_at(TWO, 2), [(ChangeCause.CONFIGURATION, 0, 1)], id="waived at one address"),
        pytest.param(TWO, waived_at(waived_at(TWO, 1), 2), [(ChangeCause.CONFIGURATION, 0, 2)], id="waived at both"),
        pytest.param(
            TWO,
            with_verdicts(TWO, 1, status=Status.INDETERMINATE, reason=str(FailureReason.UNREACHABLE)),
            [(ChangeCause.NETWORK, 0, 1)],
            id="one address was out of reach",
        ),
        pytest.param(TWO, failing_at(), [(ChangeCause.CONFIGURATION, 0, 2)], id="no longer configured"),
        pytest.param(failing_at(), TWO, [(ChangeCause.CONFIGURATION, 2, 0)], id="newly configured"),
        pytest.param(
            TWO, failing_at(complete=False), [(ChangeCause.NETWORK, 0, 2)], id="interrupted before it came to it"
        ),
        pytest.param(
            with_verdicts(TWO, 1, severity=Severity.INFO), TWO, [(ChangeCause.TIME, 1, 0)], id="a note became a finding"
        ),
    ],
)
def test_each_cause_is_counted_address_by_address(
    before: RunRecord, after: RunRecord, through: list[tuple[ChangeCause, int, int]]
) -> None:
    found = diff(before, after).balances
    assert [(item.cause, item.more, item.fewer) for item in found] == through


def test_a_mended_address_beside_one_that_nobody_looked_at_any_more() -> None:
    after = with_verdicts(failing_at(1), 1, status=Status.PASS, reason="ok")
    found = {item.cause: item.fewer for item in diff(TWO, after).balances}
    assert sum(found.values()) == 2
    assert found[ChangeCause.ADDRESSES] == 1
