"""The terminal's text: everything that matters, nothing that a host could smuggle in."""

from __future__ import annotations

import dataclasses
import re

import pytest

from reports.text import render_text
from scanner.ownership import Ownership
from scanner.rules import all_rules
from scanner.standpoint import Vantage
from scanner.verdict import RunRecord, Severity, Status
from tests.build.judged import judged_record

RULES = all_rules()


def text_of(record: RunRecord, **options: object) -> str:
    return render_text(record, rules=RULES, **options)  # type: ignore[arg-type]  # passed through


def only(host: str) -> RunRecord:
    record = judged_record(4).record
    return RunRecord(record.run, tuple(target for target in record.targets if target.host == host))


def test_failures_come_worst_first_with_observed_expected_and_fix() -> None:
    text = text_of(only("erp.example.internal"))
    assert text.index("HIGH") < text.index("MEDIUM") < text.index("LOW")
    assert "proto.no-tls1.0" in text
    assert "expected TLS 1.0 not negotiated" in text
    assert RULES["proto.no-tls1.0"].fix.summary in text


def test_waived_failure_says_who_until_when_and_why() -> None:
    text = " ".join(text_of(only("erp.example.internal")).split())
    assert "~ waived" in text
    assert "Waived until 2026-04-20 by platform-team: Replaced with the ERP in autumn." in text


def test_unreachable_target_says_why_once() -> None:
    text = text_of(only("gone.test.example.com"))
    assert text.count("the name does not resolve") == 1
    assert "not judged" not in text
    assert "?" in text.splitlines()[1]


def test_unknown_is_grouped_by_reason() -> None:
    text = text_of(only("shop.test.example.com"))
    assert "? not assessed no answer came in time: vuln.robot" in text


def test_passes_are_one_line_unless_asked_for() -> None:
    record = only("monitor.example.com")
    assert "✓ met" not in text_of(record)
    verbose = text_of(record, verbose=True)
    passed = sum(verdict.status is Status.PASS for verdict in record.verdicts)
    assert sum(line.lstrip().startswith("✓ met") for line in verbose.splitlines()) == passed


def test_no_escape_without_colour() -> None:
    assert "\x1b" not in text_of(judged_record(4).record)


def test_colour_adds_escapes_and_no_word() -> None:
    record = only("api.test.example.com")
    coloured = text_of(record, color=True)
    assert "\x1b[" in coloured


def test_a_control_character_is_never_drawn_wherever_it_came_from() -> None:
    record = only("api.test.example.com")
    target = record.targets[0]
    hostile = "a\x1b[31mred\x1b]0;title\x07\x9b2J\x08\x00\x7f"
    verdict = dataclasses.replace(
        next(item for item in target.verdicts if item.status is Status.FAIL), observed=hostile, message=hostile
    )
    changed = RunRecord(
        dataclasses.replace(record.run, vantage=Vantage(name=f"dmz\n{hostile}")),
        (dataclasses.replace(target, environment=hostile, applications=(hostile,), verdicts=(verdict,)),),
    )
    owners = {target.endpoint: Ownership(owner=hostile, labels=((hostile, hostile),))}

    plain = text_of(changed, width=200, owners=owners)
    coloured = text_of(changed, width=200, color=True, owners=owners)

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", plain)
    assert "looked from dmz a\\x1b[31mred" in plain, "a name is one line"
    assert plain.count("\\x1b[31mred") >= 5
    assert "\x1b[31mred" not in coloured
    assert "\x1b]0;" not in coloured
    assert re.search(r"\x1b\[[0-9;]+m", coloured), "its own colours stay"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_keeps_within_the_width(width: int) -> None:
    lines = text_of(judged_record(4).record, width=width).splitlines()
    assert max(len(line) for line in lines) <= width


def test_hosts_write_no_markup() -> None:
    record = only("api.test.example.com")
    target = record.targets[0]
    hostile = "[bold red]x[/] [link=https://evil.example]click[/link] :smile:"
    verdict = dataclasses.replace(
        next(item for item in target.verdicts if item.status is Status.FAIL), observed=hostile, message=hostile
    )
    changed = RunRecord(record.run, (dataclasses.replace(target, verdicts=(verdict,)),))
    text = text_of(changed, color=True, width=200)
    assert "[bold red]x[/]" in text
    assert ":smile:" in text
    assert "\x1b]8" not in text


def test_long_observations_are_cut() -> None:
    record = only("api.test.example.com")
    target = record.targets[0]
    verdict = dataclasses.replace(
        next(item for item in target.verdicts if item.status is Status.FAIL), observed="a" * 5000, message="short"
    )
    changed = RunRecord(record.run, (dataclasses.replace(target, verdicts=(verdict,)),))
    assert text_of(changed).count("a") < 1000
    assert text_of(changed, verbose=True).count("a") >= 5000


def test_summary_counts() -> None:
    record = judged_record(4).record
    failed = sum(item.counts_as_failure and item.severity is not Severity.INFO for item in record.verdicts)
    lines = text_of(record).splitlines()
    assert any(line.startswith(f"{len(record.targets)} targets · {failed} not met") for line in lines[-4:])


def test_run_without_targets() -> None:
    record = dataclasses.replace(judged_record(4).record, targets=())
    assert "Nothing was scanned, so nothing can be said." in text_of(record)


def test_the_names_of_rules_stay_whole_on_80_columns() -> None:
    record = judged_record(4).record
    text = render_text(record, rules={}, verbose=True, width=80)
    assert max(map(len, text.splitlines())) <= 80
    for verdict in record.verdicts:
        if not verdict.not_asked:
            assert re.search(rf"(?m)(^|\s){re.escape(verdict.rule)}[\s,]", text), verdict.rule
