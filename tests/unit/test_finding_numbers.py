"""Findings have one number in a run: in the view, in the table and in the JSON, which lead to the same places."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest

from reports.export.csv import to_csv
from reports.export.json.v1 import report_of, to_json
from reports.view import build_view
from reports.view.numbering import numbers_of
from scanner.evidence import Failure, FailureReason, title_of_store
from scanner.rules import all_rules
from scanner.verdict import RunRecord, Severity, Status, TargetStatus
from tests.build.hostile import hostile_record
from tests.build.judged import judged_record

RULES = all_rules()
RECORDS = [judged_record(4).record, judged_record(1, "pci-dss-4.0.1").record, hostile_record()]


@pytest.mark.parametrize("record", RECORDS, ids=["sample", "pci", "hostile"])
class TestNumbers:
    def test_lead_from_the_report_to_the_data_and_back(self, record: RunRecord) -> None:
        view = build_view(record, rules=RULES)
        told = {cause.label: {ref.id for ref in cause.targets} for cause in (*view.causes, *view.notes)}
        assert list(told) == [f"F{number}" for number in range(1, len(told) + 1)]

        in_table: dict[str, set[str]] = {}
        for row in csv.DictReader(io.StringIO(to_csv(record), newline="")):
            if row["finding"] and not row["waiver_reason"]:
                in_table.setdefault(row["finding"], set()).add(row["target"].removeprefix("'"))
        assert in_table == told

        in_data: dict[str, set[str]] = {}
        for target in json.loads(to_json(record))["targets"]:
            for verdict in target["verdicts"]:
                if verdict["finding"] and not verdict["waiver"]:
                    in_data.setdefault(verdict["finding"], set()).add(target["id"])
        assert in_data == told

    def test_every_failure_has_one_unless_all_of_it_is_waived(self, record: RunRecord) -> None:
        for target in report_of(record).targets:
            for verdict in target.verdicts:
                if verdict.status == "fail" and verdict.waiver is None:
                    assert verdict.finding, verdict
                elif verdict.status != "fail":
                    assert verdict.finding is None


def test_what_only_informs_comes_after_all_that_counts() -> None:
    record = RECORDS[0]
    numbers = numbers_of(record).numbers
    notes = [number for (_, _, informs), number in numbers.items() if informs]
    assert notes
    assert min(notes) > max(number for (_, _, informs), number in numbers.items() if not informs)


def test_what_says_the_same_again_leads_to_the_finding_that_is_told() -> None:
    record = RECORDS[0]
    target = next(item for item in record.targets if item.status is TargetStatus.ASSESSED)
    base = dataclasses.replace(
        target.verdicts[0], status=Status.FAIL, severity=Severity.HIGH, reason="expired", subject="", waiver=None
    )
    ended, again = (dataclasses.replace(base, rule=rule) for rule in ("cert.valid-now", "cert.expiry"))
    both = dataclasses.replace(record, targets=(dataclasses.replace(target, verdicts=(again, ended)),))
    alone = dataclasses.replace(record, targets=(dataclasses.replace(target, verdicts=(again,)),))
    assert numbers_of(both).labels(both.targets[0]) == ("F1", "F1")
    assert [cause.rule for cause in build_view(both, rules=RULES).causes] == ["cert.valid-now"]
    assert [cause.rule for cause in build_view(alone, rules=RULES).causes] == ["cert.expiry"]


def test_a_run_without_verdicts_has_no_numbers() -> None:
    silent = Failure(FailureReason.TIMED_OUT, "no answer")
    targets = tuple(
        dataclasses.replace(item, status=TargetStatus.UNREACHABLE, error=silent, verdicts=())
        for item in RECORDS[0].targets
    )
    assert numbers_of(dataclasses.replace(RECORDS[0], targets=targets)).numbers == {}


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("mozilla", "mozilla"),
        ("system", "system"),
        ("/var/lib/scan-x1/ca.pem", "ca.pem"),
        ("conf/our ca.pem", "our ca.pem"),
        ("/", "/"),
        ("/etc/mozilla", "/etc/mozilla"),  # which is not Mozilla's
    ],
)
def test_a_trust_store_is_called_by_its_file(name: str, title: str) -> None:
    assert title_of_store(name) == title
