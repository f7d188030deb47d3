"""What changed between two runs, and what is to be done next, as the report's view has it."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from reports.view import ReportView
from reports.view.actions import WAIVER_NOTICE_DAYS
from reports.view.index import is_failure
from reports.view.model import ActionKind, ChangeKind
from scanner.history.attribution import ChangeCause
from scanner.history.diff import diff
from scanner.verdict import RunRecord, Severity
from scanner.waiver import Waiver
from tests.build.judged import judged_record, judged_view
from tests.build.views import view_of


@pytest.fixture(scope="module")
def view() -> ReportView:
    return judged_view()


class TestChanges:
    def test_new_fixed_and_renewed(self, view: ReportView) -> None:
        assert view.changes is not None
        (new,) = view.changes.of(ChangeKind.NEW_FAILURE)
        assert (new.rule, [target.label for target in new.targets]) == ("https.hsts", ["monitor.example.com:443"])
        assert "proto.no-tls1.0" in {change.rule for change in view.changes.of(ChangeKind.FIXED)}
        (target,) = view.changes.of(ChangeKind.NEW_TARGET)
        assert [ref.label for ref in target.targets] == ["api.test.example.com:443"]
        assert view.changes.of(ChangeKind.NEW_CERTIFICATE)
        assert view.changes.of(ChangeKind.NO_LONGER_KNOWN)

    def test_same_run_twice_changes_nothing(self) -> None:
        record = judged_record(4).record
        changes = view_of(record, previous=record).changes
        assert changes is not None
        assert (changes.changes, changes.other_policy) == ((), False)

    def test_what_was_never_scanned_before_is_not_new(self) -> None:
        now = judged_record(4).record
        before = RunRecord(
            dataclasses.replace(now.run, environments=("production",)),
            tuple(target for target in now.targets if target.environment == "production"),
        )
        changes = view_of(now, previous=before).changes
        assert changes is not None
        assert changes.changes == ()

    def test_interrupted_run_loses_no_targets(self) -> None:
        before = judged_record(4).record
        now = RunRecord(dataclasses.replace(before.run, complete=False), before.targets[:3])
        changes = view_of(now, previous=before).changes
        assert changes is not None
        assert changes.of(ChangeKind.GONE_TARGET) == ()

    def test_other_policy_is_said(self) -> None:
        record = judged_record(4).record
        target = record.targets[0]
        other = dataclasses.replace(target, policy=dataclasses.replace(target.policy, digest="00" * 32))
        changes = view_of(record, previous=RunRecord(record.run, (other, *record.targets[1:]))).changes
        assert changes is not None
        assert changes.other_policy

    def test_policy_and_servers_are_told_apart_and_add_up(self) -> None:
        """Another policy judges two rules fewer, which failed, while a server begins to fail another."""
        before = judged_record(1).record
        now = judged_record(2).record
        dropped = {"cert.key", "integrity.aead"}
        targets = tuple(
            dataclasses.replace(
                target,
                policy=dataclasses.replace(target.policy, digest="00" * 32),
                verdicts=tuple(verdict for verdict in target.verdicts if verdict.rule not in dropped),
            )
            for target in now.targets
        )
        after = RunRecord(now.run, targets)
        changes = view_of(after, previous=before).changes
        assert changes is not None
        difference = diff(before, after)
        lost = [item for item in difference.no_longer_judged if is_failure(item.verdict)]
        assert {item.rule for item in lost} <= dropped
        through = {item.cause: (item.more, item.fewer) for item in changes.through}
        assert through[ChangeCause.POLICY][1] >= len(lost) > 0
        assert sum(more - fewer for more, fewer in through.values()) == changes.failed_now - changes.failed_before
        listed = {ref.id for change in changes.of(ChangeKind.NO_LONGER_JUDGED) for ref in change.targets}
        assert listed == {place.id for item in lost for place in item.places}

    def test_a_name_that_moved_is_no_new_target(self) -> None:
        before = judged_record(4).record
        now = RunRecord(
            before.run,
            tuple(
                dataclasses.replace(target, id=f"{target.endpoint}@192.0.2.99", ip="192.0.2.99")
                if target.host == "monitor.example.com"
                else target
                for target in before.targets
            ),
        )
        changes = view_of(now, previous=before).changes
        assert changes is not None
        assert (changes.changes, changes.through) == ((), ())

    def test_what_became_worse_is_listed_with_its_finding(self) -> None:
        now = judged_record(4).record
        milder = RunRecord(
            now.run,
            tuple(
                dataclasses.replace(
                    target,
                    verdicts=tuple(
                        dataclasses.replace(verdict, severity=Severity.LOW) if verdict.counts_as_failure else verdict
                        for verdict in target.verdicts
                    ),
                )
                for target in now.targets
            ),
        )
        changes = view_of(now, previous=milder).changes
        assert changes is not None
        (hsts,) = [change for change in changes.of(ChangeKind.WORSE) if change.rule == "https.redirect"]
        assert hsts.anchor is not None


def test_an_unused_waiver_of_a_rule_that_is_not_judged_says_so() -> None:
    record = judged_record(4).record
    ends = date(2026, 12, 31)
    unused = Waiver("cert.key", "production/monitor.example.com:443", "It is strong", "qa", ends)
    unknown = Waiver("mail.dane", "production/*", "No policy here wants it", "qa", ends)
    views = {item.rule: item for item in view_of(record, waivers=(unused, unknown)).waivers if item.owner == "qa"}
    assert (views["cert.key"].failures, views["cert.key"].judged) == (0, True)
    assert (views["mail.dane"].failures, views["mail.dane"].judged) == (0, False)
    gone = Waiver("cert.key", "production/gone.example.com:443", "Its host is gone", "qa", ends)
    (view,) = [item for item in view_of(record, waivers=(gone,)).waivers if item.owner == "qa"]
    assert view.judged, "the rule is judged, if not there"


class TestActions:
    def test_sorted_by_date_and_what_has_none_last(self, view: ReportView) -> None:
        dates = [action.due or date.max for action in view.actions]
        assert dates == sorted(dates)
        assert view.actions[-1].kind is ActionKind.REACH

    def test_due_follows_from_severity(self, view: ReportView) -> None:
        action = next(item for item in view.actions if item.severity is Severity.HIGH)
        assert action.due == date(2026, 4, 5)

    def test_due_counts_from_when_it_was_first_seen(self) -> None:
        record = judged_record(4).record
        target = next(item for item in record.targets if item.host.startswith("api."))
        view = view_of(record, first_seen={(target.endpoint, "https.redirect"): date(2026, 2, 1)})
        cause = next(item for item in view.causes if item.rule == "https.redirect")
        action = next(item for item in view.actions if item.anchor == cause.anchor)
        assert action.due == date(2026, 3, 3)

    def test_certificate_sets_the_date(self) -> None:
        view = view_of(judged_record(0).record)
        action = next(item for item in view.actions if item.kind is ActionKind.RENEW)
        assert action.due is not None
        assert action.because == "The certificate ends"
        ends = {certificate.not_after.date() for certificate in view.certificates}
        assert action.due in ends

    def test_waivers_that_end_or_ended_call_for_a_decision(self, view: ReportView) -> None:
        decide = [item for item in view.actions if item.kind is ActionKind.DECIDE]
        assert [(item.who, item.due) for item in decide] == [
            ("erp-team", date(2026, 3, 1)), ("platform-team", date(2026, 4, 20)),
        ]  # fmt: skip
        assert all((item.due - view.today).days <= WAIVER_NOTICE_DAYS for item in decide if item.due)

    def test_one_action_where_one_fix_mends_several_causes(self, view: ReportView) -> None:
        keys = [(item.kind, item.who, item.what) for item in view.actions]
        assert len(keys) == len(set(keys))
