"""Records of a few verdicts, and the report's view of them."""

from __future__ import annotations

import dataclasses

from reports.view import ReportView, build_view
from scanner.rules import all_rules
from scanner.verdict import Goal, RunRecord, Severity, Status, Verdict
from tests.build.records import sample_record


def view_of(record: RunRecord, **more: object) -> ReportView:
    return build_view(record, rules=all_rules(), **more)  # type: ignore[arg-type]  # passed through


def verdict(status: Status = Status.PASS, severity: Severity = Severity.MEDIUM, **more: object) -> Verdict:
    return Verdict("proto.tls1.3", Goal.ENCRYPTION, status, severity, "offered", "It does.", **more)  # type: ignore[arg-type]  # passed through


def record_with(*verdicts: Verdict, **run: object) -> RunRecord:
    record = sample_record()
    target = dataclasses.replace(record.targets[0], verdicts=verdicts)
    return RunRecord(
        dataclasses.replace(record.run, **{"environments": ("production",), "expected_targets": 1, **run}), (target,)
    )


def judged_as(rule: str, status: Status, reason: str = "", **more: object) -> Verdict:
    return dataclasses.replace(
        verdict(status, **{"sources": ("Ours 1 section 1",), **more}),  # type: ignore[arg-type]  # passed through
        rule=rule,
        reason=reason or status.value,
    )
