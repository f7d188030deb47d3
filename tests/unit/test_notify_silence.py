"""What a run says nothing of, and what is waived: neither fixed nor, the night after, new."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import Engine, select

from scanner.jobs.rule_choice import RuleChoice
from scanner.state.database import FACTS, OUTBOX
from scanner.verdict import RunRecord, Severity, Status
from tests.build.notified import (
    CONFIG,
    FAILING,
    MONITOR,
    NOT_ASKED,
    QUIET,
    WAIVER,
    changed,
    failed,
    finish,
    mended,
    of_environments,
    settle,
    texts,
    without_host,
    without_rule,
)
from tests.build.records import sample_record


@pytest.mark.parametrize(
    ("night", "asked"),
    [
        pytest.param(RuleChoice(skip=["proto.no-tls1.0"]).applied(FAILING), None, id="skipped"),
        pytest.param(
            changed(FAILING, MONITOR, "proto.no-tls1.0", **NOT_ASKED),
            None,
            id="forbidden, with the subject that it had",
        ),
        pytest.param(
            changed(FAILING, MONITOR, "proto.no-tls1.0", **NOT_ASKED | {"subject": ""}), None, id="forbidden as a whole"
        ),
        pytest.param(
            changed(FAILING, MONITOR, "proto.no-tls1.0", status=Status.INDETERMINATE, subject=""), None, id="not seen"
        ),
        pytest.param(of_environments(FAILING, "test"), {"environments": ["test"]}, id="another environment alone"),
        pytest.param(
            changed(FAILING, MONITOR, "proto.no-tls1.0", status=Status.PASS),
            {"policy": "mozilla-old"},
            id="by another policy",
        ),
        pytest.param(
            RunRecord(dataclasses.replace(FAILING.run, complete=False), without_host(FAILING, MONITOR).targets),
            None,
            id="interrupted",
        ),
    ],
)
def test_what_a_run_says_nothing_of_is_neither_fixed_nor_new_afterwards(
    engine: Engine, night: RunRecord, asked: dict[str, object] | None
) -> None:
    settle(engine, QUIET)
    first = settle(engine, FAILING, QUIET, 1)
    during = finish(engine, night, FAILING, 2, CONFIG, asked)
    after = settle(engine, FAILING, night, 3)
    end = settle(engine, QUIET, FAILING, 4)

    assert any("1 new failure" in title for _, title in first)
    told = [title for receiver, title in (*during, *after) if receiver == "a"]
    assert not [title for title in told if "fixed" in title or "new failure" in title or "first look" in title], told
    assert not [title for title in told if "coverage" in title], "nothing was there less than before"
    assert any("1 fixed" in title for _, title in end)


def test_what_could_not_be_assessed_is_not_assessed_again_where_nobody_asks(engine: Engine) -> None:
    unseen = changed(QUIET, MONITOR, "proto.no-tls1.0", status=Status.INDETERMINATE)
    settle(engine, QUIET)
    settle(engine, unseen, QUIET, 1)
    skipped = settle(engine, RuleChoice(skip=["proto.no-tls1.0"]).applied(unseen), unseen, 2)
    seen = settle(engine, QUIET, unseen, 3)

    assert not any("assessed again" in title for _, title in skipped)
    assert any("assessed again" in title for _, title in seen)


def test_a_failure_that_has_become_a_note_is_better_and_not_fixed(engine: Engine) -> None:
    note = changed(FAILING, MONITOR, "proto.no-tls1.0", severity=Severity.INFO)
    settle(engine, QUIET)
    settle(engine, FAILING, QUIET, 1)
    better, again = settle(engine, note, FAILING, 2), settle(engine, note, note, 3)
    end = settle(engine, changed(note, MONITOR, "proto.no-tls1.0", status=Status.PASS), note, 4)

    assert [title for receiver, title in better if receiver == "a"] == ["1 better"]
    assert not any("better" in title or "fixed" in title for _, title in again)
    assert any("1 fixed" in title for _, title in end)


def test_a_rule_that_the_policy_of_one_environment_has_no_more_is_not_fixed_there(engine: Engine) -> None:
    dropped = without_rule(FAILING, MONITOR, "proto.no-tls1.0")
    assert any(verdict.rule == "proto.no-tls1.0" for verdict in dropped.verdicts), "others still judge by it"
    lone = RunRecord(
        dropped.run, tuple(t for t in dropped.targets if t.environment != "production" or t.host == MONITOR)
    )
    settle(engine, QUIET)
    settle(engine, FAILING, QUIET, 1)

    assert not any("fixed" in title for _, title in settle(engine, lone, FAILING, 2))


def test_the_numbers_of_a_narrower_run_leave_those_of_the_others_as_they_were(engine: Engine) -> None:
    def shown() -> dict[str, dict[str, dict[str, int]]]:
        with engine.begin() as connection:
            return dict(connection.execute(select(FACTS.c.facts)).scalar_one())

    settle(engine, FAILING)
    before = shown()
    other = of_environments(mended(FAILING), "test")
    finish(engine, other, FAILING, 1, CONFIG, {"environments": ["test"]})
    narrowed = shown()
    finish(engine, QUIET, FAILING, 2, CONFIG, {"policy": "mozilla-old"})

    assert before["verdicts"]["production"]["fail high"] >= 1
    for kind in ("verdicts", "targets"):
        assert narrowed[kind]["production"] == before[kind]["production"]
        assert narrowed[kind].keys() == before[kind].keys()
    assert len(narrowed["certificates"]) == len(before["certificates"])
    assert narrowed["run_id"] == other.run.id
    assert shown() == narrowed, "numbers by another policy are not the schedule's"


def test_more_than_a_waiver_accepted_is_told_once_though_it_stays_waived(engine: Engine) -> None:
    old = changed(QUIET, MONITOR, "proto.no-tls1.1", **failed("TLS 1.1 is negotiated.", waiver=WAIVER))
    added = changed(old, MONITOR, "proto.no-tls1.0", **failed(waiver=WAIVER))
    for number, (record, previous) in enumerate([(old, None), (old, old), (added, old), (added, added), (old, added)]):
        settle(engine, record, previous, number)
    told = [text for text in texts(engine) if "worse but waived" in text]

    assert len(told) == 1
    assert "Worse, though a waiver accepts it\n- High: TLS 1.0 is negotiated. [proto.no-tls1.0]" in told[0]


def test_what_a_waiver_began_to_accept_is_not_worse(engine: Engine) -> None:
    open_ = changed(QUIET, MONITOR, "proto.no-tls1.0", **failed())
    waived = changed(QUIET, MONITOR, "proto.no-tls1.0", **failed(waiver=WAIVER))
    settle(engine, open_)
    settle(engine, waived, open_, 1)

    assert "1 waived" in texts(engine)[-1]
    assert "worse" not in texts(engine)[-1]


@pytest.mark.parametrize("told_as", [Severity.LOW, Severity.MEDIUM, Severity.HIGH])
def test_what_a_waiver_accepts_is_told_as_bad_as_it_is_now(engine: Engine, told_as: Severity) -> None:
    open_ = changed(QUIET, MONITOR, "proto.no-tls1.0", **failed(severity=told_as))
    waived = changed(QUIET, MONITOR, "proto.no-tls1.0", **failed(severity=Severity.MEDIUM, waiver=WAIVER))
    settle(engine, open_)
    settle(engine, waived, open_, 1)

    assert "Accepted by a waiver\n- Medium: TLS 1.0 is negotiated. [proto.no-tls1.0]" in texts(engine)[-1]


def test_a_severity_that_swings_is_told_of_a_waived_failure_as_it_is_now(engine: Engine) -> None:
    """Better and worse are not told any more where they swing; the last that was told is another than that of now."""
    nights = [
        changed(QUIET, MONITOR, "proto.no-tls1.0", **failed(severity=severity))
        for severity in (Severity.HIGH, Severity.MEDIUM, Severity.HIGH, Severity.MEDIUM, Severity.MEDIUM)
    ]
    waived = changed(QUIET, MONITOR, "proto.no-tls1.0", **failed(severity=Severity.MEDIUM, waiver=WAIVER))
    previous: RunRecord | None = None
    for number, night in enumerate([*nights, waived]):
        settle(engine, night, previous, number)
        previous = night

    assert "Accepted by a waiver\n- Medium: TLS 1.0" in texts(engine)[-1]


@pytest.mark.parametrize(
    ("attach", "url", "files"),
    [
        ("", "", 1),
        ("", "https://reports.example/", 0),
        ('attach = "always"', "https://reports.example/", 1),
        ('attach = "never"', "", 0),
        ("attach = true", "https://reports.example/", 1),
        ("attach = false", "", 0),
    ],
)
def test_reports_come_along_where_there_is_no_link_to_them(engine: Engine, attach: str, url: str, files: int) -> None:
    text = CONFIG.replace("https://reports.example/n/", url).replace('digest = "run"', f'digest = "run"\n{attach}')
    finish(engine, sample_record(1), None, 0, text)
    with engine.begin() as connection:
        row = connection.execute(select(OUTBOX).where(OUTBOX.c.receiver == "a")).one()

    assert len(row.files) == files
    assert ("reports.example" in row.text) == bool(url)
