"""Clauses of standards, as the report's view has them."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest
from lxml import html

from reports.render import render_html
from reports.view import ReportView
from reports.view.clause_model import ClauseOutcome
from scanner.policy import Policy, PolicyRule
from scanner.verdict import AppliedWaiver, Severity, Source, Status
from tests.build.judged import judged_record, judged_view
from tests.build.views import judged_as, record_with, view_of


@pytest.fixture(scope="module")
def view() -> ReportView:
    return judged_view()


def test_clauses_count_verdicts_of_their_rules(view: ReportView) -> None:
    (used,) = view.policies
    clause = next(item for item in used.clauses if (item.document, item.clause) == ("RFC 8996", "section 4"))
    assert [item.rule for item in clause.rules] == ["proto.no-tls1.0", "vuln.beast"]
    assert clause.outcome is ClauseOutcome.NOT_MET
    assert clause.tally.failed == 2
    assert clause.worst_target is not None
    assert clause.worst_target.label == "erp.example.internal:443"
    assert clause.url.startswith("https://www.rfc-editor.org/")


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
    said = f"{used.named} clauses named, {len(used.clauses)} can be seen from outside, {used.looked_at} checked."
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
        judged_as("a", Status.NOT_APPLICABLE, "not-asked"), message="It was left out by --skip a."
    )
    view = view_of(record_with(asked, judged_as("b", Status.PASS)))
    (gap,) = view.unasked
    assert (gap.rules, gap.checks) == (("a",), 1)
    assert view.gaps == ()
    chapter = html.fromstring(render_html(view)).get_element_by_id("coverage").text_content()
    assert "The query was not allowed, or there was nothing to query." in chapter
    assert "Every check that applies gave an answer." not in chapter


def test_clauses_sort_as_people_count(view: ReportView) -> None:
    names = [item.clause for item in view.policies[0].clauses if item.document == "RFC 9325"]
    assert names.index("section 3.9") < names.index("section 3.10")
