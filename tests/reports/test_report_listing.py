"""Paper over many targets: those that came out alike stand together, and every one is named with how it stands."""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
from functools import cache
from pathlib import Path

import pikepdf
import pytest
from msgspec import structs
from page import ValidationProfile, validate_pdf_bytes

from reports.layout import DENSE_PAPER, MANY_TARGETS, PAPER, SUMMARY_PAPER, TOO_MANY_TARGETS, paper_for
from reports.render import Attachment, ReportProof, render_pdf
from reports.view import ReportView, build_view
from reports.view.listing import LINE, anchors_of, groups_of, in_columns
from reports.wording import GOAL_LETTERS
from scanner.rules import all_rules
from scanner.verdict import Goal, Severity, TargetStatus
from tests.build.judged import judged_record
from tests.build.many import many
from tests.build.servers import program

pytestmark = pytest.mark.xdist_group("report-listing")

COUNT = MANY_TARGETS + 1


@cache
def view() -> ReportView:
    judged = many(judged_record(4), COUNT)
    unseen = dataclasses.replace(judged.record.targets[0], evidence=None, grade=None)
    record = dataclasses.replace(judged.record, targets=(unseen, *judged.record.targets[1:]))
    return build_view(record, rules=all_rules(), environments=judged.environments, policies=judged.policies)


@pytest.fixture(scope="module")
def pdf() -> bytes:
    attached = Attachment("run.json", b"{}", "The run, as data")
    return render_pdf(view(), proof=ReportProof("run.json", "ab" * 32), attachments=[attached])


