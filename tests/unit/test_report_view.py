"""The view counts, groups and words verdicts, and leaves them as they are."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, date, datetime

import pandas as pd
import pytest
from lxml import html

from reports.language import language_of, speaking
from reports.render import render_html
from reports.view import ReportOptions, ReportView, Standing, Tally, build_view, trend_of
from reports.view.actions import WAIVER_NOTICE_DAYS
from reports.view.causes import found_sentence
from reports.view.certificates import issuer_name
from reports.view.clause_model import ClauseOutcome
from reports.view.enforcement_settings import setting_in_words
from reports.view.index import Index, is_failure, tally
from reports.view.model import ActionKind, ChangeKind
from reports.view.sentences import reason_in_words, retell
from scanner.evidence import Attempt, FailureReason
from scanner.history.attribution import ChangeCause
from scanner.history.diff import diff
from scanner.inventory import (
    Application,
    ApplicationKind,
    Console,
    DomainKey,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    Integration,
    IntegrationKind,
    PathSetting,
    Role,
)
from scanner.ownership import Ownership
from scanner.policy import Policy, PolicyRule
from scanner.requirements import requirements_of
from scanner.rules import all_rules
from scanner.verdict import AppliedWaiver, Goal, RunRecord, Severity, Source, Status, TargetStatus, Trigger, Verdict
from scanner.waiver import Waiver
from tests.build.judged import judged_record, judged_view
from tests.build.records import sample_record


def view_of(record: RunRecord, **more: object) -> ReportView:
    return build_view(record, rules=all_rules(), **more)  # type: ignore[arg-type]  # passed through


@pytest.fixture(scope="module")
def view() -> ReportView:
    return judged_view()


def verdict(status: Status = Status.PASS, severity: Severity = Severity.MEDIUM, **more: object) -> Verdict:
    return Verdict("proto.tls1.3", Goal.ENCRYPTION, status, severity, "offered", "It does.", **more)  # type: ignore[arg-type]  # passed through


def record_with(*verdicts: Verdict, **run: object) -> RunRecord:
    record = sample_record()
    target = dataclasses.replace(record.targets[0], verdicts=verdicts)
    return RunRecord(
        dataclasses.replace(record.run, **{"environments": ("production",), "expected_targets": 1, **run}), (target,)
    )


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
        (
            Counter(dataclasses.asdict(cell) | {"worst": 0})
            for item in view.environments
            for cell in item.goals.values()
        ),
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
            f"The certificate lives {days} days; at most 398 days were allowed when it was issued."
            for days in (500, 900)
        ]
        expected = "The certificate lives …; at most 398 days were allowed when it was issued."
        assert found_sentence(rule, "too-long", messages) == expected

    def test_paths(self) -> None:
        rule = all_rules()["https.path"]
        messages = [f"{path} is served over plain HTTP: {path}. HTTPS is demanded by x." for path in ("/a", "/b")]
        assert found_sentence(rule, "served-in-plain", messages) == "A path is served over plain HTTP."

    def test_reason_of_a_version_that_is_gone(self) -> None:
        assert found_sentence(None, "whatever", ["As it was.", "Other."]) == "As it was."


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


class TestCertificates:
    def test_each_once_and_soonest_first(self, view: ReportView) -> None:
        fingerprints = [item.fingerprint for item in view.certificates]
        assert len(fingerprints) == len(set(fingerprints))
        ends = [item.not_after for item in view.certificates]
        assert ends == sorted(ends)

    def test_shared_certificate_lists_every_target(self, view: ReportView) -> None:
        shop = next(item for item in view.certificates if item.name == "shop.example.com")
        assert len(shop.targets) == 2
        assert shop.days_left == 56

    def test_shared_key_is_said(self) -> None:
        view = view_of(sample_record(0))
        shared = {item.name for item in view.certificates if item.key_shared}
        assert shared == {"shop.example.com", "*.test.example.com"}

    def test_issuer_name(self) -> None:
        assert issuer_name("CN=R11,O=Let's Encrypt,C=US") == "R11, Let's Encrypt"
        assert issuer_name("CN=Example Issuing CA 1,O=Example Trust") == "Example Issuing CA 1"
        assert issuer_name(r"O=Acme\, Inc.") == "Acme, Inc."


class TestEnforcementMatrix:
    def test_says_requirement_and_observation(self, view: ReportView) -> None:
        rows = {row.place: row for matrix in view.matrices for row in matrix.rows}
        row = rows["api.test.example.com:443/"]
        assert row.requirement == "HTTPS; HTTP may only redirect"
        assert row.over_http == "200"
        assert (row.status, row.rule) == (Status.FAIL, "https.redirect")
        assert row.anchor in {cause.anchor for cause in view.causes}

    def test_same_place_at_several_addresses_is_one_row(self, view: ReportView) -> None:
        rows = [row for matrix in view.matrices for row in matrix.rows if row.place == "shop.example.com:443/"]
        assert [len(row.targets) for row in rows] == [2]

    def test_rows_of_one_place_say_at_which_address(self) -> None:
        judged = judged_record(4)
        targets = tuple(
            dataclasses.replace(
                target,
                evidence=dataclasses.replace(target.evidence, http=Attempt.failed(FailureReason.DEADLINE)),
            )
            if target.ip == "192.0.2.11" and target.evidence
            else target
            for target in judged.record.targets
        )
        view = view_of(dataclasses.replace(judged.record, targets=targets), environments=judged.environments)
        rows = [row for matrix in view.matrices for row in matrix.rows if row.place == "shop.example.com:443/"]
        assert [(row.only_at, row.over_http == "not seen") for row in rows] == [
            (("192.0.2.10",), False),
            (("192.0.2.11",), True),
        ]

    def test_each_console_is_called_by_its_own_role(self) -> None:
        judged = judged_record(4)
        consoles = (Console(Role.MONITORING, ("/ServiceCenter",)), Console(Role.DEVELOPMENT, ("/ServiceStudio",)))
        environments = {
            name: dataclasses.replace(
                item,
                endpoints=tuple(
                    dataclasses.replace(each, consoles=consoles if each.host == "shop.example.com" else ())
                    for each in item.endpoints
                ),
            )
            for name, item in judged.environments.items()
        }
        view = view_of(judged.record, environments=environments)
        called = {row.place: row.application for matrix in view.matrices for row in matrix.rows}
        assert called["shop.example.com:443/ServiceCenter"] == "monitoring console"
        assert called["shop.example.com:443/ServiceStudio"] == "development endpoint"

    def test_mail_server_has_no_plain_http(self, view: ReportView) -> None:
        row = next(row for matrix in view.matrices for row in matrix.rows if row.place == "mail.example.com:25")
        assert (row.requirement, row.over_http) == ("TLS by STARTTLS (smtp)", "")

    def test_without_configuration_requirements_stay_unsaid(self) -> None:
        view = view_of(judged_record(4).record)
        rows = [row for matrix in view.matrices for row in matrix.rows if row.place.startswith("shop.example.com")]
        assert {row.requirement for row in rows} == {""}


def test_clauses_count_verdicts_of_their_rules(view: ReportView) -> None:
    (used,) = view.policies
    clause = next(item for item in used.clauses if (item.document, item.clause) == ("RFC 8996", "section 4"))
    assert [item.rule for item in clause.rules] == ["proto.no-tls1.0", "vuln.beast"]
    assert clause.outcome is ClauseOutcome.NOT_MET
    assert clause.tally.failed == 2
    assert clause.worst_target is not None
    assert clause.worst_target.label == "erp.example.internal:443"
    assert clause.url.startswith("https://www.rfc-editor.org/")


class TestOwners:
    def test_who_must_mend_is_the_owner_and_the_environment_where_nobody_is(self) -> None:
        record = judged_record(4).record
        erp = next(target.endpoint for target in record.targets if target.host == "erp.example.internal")
        whose = Ownership("erp-team", "erp@example.com", (("tier", "2"),))
        view = view_of(record, owners={erp: whose})
        for action in view.actions:
            if action.kind in {ActionKind.MEND, ActionKind.RENEW, ActionKind.REACH}:
                owners = {"erp-team" if ref.endpoint == erp else ref.environment for ref in action.targets}
                assert owners == {action.who}
                assert action.contact == ("erp@example.com" if action.who == "erp-team" else "")
        assert "erp-team" in {action.who for action in view.actions}
        assert view.whose == {erp: whose}
        everywhere = [ref for cause in view.causes for ref in cause.targets]
        assert view.whose_are(everywhere) == ("erp-team · erp@example.com · tier=2",)

    def test_of_targets_with_different_labels_only_the_owners_are_named_each_once(self) -> None:
        record = judged_record(4).record
        endpoints = list(dict.fromkeys(item.endpoint for item in record.targets))
        whose = {item: Ownership("all", labels=(("number", str(at)),)) for at, item in enumerate(endpoints)}
        view = view_of(record, owners=whose)
        assert view.whose_are(ref for cause in view.causes for ref in cause.targets) == ("all",)

    def test_one_owner_who_is_reached_in_two_ways_has_an_action_for_each(self) -> None:
        record = judged_record(4).record
        ways = {
            endpoint: f"way {number}"
            for number, endpoint in enumerate(dict.fromkeys(item.endpoint for item in record.targets))
        }
        view = view_of(record, owners={endpoint: Ownership("all", way) for endpoint, way in ways.items()})
        actions = [item for item in view.actions if item.kind is ActionKind.MEND]
        assert len({item.contact for item in actions}) > 1
        for action in actions:
            assert {ways[ref.endpoint] for ref in action.targets} == {action.contact}


class TestNothingContradicts:
    """What one chapter says is not denied by another."""

    @pytest.mark.parametrize("failing", [False, True])
    def test_what_is_not_required_does_not_apply_at_a_root_as_at_a_path(self, failing: bool) -> None:  # noqa: FBT001  # a parameter of the test
        judged = judged_record(4)
        target = next(item for item in judged.record.targets if item.host == "shop.example.com")
        open_paths = Application(
            "Shop", ApplicationKind.TRADITIONAL_WEB, https=HttpsLevel.NONE, paths=(PathSetting("/p", HttpsLevel.NONE),)
        )
        environments = {
            name: dataclasses.replace(
                item,
                hsts=False,
                force_https_screens=False,
                endpoints=tuple(dataclasses.replace(each, applications=(open_paths,)) for each in item.endpoints),
            )
            for name, item in judged.environments.items()
        }
        first = next(item for item in target.verdicts if item.goal is Goal.ENFORCEMENT)
        calm = dataclasses.replace(first, subject="", status=Status.PASS, waiver=None)
        verdicts = (
            dataclasses.replace(calm, rule="https.active", status=Status.FAIL if failing else Status.PASS),
            dataclasses.replace(
                calm, rule="https.redirect", status=Status.NOT_APPLICABLE, reason="not-required", message="Not here."
            ),
            dataclasses.replace(
                calm, rule="https.path", subject="/p", status=Status.NOT_APPLICABLE, reason="not-required"
            ),
        )
        record = dataclasses.replace(judged.record, targets=(dataclasses.replace(target, verdicts=verdicts),))
        view = view_of(record, environments=environments)
        rows = {row.place: row for matrix in view.matrices for row in matrix.rows}
        root, path = rows["shop.example.com:443/"], rows["shop.example.com:443/p"]
        assert root.requirement == path.requirement == "HTTP or HTTPS"
        assert path.status is Status.NOT_APPLICABLE
        assert root.status is (Status.FAIL if failing else Status.NOT_APPLICABLE)
        assert root.rule == ("https.active" if failing else "https.redirect")

    @pytest.mark.parametrize("night", [1, 4])
    def test_no_place_is_met_beside_a_finding_of_enforcement(self, night: int) -> None:
        judged = judged_record(night)
        view = view_of(judged.record, environments=judged.environments)
        failing = {
            target.id
            for target in judged.record.targets
            for item in target.verdicts
            if item.goal is Goal.ENFORCEMENT and is_failure(item)
        }
        assert failing
        rows = [row for matrix in view.matrices for row in matrix.rows]
        not_met = {ref.id for row in rows if row.status is Status.FAIL for ref in row.targets}
        assert failing <= not_met

    @pytest.mark.parametrize("rule", ["https.redirect-permanent", "https.hsts-max-age", "https.secure-cookies"])
    def test_every_rule_of_enforcement_has_a_row(self, rule: str) -> None:
        judged = judged_record(4)
        target = next(item for item in judged.record.targets if item.host == "shop.example.com")
        calm = tuple(dataclasses.replace(item, status=Status.PASS, waiver=None) for item in target.verdicts)
        failing = tuple(
            dataclasses.replace(item, status=Status.FAIL, severity=Severity.LOW) if item.rule == rule else item
            for item in calm
        )
        record = dataclasses.replace(judged.record, targets=(dataclasses.replace(target, verdicts=failing),))
        view = view_of(record, environments=judged.environments)
        rows = [row for matrix in view.matrices for row in matrix.rows if row.status is Status.FAIL]
        assert [row.rule for row in rows] == [rule]

    @pytest.mark.parametrize(
        ("answered", "expected"),
        [
            (["%(path)s"], ["%(path)s"]),
            (["/", "%(path)s"], ["/", "%(path)s"]),
            (["/"], ["/"]),
            (["/of/no/row", "/x%(path)s"], ["/"]),
        ],
    )
    def test_what_a_back_end_serves_in_plain_stands_where_it_does(
        self, answered: list[str], expected: list[str]
    ) -> None:
        judged = judged_record(4)
        target = next(item for item in judged.record.targets if item.host == "shop.example.com")
        environment = judged.environments[target.environment]
        endpoint = next(item for item in environment.endpoints if item.host == target.host)
        path = next(item.path for item in requirements_of(environment, endpoint) if item.path != "/")
        calm = [dataclasses.replace(item, status=Status.PASS, waiver=None) for item in target.verdicts]
        served = dataclasses.replace(
            next(item for item in calm if item.goal is Goal.ENFORCEMENT),
            rule="https.always",
            subject="",
            status=Status.FAIL,
            severity=Severity.CRITICAL,
            observed=", ".join(f"{item % {'path': path}}: 200 application/json" for item in answered),
        )
        verdicts = (*(item for item in calm if item.rule != "https.always"), served)
        record = dataclasses.replace(judged.record, targets=(dataclasses.replace(target, verdicts=verdicts),))
        view = view_of(record, environments=judged.environments)

        found = [row.place for matrix in view.matrices for row in matrix.rows if row.status is Status.FAIL]
        assert found == [target.address + item % {"path": path} for item in expected]

    def test_a_certificate_that_ended_is_one_finding(self) -> None:
        ended = dict.fromkeys(("cert.valid-now", "cert.expiry"), "expired")
        verdicts = [
            dataclasses.replace(judged_as(rule, Status.FAIL), reason=reason, subject="aa")
            for rule, reason in ended.items()
        ]
        assert [cause.rule for cause in view_of(record_with(*verdicts)).causes] == ["cert.valid-now"]
        assert [cause.rule for cause in view_of(record_with(verdicts[1])).causes] == ["cert.expiry"]

    def test_every_line_that_can_decide_has_words(self) -> None:
        kinds = (ApplicationKind.PWA, ApplicationKind.TRADITIONAL_WEB)
        applications = tuple(
            Application(
                f"{kind}-{forced}",
                kind,
                https=HttpsLevel.TLS if forced else HttpsLevel.NONE,
                force_https_screens=forced,
                force_https_integrations=forced,
                paths=(PathSetting("/p", HttpsLevel.TLS),),
                integrations=(Integration("/i", IntegrationKind.REST, HttpsLevel.TLS),),
            )
            for kind in kinds
            for forced in (True, False)
        )
        lines = set()
        settings_said: dict[str, str] = {}
        for settings in ({}, {"hsts": True}, {"force_https_screens": True}, {"force_https_integrations": True}):
            for role, implied_by in (
                (Role.APPLICATION, None),
                (Role.MONITORING, None),
                (Role.APPLICATION, DomainKey.DEFAULT),
            ):
                for found in ((), *((item,) for item in applications)):
                    endpoint = Endpoint("e", "a.example", 443, role, 80, None, found, implied_by=implied_by)
                    environment = Environment("e", EnvironmentKind.PAAS, (endpoint,), **settings)  # type: ignore[arg-type]  # passed through
                    for item in requirements_of(environment, endpoint):
                        lines |= {item.decided_by, *item.overridden}
                        settings_said[item.decided_by] = item.setting
        assert len(lines) > 12
        assert [line for line in lines if setting_in_words(line) == line] == []
        assert {line: setting_in_words(line) for line in settings_said} == settings_said, "as the rules say it"
        with speaking(language_of("pt")):
            said = {line: setting_in_words(line) for line in settings_said}
            assert {line: setting_in_words(words) for line, words in settings_said.items()} == said
        assert not set(said.values()) & set(settings_said.values())

    def test_the_matrix_says_settings_in_words(self) -> None:
        """Whoever reads the report does not have the configuration: no row quotes a line of it."""
        rows = [row for matrix in judged_view().matrices for row in matrix.rows]
        said = {row.decided_by for row in rows if row.decided_by}
        assert said
        assert not [text for text in said if "[[" in text or " = " in text]
        assert not [row.explanation for row in rows if "[[" in row.explanation]

    def test_what_an_older_version_quoted_is_said_in_words(self) -> None:
        rule = all_rules()["https.path"]
        text = "/a is served over plain HTTP: HTTP 200. HTTPS is demanded by [[environment]] e: hsts = true."
        assert retell(rule, "served-in-plain", text) == text.replace(
            "[[environment]] e: hsts = true", "environment e: HSTS for every page"
        )
        with speaking(language_of("pt")):
            now = text.replace("[[environment]] e: hsts = true", "environment e: HSTS for every page")
            assert retell(rule, "served-in-plain", text) == retell(rule, "served-in-plain", now)
            assert "ambiente e: " in retell(rule, "served-in-plain", now)


def judged_as(rule: str, status: Status, reason: str = "", **more: object) -> Verdict:
    return dataclasses.replace(
        verdict(status, **{"sources": ("Ours 1 section 1",), **more}),  # type: ignore[arg-type]  # passed through
        rule=rule,
        reason=reason or status.value,
    )


class TestClauseOutcomes:
    """Each outcome from the verdicts of its rules; what nobody looked at is never met."""

    @pytest.mark.parametrize(
        ("verdicts", "expected"),
        [
            ([("a", Status.PASS, "")], ClauseOutcome.MET),
            ([("a", Status.PASS, ""), ("b", Status.NOT_APPLICABLE, "")], ClauseOutcome.MET),
            ([("a", Status.PASS, ""), ("b", Status.NOT_APPLICABLE, "not-asked")], ClauseOutcome.PARTLY_LOOKED_AT),
            ([("a", Status.PASS, ""), ("b", Status.NOT_APPLICABLE, "not-stated")], ClauseOutcome.PARTLY_LOOKED_AT),
            ([("a", Status.PASS, ""), ("a", Status.INDETERMINATE, "")], ClauseOutcome.PARTLY_LOOKED_AT),
            ([("a", Status.NOT_APPLICABLE, ""), ("b", Status.INDETERMINATE, "")], ClauseOutcome.NOT_LOOKED_AT),
            ([("a", Status.NOT_APPLICABLE, "not-asked")], ClauseOutcome.NOT_LOOKED_AT),
            ([("a", Status.INDETERMINATE, "")], ClauseOutcome.NOT_LOOKED_AT),
            ([("a", Status.NOT_APPLICABLE, "")], ClauseOutcome.NOT_APPLICABLE),
            ([("a", Status.FAIL, ""), ("b", Status.INDETERMINATE, "")], ClauseOutcome.NOT_MET),
        ],
    )
    def test_from_verdicts(self, verdicts: list[tuple[str, Status, str]], expected: ClauseOutcome) -> None:
        view = view_of(record_with(*(judged_as(*item) for item in verdicts)))
        (clause,) = view.policies[0].clauses
        assert clause.outcome is expected
        assert clause.looked_at is (expected is not ClauseOutcome.NOT_LOOKED_AT)

    def test_what_is_only_advised_is_not_met_and_stands_apart(self) -> None:
        advised = judged_as("a", Status.FAIL, severity=Severity.INFO)
        (clause,) = view_of(record_with(advised, judged_as("b", Status.PASS))).policies[0].clauses
        assert clause.outcome is ClauseOutcome.ADVISED
        assert [item.rule for item in clause.of(ClauseOutcome.ADVISED)] == ["a"]
        assert [item.rule for item in clause.of(ClauseOutcome.MET)] == ["b"]
        assert (clause.tally.failed, clause.tally.notes) == (0, 1)

    def test_a_waived_failure_is_waived(self) -> None:
        waived = judged_as("a", Status.FAIL, waiver=AppliedWaiver("planned", "team", date(2026, 12, 1)))
        (clause,) = view_of(record_with(waived, judged_as("b", Status.PASS))).policies[0].clauses
        assert clause.outcome is ClauseOutcome.WAIVED

    def test_two_clauses_in_one_source_have_each_their_own_outcome(self) -> None:
        both = judged_as("a", Status.FAIL, sources=("Ours 1 section 1; section 2",))
        policies = {"production": _listing("section 1; section 2", "section 2 (unverified)")}
        record = record_with(both, judged_as("b", Status.PASS, sources=("Ours 1 section 2 (unverified)",)))
        record = dataclasses.replace(
            record,
            targets=tuple(dataclasses.replace(item, policy=policies["production"].ref) for item in record.targets),
        )
        view = view_of(record, policies=policies)
        found = {item.clause: ([rule.rule for rule in item.rules], item.verified) for item in view.policies[-1].clauses}
        assert found == {"section 1": (["a"], True), "section 2": (["a", "b"], False)}


def _listing(*clauses: str) -> Policy:
    """A policy whose rules `a`, `b`, … have these clauses of one document."""
    listed = {
        name: PolicyRule(name, sources=(Source("Ours", clause, "1"),))
        for name, clause in zip("abc", clauses, strict=False)
    }
    return Policy("ours", "Ours", "1", date(2026, 1, 1), "", "", listed)


def test_a_rule_that_the_policy_lists_and_nobody_judged_is_not_looked_at() -> None:
    policy = _listing("section 1", "section 2")
    record = record_with(judged_as("a", Status.PASS))
    record = dataclasses.replace(
        record, targets=tuple(dataclasses.replace(item, policy=policy.ref) for item in record.targets)
    )
    (used,) = (item for item in view_of(record, policies={"production": policy}).policies if item.ref == policy.ref)
    assert {item.clause: item.outcome for item in used.clauses} == {
        "section 1": ClauseOutcome.MET,
        "section 2": ClauseOutcome.NOT_LOOKED_AT,
    }
    assert (used.named, used.looked_at) == (2, 1)


@pytest.mark.parametrize("name", ["pci-dss-4.0.1", "nist-sp800-52r2"])
def test_a_standard_says_on_page_one_how_much_of_it_was_seen(name: str) -> None:
    judged = judged_record(4, name)
    view = view_of(judged.record, policies=judged.policies)
    (used,) = view.policies
    assert 0 < used.looked_at < len(used.clauses) < used.named
    page = html.fromstring(render_html(view)).get_element_by_id("summary").text_content()
    said = f"{used.named} clauses named, {len(used.clauses)} can be seen from outside, {used.looked_at} looked at."
    assert said in " ".join(page.split())
    assert f"{used.unverified} clauses are unverified" in page


def test_revocation_without_a_staple_is_not_looked_at_and_its_clause_not_met() -> None:
    judged = judged_record(4, "pci-dss-4.0.1")
    (used,) = view_of(judged.record, policies=judged.policies).policies
    clause = next(item for item in used.clauses if item.clause.startswith("requirement 4.2.1, valid certificates"))
    assert clause.outcome not in {ClauseOutcome.MET, ClauseOutcome.NOT_APPLICABLE}
    revocation = next(item for item in clause.rules if item.rule == "cert.revocation")
    assert revocation.outcome in {ClauseOutcome.NOT_LOOKED_AT, ClauseOutcome.PARTLY_LOOKED_AT}


def test_what_was_not_asked_is_told_with_its_reason() -> None:
    asked = dataclasses.replace(
        judged_as("a", Status.NOT_APPLICABLE, "not-asked"), message="It was not asked: --skip a."
    )
    view = view_of(record_with(asked, judged_as("b", Status.PASS)))
    (gap,) = view.unasked
    assert (gap.rules, gap.checks) == (("a",), 1)
    assert view.gaps == ()
    chapter = html.fromstring(render_html(view)).get_element_by_id("coverage").text_content()
    assert "Asking was not allowed, or there was no one to ask." in chapter
    assert "Every check that applies gave an answer." not in chapter


def test_clauses_sort_as_people_count(view: ReportView) -> None:
    names = [item.clause for item in view.policies[0].clauses if item.document == "RFC 9325"]
    assert names.index("section 3.9") < names.index("section 3.10")


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
