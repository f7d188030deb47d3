"""The view counts, groups and words verdicts, and leaves them as they are."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, datetime

import pandas as pd
import pytest
from msgspec import structs

from reports.view import ReportOptions, ReportView, Standing, Tally, trend_of
from reports.view.causes import found_sentence
from reports.view.index import Index, tally
from reports.view.sentences import reason_in_words
from scanner.rules import all_rules
from scanner.verdict import RunRecord, Severity, Status, TargetStatus, Trigger
from tests.build.judged import judged_record, judged_view
from tests.build.records import sample_record
from tests.build.views import record_with, verdict, view_of


@pytest.fixture(scope="module")
def view() -> ReportView:
    return judged_view()


class TestStanding:
    def test_unknown_is_never_compliant(self) -> None:
        assert Tally(passed=40, indeterminate=1).standing is Standing.UNKNOWN

    def test_waived_is_said(self) -> None:
        assert Tally(passed=40, waived=1).standing is Standing.WAIVED

    def test_failure_outweighs_everything(self) -> None:
        assert Tally(passed=40, failed=1, waived=1, indeterminate=5).standing is Standing.FAILED

    def test_notes_inform(self) -> None:
        counts = tally([verdict(Status.FAIL, Severity.INFO), verdict()])
        assert (counts.notes, counts.failed, counts.standing) == (1, 0, Standing.COMPLIANT)

    def test_nothing_judged_is_not_compliant(self) -> None:
        assert tally([verdict(Status.NOT_APPLICABLE)]).standing is Standing.EMPTY

    def test_worst_is_the_gravest(self) -> None:
        severities = (Severity.MEDIUM, Severity.HIGH, Severity.LOW)
        assert tally(verdict(Status.FAIL, severity) for severity in severities).worst is Severity.HIGH


class TestHeadline:
    def test_compliant(self) -> None:
        assert view_of(record_with(verdict())).headline == "Compliant."

    def test_failed(self) -> None:
        headline = view_of(record_with(verdict(), verdict(Status.FAIL))).headline
        assert headline == "production is not compliant: 1 failure, the worst medium."

    def test_failed_ad_hoc(self) -> None:
        headline = view_of(record_with(verdict(Status.FAIL), trigger=Trigger.AD_HOC)).headline
        assert headline == "Not compliant: 1 failure, the worst medium."

    def test_unknown(self) -> None:
        view = view_of(record_with(verdict(), verdict(Status.INDETERMINATE)))
        assert view.standing is Standing.UNKNOWN
        assert view.headline == "Nothing failed, but not everything could be assessed."

    def test_interrupted_run_is_never_compliant(self) -> None:
        view = view_of(record_with(verdict(), complete=False, expected_targets=9))
        assert view.standing is Standing.UNKNOWN
        assert "interrupted" in view.headline
        assert view.targets_expected == 9

    def test_environment_that_was_not_reached_is_never_compliant(self) -> None:
        view = view_of(record_with(verdict(), environments=("production", "test")))
        assert view.standing is Standing.UNKNOWN
        assert view.headline.endswith("could be assessed: test.")

    def test_no_targets(self) -> None:
        view = view_of(dataclasses.replace(sample_record(), targets=()))
        assert view.standing is Standing.EMPTY
        assert view.headline == "Nothing was scanned, so nothing can be said."
        assert [environment.targets for environment in view.environments] == [0, 0, 0]


def test_matrix_counts_every_verdict_once(view: ReportView) -> None:
    record = judged_record(4).record
    counted = sum(
        (Counter(structs.asdict(cell) | {"worst": 0}) for item in view.environments for cell in item.goals.values()),
        Counter(),
    )
    assert sum(counted.values()) == len(record.verdicts)
    assert counted["failed"] == sum(
        item.counts_as_failure and item.severity is not Severity.INFO for item in record.verdicts
    )


def test_every_failure_is_in_one_cause(view: ReportView) -> None:
    failing = Counter(
        (item.rule, item.reason) for item in judged_record(4).record.verdicts if item.status is Status.FAIL
    )
    shown = Counter()
    for cause in (*view.causes, *view.notes, *view.waived_causes):
        for occurrence in (*cause.occurrences, *cause.waived):
            shown[cause.rule, cause.reason] += max(len(occurrence.targets), len(occurrence.subjects))
    assert shown == failing


def test_causes_come_worst_first(view: ReportView) -> None:
    ranks = [cause.severity.rank for cause in view.causes]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] > ranks[-1]


def test_anchors_are_unique(view: ReportView) -> None:
    anchors = [cause.anchor for cause in (*view.causes, *view.notes, *view.waived_causes)]
    anchors += [target.ref.anchor for target in view.targets]
    anchors += [environment.anchor for environment in view.environments]
    anchors += [matrix.anchor for matrix in view.matrices]
    anchors += [certificate.anchor for certificate in view.certificates]
    assert len(anchors) == len(set(anchors))


def test_anchors_of_ids_that_differ_in_signs_alone_are_told_apart() -> None:
    record = sample_record()
    first = record.targets[0]
    twin = dataclasses.replace(first, id=first.id.replace("/", "-"))
    index = Index.of(RunRecord(record.run, (first, twin)))
    assert index.ref(first).anchor != index.ref(twin).anchor


class TestFoundSentence:
    def test_same_message(self) -> None:
        rule = all_rules()["cipher.no-rc4"]
        assert found_sentence(rule, "accepted", ["A.", "A."]) == "A."

    def test_what_differs_at_the_end_is_left_out(self) -> None:
        rule = all_rules()["cipher.no-rc4"]
        messages = [f"Cipher suites with RC4 are accepted: {name}." for name in ("A", "B")]
        assert found_sentence(rule, "accepted", messages) == "Cipher suites with RC4 are accepted."

    def test_what_differs_inside_becomes_an_ellipsis(self) -> None:
        rule = all_rules()["cert.lifetime"]
        messages = [
            f"The certificate's lifetime is {days} days; at most 398 days were allowed when it was issued."
            for days in (500, 900)
        ]
        expected = "The certificate's lifetime is …; at most 398 days were allowed when it was issued."
        assert found_sentence(rule, "too-long", messages) == expected

    def test_paths(self) -> None:
        rule = all_rules()["https.path"]
        messages = [f"{path} is served over plain HTTP: {path}. HTTPS is required by x." for path in ("/a", "/b")]
        assert found_sentence(rule, "served-in-plain", messages) == "A path is served over plain HTTP."

    def test_reason_of_a_version_that_is_gone(self) -> None:
        assert found_sentence(None, "whatever", ["As it was.", "Other."]) == "As it was."


def test_waivers_tell_what_became_of_them(view: ReportView) -> None:
    found = {item.rule: item for item in view.waivers}
    assert (found["cert.trusted"].failures, found["cert.trusted"].expired) == (1, False)
    assert (found["proto.no-tls1.0"].failures, found["proto.no-tls1.0"].expired) == (1, True)
    assert (found["cert.key"].failures, found["cert.key"].expired) == (0, False)


def test_expired_waiver_does_not_waive(view: ReportView) -> None:
    assert any(cause.rule == "proto.no-tls1.0" for cause in view.causes)


def test_unreachable_target_is_one_line(view: ReportView) -> None:
    (unreachable,) = view.unreachables
    assert unreachable.reason == "the name does not resolve"
    assert [target.label for target in unreachable.targets] == ["gone.test.example.com:443"]
    assert all(unreachable.targets[0] not in gap.targets for gap in view.gaps)


def test_every_indeterminate_verdict_of_a_reached_target_is_in_a_gap(view: ReportView) -> None:
    expected = sum(
        item.status is Status.INDETERMINATE
        for target in judged_record(4).record.targets
        if target.status is not TargetStatus.UNREACHABLE
        for item in target.verdicts
    )
    assert sum(gap.checks for gap in view.gaps) == expected > 0


def test_reason_in_words() -> None:
    assert reason_in_words("It could not be observed: timed-out (5 s).") == "no answer came in time (5 s)"
    assert reason_in_words("Something else.") == "Something else"


def test_appendix_has_every_target(view: ReportView) -> None:
    assert [item.ref.id for item in view.targets] == [item.id for item in judged_record(4).record.targets]


def test_trend_counts_as_the_tally_does() -> None:
    frame = pd.DataFrame(
        {
            "run_id": ["a", "a", "a", "b", "b"],
            "run_started_at": [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 1, 1, 2, 2)],
            "environment": ["prod"] * 5,
            "status": ["fail", "fail", "pass", "fail", "indeterminate"],
            "severity": ["high", "info", "low", "low", "low"],
            "waived": [False, False, False, True, False],
            "verdicts": [3, 1, 4, 1, 5],
        }
    )
    first, second = trend_of(frame)
    assert (first.run_id, first.failed, first.passed, first.waived) == ("a", 3, 4, 0)
    assert (second.run_id, second.failed, second.indeterminate, second.waived) == ("b", 0, 5, 1)
    assert trend_of(frame.iloc[:0]) == ()


def test_options_are_carried() -> None:
    options = ReportOptions(title="Quarterly report", organisation="Example Ltd", classification="Internal")
    assert view_of(sample_record(), options=options).options == options


def test_build_leaves_the_record_alone() -> None:
    record = judged_record(4).record
    before = repr(record)
    view_of(record)
    assert repr(record) == before
