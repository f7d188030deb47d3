"""What messages are made of, from what is worth telling."""

from __future__ import annotations

from msgspec import structs

from reports.deliver import problem_of
from reports.deliver_message import Entry, EnvironmentSummary, compose, compose_digest
from reports.message import Level
from reports.view.standing import Tally
from scanner.verdict import Severity
from tests.build.notified import (
    notification,
    section,
)


def test_the_worst_comes_first_in_one_message() -> None:
    low = Entry("low", Severity.LOW, ("e/b",))
    high = Entry("high", Severity.CRITICAL, ("e/a",))
    told = compose(
        notification(section("fixed", Level.SUCCESS), section("new-failure", Level.FAILURE, low, high)),
        on=["new-failure", "fixed"],
        severity=Severity.LOW,
        attach=True,
    )

    assert told is not None
    assert told.level is Level.FAILURE
    assert told.text.index("Critical: high") < told.text.index("Low: low") < told.text.index("TLS 1.3")
    assert told.html.index("</strong> · high") < told.html.index("</strong> · low")


def test_a_late_run_is_no_worse_than_what_it_found() -> None:
    late = section("run-failed", Level.WARNING, Entry("It was late."))
    told = compose(
        notification(late, section("new-failure")),
        on=["new-failure", "run-failed"],
        severity=Severity.LOW,
        attach=False,
    )

    assert told is not None
    assert told.level is Level.FAILURE
    assert told.text.index("TLS 1.3") < told.text.index("It was late")


def test_only_what_was_asked_for_is_told() -> None:
    everything = notification(section("fixed", Level.SUCCESS), section("new-failure"))

    told = compose(everything, on=["fixed"], severity=Severity.LOW, attach=False)
    assert told is not None
    assert told.level is Level.SUCCESS
    assert compose(everything, on=["expiring"], severity=Severity.LOW, attach=False) is None
    assert (
        compose(notification(section("new-failure")), on=["new-failure"], severity=Severity.CRITICAL, attach=False)
        is None
    )


def test_what_is_below_the_severity_is_not_counted() -> None:
    both = section(
        "new-failure",
        Level.FAILURE,
        Entry("low", Severity.LOW, ("a", "b")),
        Entry("high", Severity.HIGH, ("c", "d", "e")),
    )
    told = compose(
        notification(structs.replace(both, summary="5 new failures, worst high")),
        on=["new-failure"],
        severity=Severity.HIGH,
        attach=False,
    )

    assert told is not None
    assert told.title == "Nightseal, nightly: 3 new failures (high or worse), worst high"
    assert "low" not in told.text


def test_long_lists_are_counted() -> None:
    entries = [Entry(f"rule {number}", Severity.HIGH, tuple(f"e/{host}" for host in range(9))) for number in range(30)]
    told = compose(
        notification(section("new-failure", Level.FAILURE, *entries)),
        on=["new-failure"],
        severity=Severity.LOW,
        attach=False,
    )

    assert told is not None
    assert "and 3 more" in told.text
    assert "and 10 more, in the report" in told.text
    assert "and 10 more, in the report" in told.html


def test_markup_is_text() -> None:
    told = compose(
        notification(section("new-failure", Level.FAILURE, Entry("<script>alert(1)</script>", Severity.LOW, ("<b>",)))),
        on=["new-failure"],
        severity=Severity.LOW,
        attach=False,
    )

    assert told is not None
    assert "<script>" not in told.html
    assert "&lt;script&gt;" in told.html
    assert "<b>" not in told.html


def test_a_digest_says_how_things_stand() -> None:
    summary = EnvironmentSummary(
        "production", targets=12, unreachable=1, total=Tally(passed=700, failed=3, notes=1, waived=2, indeterminate=4)
    )
    told = compose_digest(
        notification(environments=(summary,), links=(("pdf", "https://reports.example/a.pdf"),)), attach=True
    )

    assert told.title == "Nightseal, nightly: nothing changed, 3 not met"
    assert "production: 12 targets, 1 unreachable, 3 not met, 1 note, 2 waived, 4 not assessed, 700 met" in told.text
    assert "https://reports.example/a.pdf" in told.text
    assert 'href="https://reports.example/a.pdf"' in told.html


def test_addresses_are_checked() -> None:
    assert problem_of("json://127.0.0.1/") is None
    assert problem_of("nonsense") is not None
    assert problem_of("mailtos://user:secret@mail.example.com?to=a@example.com") is None
