"""What a run says at its end: counts by the words used everywhere, the worst of it, and whom nobody reached."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta

import pytest
from msgspec import structs

from reports.render import render_html
from reports.view import build_view
from reports.wording import counted as said
from scanner.app.cli import run
from scanner.counting import counted
from scanner.evidence import Failure, FailureReason
from scanner.jobs.run import RunOutcome
from scanner.jobs.summary import summary
from scanner.rules import all_rules
from scanner.verdict import RunRecord, Severity, Status, TargetStatus
from scanner.waiver import Waiver
from tests.build.judged import judged_record

RECORD = judged_record(4).record


def lines_of(record: RunRecord) -> list[str]:
    return summary(RunOutcome(record, None)).splitlines()


def test_the_five_worst_findings_stand_at_the_end_as_the_report_numbers_them() -> None:
    lines = lines_of(RECORD)
    begin = lines.index("Worst:") + 1
    findings, places = lines[begin : begin + 10 : 2], lines[begin + 1 : begin + 10 : 2]

    causes = build_view(RECORD, rules=all_rules()).causes
    wanted = [f"  {cause.label} {cause.severity} {cause.rule}: " for cause in causes[:5]]
    assert [line[: len(start)] for line, start in zip(findings, wanted, strict=True)] == wanted
    assert [cause.label for cause in causes[:5]] == ["F1", "F2", "F3", "F4", "F5"]
    assert causes[0].severity is max(item.severity for item in RECORD.verdicts if item.counts_as_failure)
    assert all(re.match(r" {5}at \S+:\d+ \(", place) for place in places), places
    assert lines[begin + 10] == f"  and {len(causes) - 5} other findings"


def test_who_was_not_reached_is_named_with_the_reason() -> None:
    silent = Failure(FailureReason.TIMED_OUT, "no answer within 5 s")
    targets = tuple(
        dataclasses.replace(target, status=TargetStatus.UNREACHABLE, error=silent, verdicts=())
        for target in RECORD.targets
    )
    lines = lines_of(dataclasses.replace(RECORD, targets=targets))

    (told,) = lines[lines.index("Not reached:") + 1 :][:1]
    assert "no answer within 5 s" in told
    assert all(target.address in told for target in RECORD.targets)
    assert "Worst:" not in lines


def test_counts_are_told_by_the_words_that_stand_for_them_everywhere() -> None:
    target = dataclasses.replace(RECORD.targets[0], status=TargetStatus.ASSESSED)
    verdict = next(item for item in target.verdicts if item.status is Status.PASS)
    note = dataclasses.replace(verdict, status=Status.FAIL, severity=Severity.INFO)
    failure = dataclasses.replace(verdict, status=Status.FAIL, severity=Severity.LOW)
    one = dataclasses.replace(target, verdicts=(verdict, note, failure))
    record = dataclasses.replace(RECORD, targets=(one,))

    lines = lines_of(record)

    assert lines[0].startswith(f"Run {RECORD.run.id}: 1 target in ")
    assert "1 not met, 1 note, 0 waived, 0 not assessed, 1 met, 0 do not apply" in lines


def test_a_run_that_was_ended_says_how_far_it_came() -> None:
    cut = dataclasses.replace(RECORD.run, complete=False, expected_targets=12)

    assert f"It was ended when {len(RECORD.targets)} of 12 targets were done." in lines_of(
        dataclasses.replace(RECORD, run=cut)
    )


@pytest.mark.parametrize(("number", "expected"), [(0, "0 targets"), (1, "1 target"), (2, "2 targets")])
def test_one_is_not_many(number: int, expected: str) -> None:
    assert counted(number, "target") == expected
    assert said(number, "target") == expected, "reports say it alike"
    assert counted(number, "entry", "entries").endswith("entry" if number == 1 else "entries")


def test_config_check_counts_one_environment(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(
        '[[environment]]\nname = "e"\nkind = "on-premises"\n[[environment.endpoint]]\nhost = "a.example"\n'
    )

    assert run(["config", "check"]) == 0
    assert "1 environment, 1 endpoint, 0 applications, 0 schedules, 0 waivers: all is well." in capsys.readouterr().out


def worded(*waivers: Waiver) -> list[str]:
    outcome = structs.replace(RunOutcome(RECORD, None), waivers=waivers)
    return [line for line in summary(outcome).splitlines() if line.startswith("Waiver that accepts nothing")]


def accepting(rule: str, scope: str, worse: str | None = None) -> Waiver:
    return Waiver(rule, scope, "Because", "qa", RECORD.run.finished_at.date() + timedelta(days=90), worse)


def test_a_waiver_that_accepts_nothing_says_why() -> None:
    target, failing = next((t, v) for t in RECORD.targets for v in t.verdicts if v.severity is Severity.CRITICAL
                           and v.counts_as_failure)  # fmt: skip
    place = f"{target.environment}/{target.address}"
    met = next(item for item in target.verdicts if item.status is Status.PASS)
    wanted = {
        accepting(failing.rule, place, "low"): "1 failure worse than it accepts",
        accepting(failing.rule, "elsewhere/*", "low"): "nothing that it covers failed",
        accepting(met.rule, place): "nothing that it covers failed",
        accepting("no.such-rule", place): "the policy does not judge it",
    }
    assert worded(*wanted) == [
        f"Waiver that accepts nothing: {waiver.rule} at {waiver.scope} (qa): {why}" for waiver, why in wanted.items()
    ]


def test_the_report_says_the_same_of_a_waiver_that_accepts_nothing() -> None:
    target, failing = next((t, v) for t in RECORD.targets for v in t.verdicts if v.severity is Severity.CRITICAL
                           and v.counts_as_failure)  # fmt: skip
    exceeded = accepting(failing.rule, f"{target.environment}/{target.address}", "low")
    absent = accepting("no.such-rule", target.environment)
    view = build_view(RECORD, rules=all_rules(), waivers=(exceeded, absent))
    assert {
        item.rule: (item.failures, item.worse, item.judged) for item in view.waivers if item.reason == "Because"
    } == {
        failing.rule: (0, 1, True),
        "no.such-rule": (0, 0, False),
    }
    page = render_html(view)
    assert "1 failure worse than it accepts" in page
    assert "nothing that it covers fails" not in page
