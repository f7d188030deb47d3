"""What follows a run: who is told of it, in which words, and once."""

from __future__ import annotations

import dataclasses

from sqlalchemy import Engine, select

from scanner.evidence import Failure, FailureReason
from scanner.inventory import DomainKey
from scanner.notify.alarms import results_of
from scanner.notify.finished_run import FinishedRun
from scanner.notify.service_problems import notify_failed_runs
from scanner.rules import all_rules
from scanner.state.database import FACTS, OUTBOX
from scanner.state.ledger import Ledger, State
from scanner.verdict import AbsentDomain, RunRecord, Severity, Status, TargetResult, TargetStatus
from tests.build.notified import (
    CONFIG,
    MONITOR,
    NOW,
    QUIET,
    begun,
    changed,
    config,
    failed,
    finish,
    mended,
    settle,
    texts,
    without_host,
)
from tests.build.records import sample_record


def test_a_failure_is_told_once_and_when_it_is_mended(engine: Engine) -> None:
    record = sample_record(1)
    first = settle(engine, record)
    again = settle(engine, record, record, 1)
    fixed = settle(engine, mended(record), record, 2)

    assert [receiver for receiver, _ in first] == ["a", "b"]
    assert first[0][1].startswith("first look: 9 not met, worst high"), "nothing of it is new"
    assert first[1][1].endswith(" not met"), "b asked for nothing of this, but for a digest each week"
    assert "nothing changed" not in first[1][1]
    assert [(receiver, title.partition(",")[0]) for receiver, title in again] == [("a", "nothing changed")]
    assert {receiver for receiver, title in fixed if "fixed" in title} == {"a", "b"}


def test_a_domain_that_is_switched_off_for_a_night_is_told_and_nothing_of_it_is_forgotten(engine: Engine) -> None:
    record = sample_record(1)
    gone = next(target for target in record.targets if any(verdict.counts_as_failure for verdict in target.verdicts))
    failure = Failure(FailureReason.REFUSED)
    absent = AbsentDomain(gone.environment, gone.host, gone.port, DomainKey.DEFAULT, failure)
    without = RunRecord(
        dataclasses.replace(record.run, absent_domains=(absent,)),
        tuple(target for target in record.targets if target.host != gone.host),
    )
    settle(engine, record)
    night = settle(engine, without, record, 1)
    back = settle(engine, record, without, 2)

    assert any("coverage dropped" in title for _, title in night)
    assert not any("fixed" in title for _, title in night)
    assert not any("new failure" in title for _, title in back)


def test_a_history_that_was_there_before_the_service_is_not_told_as_new(engine: Engine) -> None:
    record = sample_record(1)

    told = settle(engine, record, record)

    assert all("new failure" not in title for _, title in told)


def test_a_run_is_settled_once(engine: Engine) -> None:
    record = sample_record(1)
    start = begun(engine)
    settled = config()
    finished = FinishedRun(settled, settled.schedules[0], start, record, None, results_of(record), [], [])
    assert [finished.tell(engine, NOW) for _ in range(2)] == [True, False]
    for _ in range(2):
        assert finished.end(engine, NOW, 1, "summary", []) is State.DONE
    assert not finished.tell(engine, NOW)
    with engine.begin() as connection:
        assert len(connection.execute(select(OUTBOX)).all()) == 2
        facts = connection.execute(select(FACTS)).one().facts
    assert sum(facts["targets"]["production"].values()) == sum(t.environment == "production" for t in record.targets)


def test_coverage_that_drops_is_told(engine: Engine) -> None:
    record = sample_record(1)
    fewer = dataclasses.replace(
        record,
        run=dataclasses.replace(record.run, expected_targets=1),
        targets=record.targets[:1],
    )
    before = dataclasses.replace(record, run=dataclasses.replace(record.run, complete=True))
    told = settle(engine, dataclasses.replace(fewer, run=dataclasses.replace(fewer.run, complete=True)), before)

    assert any("coverage dropped" in title for receiver, title in told if receiver == "a")


def test_a_run_that_failed_is_told_once(engine: Engine) -> None:
    start = begun(engine)
    Ledger(engine).end(start, State.FAILED, NOW, reason="the history cannot be written")
    for _ in range(2):
        notify_failed_runs(engine, config(), NOW)
    with engine.begin() as connection:
        rows = connection.execute(select(OUTBOX)).all()

    assert [row.receiver for row in rows] == ["a", "b"]
    assert "the history cannot be written" in rows[0].text


def test_an_interrupted_run_that_is_repeated_is_not_told_of(engine: Engine) -> None:
    start = begun(engine)
    ledger = Ledger(engine)
    ledger.end(start, State.INTERRUPTED, NOW)
    ledger.again(start, NOW)
    notify_failed_runs(engine, config(), NOW)
    with engine.begin() as connection:
        assert connection.execute(select(OUTBOX)).all() == []