@pytest.fixture(scope="module")
def text(pdf: bytes, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("paper") / "report.pdf"
    path.write_bytes(pdf)
    command = [program("pdftotext", "poppler-utils"), "-layout", str(path), "-"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return told[told.rindex("Appendix: every target", 0, told.index("named here")) :]


def test_every_target_is_named_with_its_grade_and_the_end_of_its_certificate(text: str) -> None:
    for target in view().targets:
        ends = f"{target.certificate.not_after:%Y-%m-%d}" if target.certificate else ""
        assert re.search(rf"{re.escape(target.ref.label)} {re.escape(target.grade or '–')} *{ends}", text), target.ref


def test_what_stands_above_a_name_is_how_the_target_stands(text: str) -> None:
    words = {"failed": "Not compliant", "unknown": "Not fully assessed", "compliant": "Compliant"}
    for target in view().targets:
        before = text[: text.index(f"{target.ref.label} ")]
        assert (
            re.findall(r"(Not compliant|Not fully assessed|Compliant)(?= \d+ targets?)", before)[-1]
            == (words[target.total.standing])
        )


def test_all_are_counted_and_the_rest_of_the_record_is_pointed_to(text: str) -> None:
    plain = " ".join(text.split())
    assert f"All {COUNT} targets are named here" in plain
    verdicts = view().total.judged + view().total.not_applicable
    assert f"Each of the {verdicts:,} verdicts, with what was observed, is in the attached data" in plain


@pytest.mark.parametrize(
    "profile", [ValidationProfile.PDF_A_3A, ValidationProfile.PDF_UA_1], ids=["PDF/A-3a", "PDF/UA-1"]
)
def test_it_claims_nothing_that_a_validator_finds_false(pdf: bytes, profile: ValidationProfile) -> None:
    report = validate_pdf_bytes(pdf, profile=profile)
    assert [f"{failure.rule_id}: {failure.message}" for failure in report.failures] == []


def test_findings_lead_to_the_group_that_names_a_target(pdf: bytes) -> None:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        names = {str(name) for name in list(document.Root.Names.Dests.Names)[::2]}
        links = {str(link.Dest) for page in document.pages for link in page.get("/Annots", ()) if "/Dest" in link}
    groups = {group.anchor for group in groups_of(view().targets)}
    assert groups <= names
    assert groups & links
    assert links <= names


class TestGroups:
    def test_each_target_is_in_one(self) -> None:
        named = [target.ref.id for group in groups_of(view().targets) for target in group.targets]
        assert len(named) == COUNT
        assert set(named) == {target.ref.id for target in view().targets}

    def test_what_is_said_of_one_holds_for_all_of_it(self) -> None:
        for group in groups_of(view().targets):
            for target in group.targets:
                assert target.total.standing is group.standing
                assert target.ref.environment == group.environment
                failed = {
                    rule
                    for severity, rule, *_, waived in target.failures
                    if not waived and severity is not Severity.INFO
                }
                assert failed == {rule for rule, number in group.failed}
                assert {number for _, number in group.failed} <= {len(group.targets)}
                for goal in Goal:
                    assert group.marks[goal].lstrip("✗?~✓–") in {"", str(target.goals[goal].failed)}

    def test_of_too_many_kinds_those_are_together_that_stand_alike(self) -> None:
        groups = groups_of(view().targets, most=3)
        assert 3 < len(groups) < len(groups_of(view().targets))
        for group in groups:
            failing = [
                {rule for severity, rule, *_ in target.failures if severity is not Severity.INFO}
                for target in group.targets
            ]
            for rule, number in group.failed:
                assert number == sum(rule in rules for rules in failing)
            assert {target.total.standing for target in group.targets} == {group.standing}

    def test_what_needs_attention_comes_first(self) -> None:
        order = ["failed", "unknown", "waived", "compliant", "empty"]
        for environment in {group.environment for group in groups_of(view().targets)}:
            standings = [group.standing for group in groups_of(view().targets) if group.environment == environment]
            assert standings == sorted(standings, key=order.index)

    def test_what_gave_no_answer_says_why(self) -> None:
        silent = structs.replace(view().targets[0], status=TargetStatus.UNREACHABLE, error="refused")
        groups = groups_of([silent, *view().targets[1:]])
        assert [group.error for group in groups if silent in group.targets] == ["refused"]
        assert all(not group.error for group in groups if silent not in group.targets)

    def test_links_lead_to_the_group_of_a_target(self) -> None:
        groups = groups_of(view().targets)
        anchors = anchors_of(groups)
        for group in groups:
            assert {anchors[target.ref.anchor] for target in group.targets} == {group.anchor}
        assert set(GOAL_LETTERS) == set(groups[0].marks)


class TestColumns:
    @pytest.mark.parametrize("size", [3, 20, 50, LINE, LINE + 30])
    def test_no_line_is_longer_than_there_is_room(self, size: int) -> None:
        names = [f"{'n' * (size - 3)}{number:03}" for number in range(95)]
        lines = "\n".join(in_columns([(name, "B  2026-01-01") for name in names])).splitlines()
        assert "\n".join(lines).split() == [word for name in names for word in (name, "B", "2026-01-01")]
        assert all(len(line) <= LINE or line.split()[0] == line[:size] for line in lines)
        assert (len(lines) < len(names)) == (2 * (size + 14) + 3 <= LINE)

    def test_of_nothing_is_nothing(self) -> None:
        assert list(in_columns([])) == []


@pytest.mark.parametrize(
    ("count", "layout"),
    [(MANY_TARGETS, PAPER), (COUNT, DENSE_PAPER), (TOO_MANY_TARGETS + 1, SUMMARY_PAPER)],
)
def test_small_reports_have_a_row_for_each_target(count: int, layout: object) -> None:
    targets = (view().targets * (count // COUNT + 1))[:count]
    assert paper_for(structs.replace(view(), targets=targets)) == layout
    assert PAPER.appendix
    assert DENSE_PAPER.appendix
    assert SUMMARY_PAPER.appendix


def test_an_owner_may_leave_the_list_out(tmp_path: Path) -> None:
    judged = many(judged_record(4), 3)
    few = build_view(judged.record, rules=all_rules(), environments=judged.environments, policies=judged.policies)
    path = tmp_path / "report.pdf"
    path.write_bytes(render_pdf(structs.replace(few, options=structs.replace(few.options, appendix=False))))
    command = [program("pdftotext", "poppler-utils"), str(path), "-"]
    told = " ".join(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert "The list of all 3 targets was left out" in told
