"""What receivers are told, and how long it waits for them."""

from __future__ import annotations

import dataclasses
import sqlite3
import tarfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from reports.deliver import Delivery, problem_of
from reports.deliver_message import (
    Entry,
    EnvironmentSummary,
    Level,
    Message,
    Notification,
    Section,
    compose,
    compose_digest,
    inert,
)
from reports.view.standing import Tally
from scanner.config import Config, parse
from scanner.evidence import Failure, FailureReason
from scanner.inventory import DomainKey
from scanner.jobs.rule_choice import RuleChoice
from scanner.notify import alarm_store
from scanner.notify.alarms import results_of
from scanner.notify.finished_run import FinishedRun
from scanner.notify.outbox import Outbox, enqueue
from scanner.notify.service_problems import notify_failed_runs, notify_silent_receivers
from scanner.rules import all_rules
from scanner.state.database import FACTS, OUTBOX, RECEIVERS, open_state
from scanner.state.ledger import Ledger, Start, State
from scanner.verdict import AbsentDomain, AppliedWaiver, RunRecord, Severity, Status, TargetResult, TargetStatus
from tests.build.records import sample_record

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
KEPT = Path(__file__).parents[1] / "golden" / "nightseal-0.1.tar.gz"
"""A history and a state file that 0.1 wrote."""
CONFIG = """
[daemon]
report_url = "https://reports.example/n/"
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
notify = ["a", "b"]
[[notify]]
name = "a"
url = "json://127.0.0.1/"
on = ["new-failure", "fixed", "indeterminate", "run-failed", "expiring", "coverage"]
severity = "info"
digest = "run"
[[notify]]
name = "b"
url = "json://127.0.0.1/"
on = ["fixed", "run-failed"]
digest = "week"
[[notify]]
name = "c"
url = "json://127.0.0.1/"
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    state = open_state(tmp_path / "state.sqlite")
    yield state
    state.dispose()


def config() -> Config:
    return parse(CONFIG, source="config.toml", folder=Path())


def section(event: str = "new-failure", level: Level = Level.FAILURE, *entries: Entry) -> Section:
    given = entries or (Entry("TLS 1.3 is offered", Severity.HIGH, ("e/a:443@192.0.2.1",)),)
    return Section(event, level, "A heading", f"{len(given)} things", given)


def notification(*sections: Section, **more: object) -> Notification:
    return dataclasses.replace(Notification("nightly", "run-1", NOW, sections), **more)


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
        notification(dataclasses.replace(both, summary="5 new failures, worst high")),
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


# --- What follows a run ---------------------------------------------------------------------------------------------


def begun(engine: Engine, number: int = 0, asked: dict[str, object] | None = None) -> Start:
    ledger = Ledger(engine)
    due = NOW + timedelta(hours=number)
    if asked is None:
        ledger.add_due("nightly", due)
    else:
        ledger.add_asked({"schedule": "nightly", **asked}, due)
    (start,) = ledger.waiting(due)
    ledger.claim(start, f"run-{number}", "digest", due)
    return ledger.get(start.id)


def settle(
    engine: Engine, record: RunRecord, previous: RunRecord | None = None, number: int = 0
) -> list[tuple[str, str]]:
    """Report a run; what was posted by it, as receiver and title."""
    return finish(engine, record, previous, number, CONFIG)


def finish(  # noqa: PLR0913, PLR0917  # a start has so many sides
    engine: Engine,
    record: RunRecord,
    previous: RunRecord | None,
    number: int,
    text: str,
    asked: dict[str, object] | None = None,
) -> list[tuple[str, str]]:
    """The same under another configuration, or asked for by a person."""
    start = begun(engine, number, asked)
    settled = parse(text, source="config.toml", folder=Path())
    finished = FinishedRun(
        settled, settled.schedules[0], start, record, previous, results_of(record), [Path("out/run.pdf")], []
    )
    finished.commit(engine, NOW + timedelta(hours=number), 1, "summary")
    with engine.begin() as connection:
        rows = connection.execute(select(OUTBOX).where(OUTBOX.c.start_id == start.id)).all()
    return [(row.receiver, row.title.removeprefix("Nightseal, nightly: ")) for row in rows]


def mended(record: RunRecord) -> RunRecord:
    """The same run with nothing failed."""
    return dataclasses.replace(
        record,
        targets=tuple(
            dataclasses.replace(
                target,
                verdicts=tuple(
                    dataclasses.replace(verdict, status=Status.PASS, waiver=None)
                    if verdict.counts_as_failure
                    else verdict
                    for verdict in target.verdicts
                ),
            )
            for target in record.targets
        ),
    )


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
    for _ in range(2):
        assert finished.commit(engine, NOW, 1, "summary") is State.DONE
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


# --- What messages say ----------------------------------------------------------------------------------------------


def texts(engine: Engine, receiver: str = "a") -> list[str]:
    with engine.begin() as connection:
        rows = connection.execute(select(OUTBOX).where(OUTBOX.c.receiver == receiver).order_by(OUTBOX.c.id)).all()
    return [f"{row.title}\n{row.text}" for row in rows]


def changed(record: RunRecord, target_host: str, rule: str, **changes: object) -> RunRecord:
    """The same run with another verdict of one rule at one host."""
    targets = tuple(
        dataclasses.replace(
            target,
            verdicts=tuple(
                dataclasses.replace(verdict, **changes) if verdict.rule == rule else verdict
                for verdict in target.verdicts
            ),
        )
        if target.host == target_host
        else target
        for target in record.targets
    )
    return dataclasses.replace(record, targets=targets)


def without_host(record: RunRecord, host: str) -> RunRecord:
    return dataclasses.replace(record, targets=tuple(target for target in record.targets if target.host != host))


def failed(message: str = "TLS 1.0 is negotiated.", **changes: object) -> dict[str, object]:
    known = {"status": Status.FAIL, "severity": Severity.HIGH, "reason": "offered", "message": message, "waiver": None}
    return known | {"observed": "tls1.0"} | changes


MONITOR = "monitor.example.com"
QUIET = mended(sample_record(0))


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
    assert "    Cause: Time: nothing but the date is another\n" in told, "the evidence is the same"
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


# --- Addresses that change, and endpoints that are retired -----------------------------------------------------------


def at_addresses(record: RunRecord, host: str, **by_address: RunRecord) -> RunRecord:
    """The same run with a host at some addresses (`a10` is 192.0.2.10), each as another run saw its first one."""
    copies = []
    for name, seen in by_address.items():
        target = next(item for item in seen.targets if item.host == host)
        address = f"192.0.2.{name[1:]}"
        copies.append(dataclasses.replace(target, id=f"{target.endpoint}@{address}", ip=address))
    return dataclasses.replace(record, targets=(*without_host(record, host).targets, *copies))


def judged_by(record: RunRecord, rule: str, instead_of: str) -> RunRecord:
    """The same run with the verdicts of one rule as those of another."""
    targets = tuple(
        dataclasses.replace(
            target,
            verdicts=tuple(
                dataclasses.replace(verdict, rule=rule) if verdict.rule == instead_of else verdict
                for verdict in target.verdicts
            ),
        )
        for target in record.targets
    )
    return dataclasses.replace(record, targets=targets)


def silent_host(record: RunRecord, host: str, reason: FailureReason) -> RunRecord:
    """The same run in which a host gave no answer."""

    def silent(target: TargetResult) -> TargetResult:
        verdicts = tuple(
            dataclasses.replace(verdict, status=Status.INDETERMINATE, waiver=None, reason=reason.value)
            for verdict in target.verdicts
        )
        return dataclasses.replace(
            target, status=TargetStatus.UNREACHABLE, error=Failure(reason), evidence=None, verdicts=verdicts
        )

    return dataclasses.replace(
        record, targets=tuple(silent(item) if item.host == host else item for item in record.targets)
    )


def nights(engine: Engine, *records: RunRecord, text: str = CONFIG, days: int = 1) -> list[str]:
    """What receiver a was told on each of these nights."""
    previous, told = None, []
    for number, record in enumerate(records):
        finish(engine, record, previous, 24 * days * number, text)
        told.append(texts(engine)[-1])
        previous = record
    return told


WEAK = changed(QUIET, MONITOR, "proto.no-tls1.0", **failed())


@pytest.mark.parametrize("days", [1, 3])
def test_what_failed_at_an_address_that_is_not_there_tonight_is_neither_fixed_nor_new_again(
    engine: Engine, days: int
) -> None:
    both = at_addresses(QUIET, MONITOR, a13=QUIET, a21=WEAK)
    good, bad = at_addresses(QUIET, MONITOR, a13=QUIET), at_addresses(QUIET, MONITOR, a21=WEAK)
    told = nights(engine, QUIET, both, good, both, good, bad, good, bad, days=days)

    assert "1 new failure" in told[1]
    assert not [text for text in told[2:] if "fixed" in text or "new failure" in text or "flapping" in text]
    assert not [text for text in told if "overage" in text], "each endpoint was looked at each night"


def test_an_address_that_failed_is_fixed_where_it_is_seen_to_be(engine: Engine) -> None:
    both = at_addresses(QUIET, MONITOR, a13=QUIET, a21=WEAK)
    good = at_addresses(QUIET, MONITOR, a13=QUIET)
    told = nights(engine, QUIET, both, good, at_addresses(QUIET, MONITOR, a21=QUIET))

    assert "1 fixed" in told[3]
    assert "ended" not in told[3]


def test_an_address_that_is_gone_for_good_ends_what_failed_there_once(engine: Engine) -> None:
    both = at_addresses(QUIET, MONITOR, a13=QUIET, a21=WEAK)
    told = nights(engine, QUIET, both, *[at_addresses(QUIET, MONITOR, a13=QUIET)] * 9)

    (ended,) = [text for text in told if "Ended: the addresses changed" in text]
    assert told.index(ended) == 8, "a week after it was seen"
    assert "The addresses at which it failed have not been in use for 7 days" in ended
    assert "Cause: Addresses: the name has other addresses" in ended
    assert not [text for text in told if "fixed" in text]


@pytest.mark.parametrize("rule", ["cert.same-on-all-addresses", "https.node-consistency"])
def test_one_address_is_no_agreement_of_all(engine: Engine, rule: str) -> None:
    base = judged_by(QUIET, rule, "proto.no-tls1.0")
    differs = changed(base, MONITOR, rule, **failed("They differ.", reason="different"))
    lone = changed(
        base, MONITOR, rule, **failed("One.", status=Status.NOT_APPLICABLE, reason="one-address", observed="")
    )
    both = at_addresses(QUIET, MONITOR, a13=differs, a21=differs)
    told = nights(
        engine, base, both, at_addresses(QUIET, MONITOR, a13=lone), at_addresses(QUIET, MONITOR, a21=lone), both
    )

    assert "1 new failure" in told[1]
    assert not [text for text in told[2:] if "fixed" in text or "new failure" in text]


def of_estate(*hosts: str, name: str = "production") -> str:
    endpoints = "".join(f'[[environment.endpoint]]\nhost = "{host}"\nrole = "server"\n' for host in hosts)
    return f'{CONFIG}\n[[environment]]\nname = "{name}"\nkind = "on-premises"\n{endpoints}'


SHOP = "shop.example.com"


@pytest.mark.parametrize(
    ("text", "environments", "told"),
    [
        pytest.param(of_estate(SHOP), ("production",), False, id="an endpoint, or a row of an inventory"),
        pytest.param(of_estate(SHOP, name="qa"), ("qa",), False, id="an environment"),
        pytest.param(of_estate(SHOP, MONITOR), ("qa",), False, id="a schedule of fewer environments"),
        pytest.param(of_estate(SHOP, MONITOR), ("production",), True, id="a real drop"),
    ],
)
def test_what_the_configuration_no_longer_has_is_no_drop(
    engine: Engine, text: str, environments: tuple[str, ...], *, told: bool
) -> None:
    both = of_environments(QUIET, "production")
    left = without_host(both, MONITOR) if environments == ("production",) else of_environments(QUIET)
    left = RunRecord(dataclasses.replace(left.run, environments=environments, expected_targets=1), left.targets)
    finish(engine, both, None, 0, of_estate(SHOP, MONITOR))
    finish(engine, left, both, 1, text)
    finish(engine, left, left, 2, text)
    drops = [text for text in texts(engine) if "Coverage dropped" in text]

    assert len(drops) == int(told)
    assert all(f"production/{MONITOR}:443" in text for text in drops), "which host is missing"
    assert not [text for text in texts(engine) if "fixed" in text]


def test_a_drop_names_its_hosts_and_its_cause_once(engine: Engine) -> None:
    dark = silent_host(QUIET, MONITOR, FailureReason.RESOLVER_FAILED)
    told = nights(engine, QUIET, dark, dark)

    assert "1 of " in told[1]
    assert (
        "assessed in full before, and not now: the resolver could not determine whether the name exists.\n"
        f"    production/{MONITOR}:443\n    Cause: Scanner or network: "
    ) in told[1]
    assert "Coverage dropped" not in told[2]


@pytest.mark.parametrize(
    ("reason", "cause", "advice"),
    [
        (FailureReason.RESOLVER_FAILED, "Scanner or network", "Check the scanner's resolver"),
        (FailureReason.UNREACHABLE, "Scanner or network", "Check the scanner's route"),
        (FailureReason.NO_WORKER, "Scanner or network", "Start a worker"),
        (FailureReason.DEADLINE, "Scanner or network", "Give the target more time"),
        (FailureReason.ENGINE_ERROR, "Scanner or network", "Look into the log of the run"),
        (FailureReason.REFUSED, "Server", "Check that the service listens"),
        (FailureReason.UNRESOLVABLE, "Server", "Correct the name in the DNS"),
    ],
)
def test_what_cannot_be_reached_says_through_what_and_what_to_do(
    engine: Engine, reason: FailureReason, cause: str, advice: str
) -> None:
    told = nights(engine, QUIET, silent_host(QUIET, MONITOR, reason), QUIET)
    about = told[1].partition("It cannot be reached")[2]

    assert f"    Cause: {cause}: " in about
    assert f"    To do: {advice}" in about
    assert "It answers again" in told[2]
    assert f"    Cause: {cause}: " in told[2].partition("It answers again")[2]


# --- What a run says nothing of is neither fixed nor, the night after, new -------------------------------------------

NOT_ASKED = {"status": Status.NOT_APPLICABLE, "reason": "not-asked", "waiver": None, "observed": ""}
FAILING = changed(QUIET, MONITOR, "proto.no-tls1.0", **failed(subject="a"))


def of_environments(record: RunRecord, *names: str) -> RunRecord:
    return RunRecord(
        dataclasses.replace(record.run, environments=names),
        tuple(target for target in record.targets if target.environment in names),
    )


def without_rule(record: RunRecord, host: str, rule: str) -> RunRecord:
    targets = tuple(
        dataclasses.replace(target, verdicts=tuple(verdict for verdict in target.verdicts if verdict.rule != rule))
        if target.host == host
        else target
        for target in record.targets
    )
    return dataclasses.replace(record, targets=targets)


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


WAIVER = AppliedWaiver("A vendor's update is planned", "qa", date(2027, 1, 1))


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


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ("redirected to https://evil.example/a", "redirected to hxxps://evil.example/a"),
        ("<!channel> <script>x</script>", "‹!channel› ‹script›x‹/script›"),
        ("@everyone #all", "@\u200beveryone #\u200ball"),
        ("[click](http://evil.example)", "[click] (hxxp://evil.example)"),
        ("javascript:alert(1)", "javascript :alert(1)"),
        ("**bold** _it_ TLS_RSA_WITH_AES", "∗∗bold∗∗ ‗it‗ TLS_RSA_WITH_AES"),
        ("x" * 500, "x" * 400 + "…"),
    ],
    ids=["link", "tags", "mentions", "named link", "scheme", "styles", "length"],
)
def test_what_a_host_said_is_no_markup_no_mention_and_no_link(said: str, made: str) -> None:
    assert inert(said) == made


def test_a_hosts_words_reach_a_message_only_disarmed(engine: Engine) -> None:
    settle(engine, QUIET)
    said = "It redirects to http://evil.example/<!channel>."
    settle(engine, changed(QUIET, MONITOR, "proto.no-tls1.0", **failed(said, reason="no-such-reason")), QUIET, 1)
    told = texts(engine)[-1]

    assert "hxxp://evil.example/‹!channel›" in told
    assert "http://evil" not in told


def test_the_state_file_of_version_0_1_is_taken_over(tmp_path: Path) -> None:
    """It was written by 0.1 over the sample's first three nights, in which nine things failed, then two more."""
    with tarfile.open(KEPT) as archive:
        archive.extractall(tmp_path, filter="data")
    old = sqlite3.connect(tmp_path / "v0.1" / "state.sqlite")
    known = {
        (target.rpartition("@")[0], rule, subject)
        for target, rule, subject in old.execute("SELECT target, rule, subject FROM alarms WHERE failing")
    }
    old.close()
    assert len(known) == 11
    for _ in range(2):
        state = open_state(tmp_path / "v0.1" / "state.sqlite")
        with state.begin() as connection:
            alarms = alarm_store.load(connection, "nightly")
            titles = [row.title for row in connection.execute(select(OUTBOX).order_by(OUTBOX.c.id)).all()]
        assert {tuple(key) for key, alarm in alarms.items() if alarm.failing} == known
        assert len(titles) == 3
        state.dispose()
    state = open_state(tmp_path / "v0.1" / "state.sqlite")
    told = settle(state, sample_record(2), sample_record(1), 2000)
    assert [title for receiver, title in told if receiver == "a"] == ["nothing changed, 10 not met"], (
        "one is a host that cannot be reached"
    )
    state.dispose()