def test_only_a_host_that_was_never_looked_at_has_a_first_look(engine: Engine) -> None:
    settle(engine, without_host(sample_record(0), MONITOR))
    with_monitor = changed(sample_record(0), MONITOR, "proto.no-tls1.0", **failed())
    settle(engine, with_monitor, without_host(sample_record(0), MONITOR), 1)
    settle(engine, without_host(sample_record(0), MONITOR), with_monitor, 2)
    settle(engine, with_monitor, without_host(sample_record(0), MONITOR), 3)
    told = texts(engine)

    assert "first look: 1 not met, worst high" in told[1]
    assert "no new failure" in told[1]
    assert "first look" not in told[3], "it was looked at before, if not the night before"


def test_a_line_is_what_was_found_why_and_what_to_do(engine: Engine) -> None:
    settle(engine, QUIET)
    settle(engine, changed(QUIET, MONITOR, "proto.no-tls1.0", **failed()), QUIET, 1)
    told = texts(engine)[-1]

    assert "1 new failure, worst high" in told
    assert "- High: TLS 1.0 is negotiated. [proto.no-tls1.0]\n    production/monitor.example.com:443\n" in told
    assert "    Cause: Time: only the date is different\n" in told, "the evidence is the same"
    assert f"    To do: {all_rules()['proto.no-tls1.0'].fix.summary}\n" in told
    assert all_rules()["proto.no-tls1.0"].title not in told, "the requirement reads as good news"


def test_a_receiver_from_high_on_hears_of_what_becomes_high(engine: Engine) -> None:
    def told(record: RunRecord, previous: RunRecord | None, number: int) -> list[str]:
        finished = finish(engine, record, previous, number, CONFIG.replace('severity = "info"', 'severity = "high"'))
        return [title for receiver, title in finished if receiver == "a"]

    medium = changed(QUIET, MONITOR, "https.hsts", **failed("HSTS is short.", severity=Severity.MEDIUM))
    high = changed(QUIET, MONITOR, "https.hsts", **failed("HSTS is missing.", severity=Severity.HIGH))
    told(QUIET, None, 0)

    assert told(medium, QUIET, 1) == ["1 not met"], "a digest, as nothing of it is for this receiver"
    assert told(high, medium, 2) == ["1 worse, worst high"]
    assert "- High (was medium): HSTS is missing. [https.hsts]" in texts(engine)[-1]
    assert told(high, high, 3) == ["nothing changed, 1 not met"]
    assert told(medium, high, 4) == ["1 better"]


def test_four_addresses_in_rotation_are_told_once(engine: Engine) -> None:
    """Ten nights of a name that is at another address each night, with the same failure behind each."""

    def night(number: int) -> RunRecord:
        record = changed(QUIET, MONITOR, "proto.no-tls1.0", **failed())
        address = f"192.0.2.{100 + number % 4}"
        targets = tuple(
            dataclasses.replace(target, id=f"{target.endpoint}@{address}", ip=address)
            if target.host == MONITOR
            else target
            for target in record.targets
        )
        return dataclasses.replace(record, targets=targets)

    for number in range(10):
        settle(engine, night(number), night(number - 1) if number else None, number)
    told = [text for text in texts(engine) if "proto.no-tls1.0" in text]

    assert len(told) == 1
    assert all("coverage" not in text for text in texts(engine))


def test_after_a_night_without_dns_nothing_is_new_and_nothing_was_fixed(engine: Engine) -> None:
    def silent(target: TargetResult) -> TargetResult:
        verdicts = tuple(
            dataclasses.replace(verdict, status=Status.INDETERMINATE, waiver=None) for verdict in target.verdicts
        )
        failure = Failure(FailureReason.UNRESOLVABLE)
        return dataclasses.replace(
            target, id=f"{target.endpoint}@unresolved", ip=None, status=TargetStatus.UNREACHABLE, error=failure,
            evidence=None, verdicts=verdicts,
        )  # fmt: skip

    record = sample_record(1)
    by_endpoint = {target.endpoint: silent(target) for target in record.targets}
    night = dataclasses.replace(record, targets=tuple(by_endpoint.values()))
    settle(engine, record)
    dark = settle(engine, night, record, 1)
    morning = settle(engine, record, night, 2)
    titles = [title for receiver, title in (*dark, *morning) if receiver == "a"]

    assert "not assessed" in titles[0]
    assert any("It cannot be reached: the name does not resolve.\n" in text for text in texts(engine)), "and why"
    assert "assessed again" in titles[1]
    assert all("fail" not in title and "fixed" not in title and "first look" not in title for title in titles)