# --- The outbox -----------------------------------------------------------------------------------------------------

URLS = {"a": "json://a/", "b": "json://b/"}


class Sender:
    """Takes what is sent, or refuses it."""

    def __init__(self) -> None:
        self.refusing: set[str] = set()
        self.taken: list[tuple[str, str]] = []
        self.tries = 0

    def __call__(self, url: str, message: Message) -> Delivery:
        self.tries += 1
        if url in self.refusing:
            return Delivery(delivered=False, reason="503")
        self.taken.append((url, message.title))
        return Delivery(delivered=True)


def put(engine: Engine, *titles: str, receiver: str = "a") -> None:
    with engine.begin() as connection:
        for title in titles:
            enqueue(connection, receiver, Message(Level.INFO, title, "text", "<p>html</p>"), NOW)


def test_messages_are_delivered_in_order_each_once(engine: Engine) -> None:
    put(engine, "first", "second")
    sender, outbox = Sender(), Outbox(engine)

    for _ in range(4):
        outbox.deliver_due(URLS, sender, NOW)

    assert [title for _, title in sender.taken] == ["first", "second"]
    assert outbox.length() == {}


def test_what_is_refused_is_tried_again_ever_more_seldom_also_after_a_restart(engine: Engine) -> None:
    put(engine, "first")
    put(engine, "other", receiver="b")
    sender = Sender()
    sender.refusing = {"json://a/"}
    moment = NOW
    tried = []
    while moment < NOW + timedelta(days=1):
        before = sender.tries
        Outbox(engine).deliver_due(URLS, sender, moment)
        if sender.tries > before:
            tried.append(moment)
        # What comes after minutes is measured in minutes.
        moment += timedelta(seconds=10 if moment < NOW + timedelta(hours=1) else 60)
    pauses = [(after - before).total_seconds() for before, after in pairwise(tried)]

    assert sender.taken == [("json://b/", "other")], "one that refuses keeps nobody else waiting"
    assert 20 <= pauses[0] <= 50
    assert all(2800 <= pause <= 4400 for pause in pauses[-5:])
    assert 25 <= len(tried) <= 45
    sender.refusing = set()
    Outbox(engine).deliver_due(URLS, sender, moment + timedelta(hours=2))
    assert ("json://a/", "first") in sender.taken


def test_a_receiver_that_fails_for_days_is_reported_to_the_others_once(engine: Engine) -> None:
    put(engine, "first")
    sender, outbox = Sender(), Outbox(engine)
    sender.refusing = {"json://a/"}
    for hour in range(0, 60, 2):
        moment = NOW + timedelta(hours=hour)
        outbox.deliver_due({"a": URLS["a"]}, sender, moment)
        notify_silent_receivers(engine, config(), outbox, moment)
    with engine.begin() as connection:
        reports = [row for row in connection.execute(select(OUTBOX)).all() if "silent" in row.title]
        assert [row.receiver for row in reports] == ["b", "c"]
        assert 'The receiver "a" has taken nothing since 2026-03-01 02:00 UTC' in reports[0].text
        assert "503" in reports[0].text
    sender.refusing = set()
    outbox.deliver_due({"a": URLS["a"]}, sender, NOW + timedelta(days=4))
    with engine.begin() as connection:
        row = connection.execute(select(RECEIVERS).where(RECEIVERS.c.name == "a")).one()
    assert (row.failing_since, row.reported) == (None, False)


def test_what_is_a_week_old_and_what_has_no_receiver_is_given_up(engine: Engine) -> None:
    put(engine, "first")
    put(engine, "nobody's", receiver="gone")
    sender, outbox = Sender(), Outbox(engine)
    sender.refusing = {"json://a/"}
    outbox.deliver_due(URLS, sender, NOW + timedelta(days=8))

    assert outbox.length() == {}
    outbox.forget(NOW + timedelta(days=1))
    with engine.begin() as connection:
        assert connection.execute(select(OUTBOX)).all() == []


def test_a_state_file_without_sightings_gets_them_and_keeps_its_alarms(tmp_path: Path) -> None:
    """Version 2 of the file's form did not know when each address was last looked at."""
    path = tmp_path / "state.sqlite"
    state = open_state(path)
    both = at_addresses(QUIET, MONITOR, a13=QUIET, a21=WEAK)
    settle(state, QUIET)
    settle(state, both, QUIET, 1)
    state.dispose()
    with sqlite3.connect(path) as older:
        older.execute("ALTER TABLE alarms DROP COLUMN seen")
        older.execute("UPDATE about SET value = '2' WHERE key = 'version'")
    state = open_state(path)
    told = settle(state, at_addresses(QUIET, MONITOR, a13=QUIET), both, 2)
    with state.begin() as connection:
        known = alarm_store.load(connection, "nightly")
    state.dispose()

    assert not [title for _, title in told if "fixed" in title or "new failure" in title]
    assert [known[key].seen.keys() for key in known if key.rule == "proto.no-tls1.0"] == [{"192.0.2.21"}]
