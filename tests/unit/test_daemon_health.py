"""What keeps the service from its work shows in /healthz, and each of it as a metric."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, insert, update

from reports.export.numbers import numbers_of
from reports.message import Level, Message
from scanner.jobs.rule_choice import RuleChoice
from scanner.notify import run_metrics
from scanner.notify.outbox import enqueue
from scanner.service import setup
from scanner.service.health import alive, health
from scanner.service.metrics import StateCollector
from scanner.service.watch import Watch
from scanner.state.database import FACTS, open_state
from scanner.state.ledger import STOPPED, Ledger, State
from scanner.verdict import RunRecord, Severity
from tests.build.judged import judged_record

NOW = datetime.now(UTC)
CRITICAL = Severity.CRITICAL
CONFIG = """
[[environment]]
name = "production"
kind = "on-premises"
  [[environment.endpoint]]
  host = "shop.example.com"
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
notify = ["ops"]
[[schedule]]
name = "weekly"
cron = "0 3 * * sun"
[[notify]]
name = "ops"
url = "json://ops:S3CRETWORD@127.0.0.1:1/"
"""


@dataclass
class Serving:
    """What is asked of a service; the rest of it would scan."""

    engine: Engine
    setup: setup.Setup
    watch: Watch
    last_tick: float = field(default_factory=time.monotonic)
    last_delivery: float = field(default_factory=time.monotonic)
    state_problem: str = ""
    due_in: timedelta = timedelta(hours=1)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.engine)

    def next_starts(self) -> dict[str, datetime]:
        return dict.fromkeys(self.setup.schedules, NOW + self.due_in)

    def problems(self) -> list[str]:
        well, body = health(self, self.engine)  # type: ignore[arg-type]  # what it asks of a service
        assert well is not body["problems"]
        assert body["status"] == ("ok" if well else "failing")
        return list(body["problems"])

    def metrics(self) -> dict[tuple[str, ...], float]:
        registry = CollectorRegistry()
        registry.register(StateCollector(self, self.engine))  # type: ignore[arg-type]  # the same
        families = text_string_to_metric_families(generate_latest(registry).decode())
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}

    def ended(self, state: State, *, reason: str = "", schedule: str = "nightly", hours_ago: int = 1) -> None:
        due = NOW - timedelta(hours=hours_ago)
        self.ledger.add_due(schedule, due)
        (start,) = self.ledger.waiting(NOW)
        self.ledger.end(start, state, NOW, reason=reason)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    engine = open_state(tmp_path / "nightseal.sqlite")
    current = setup.load(tmp_path / "config.toml")
    watch = Watch(tmp_path / "config.toml")
    watch.follow(current)
    yield Serving(engine, current, watch)
    engine.dispose()


def look(serving: Serving) -> None:
    serving.watch._looked_s = float("-inf")
    serving.watch.look(serving.setup.config.files)


def test_a_service_that_is_well(serving: Serving) -> None:
    look(serving)
    serving.ended(State.FAILED, hours_ago=5)
    serving.ended(State.DONE)

    assert serving.problems() == []
    assert alive(serving)  # type: ignore[arg-type]  # what it asks of a service


def test_its_own_troubles(serving: Serving) -> None:
    serving.last_tick -= 300
    serving.state_problem = "disk I/O error"
    serving.due_in = timedelta(hours=-1)
    serving.last_delivery -= 3600

    said = serving.problems()

    assert "the main loop has stalled for 300 s" in said
    assert "the state file cannot be used: disk I/O error" in said
    assert any(text.startswith("schedule nightly was due at") for text in said)
    assert "no message was tried for 60 minutes" in said
    assert not alive(serving)  # type: ignore[arg-type]  # the same
    assert serving.metrics()["nightseal_state_broken",] == 1


@pytest.mark.parametrize(
    ("state", "reason", "wrong"),
    [
        (State.FAILED, "trust store gone.pem cannot be read", True),
        (State.INTERRUPTED, "its process was killed", True),
        (State.INCOMPLETE, "", True),
        (State.INCOMPLETE, STOPPED, False),
        (State.DONE, "", False),
        (State.SKIPPED, "the run before it was still in progress", False),
    ],
)
def test_a_failed_last_start_of_any_schedule(serving: Serving, state: State, reason: str, *, wrong: bool) -> None:
    serving.ended(State.DONE, schedule="nightly", hours_ago=3)
    serving.ended(state, reason=reason, schedule="weekly")

    said = serving.problems()
    metrics = serving.metrics()

    assert metrics["nightseal_last_start_failed", "weekly"] == wrong
    assert metrics["nightseal_last_start_failed", "nightly"] == 0
    assert len(said) == wrong
    if wrong:
        assert said[0].startswith("the last start of schedule weekly, due at ")
        assert said[0].endswith(f"ended as {state}" + (f": {reason}" if reason else ""))


def test_a_start_that_is_being_repeated_has_not_failed_yet(serving: Serving) -> None:
    serving.ended(State.INTERRUPTED)
    serving.ledger.again(serving.ledger.recent(1)[0], NOW)

    assert serving.problems() == []


def test_a_configuration_on_the_disk_that_is_refused_though_nobody_has_it_read(serving: Serving) -> None:
    path = serving.watch.config_path
    right = path.read_text("utf-8")
    look(serving)
    assert serving.problems() == []

    path.write_text(right.replace("0 2 * * *", "0 25 * * *"), "utf-8")
    look(serving)
    assert len(serving.problems()) == 1
    assert 'its hour "25" is not one' in serving.problems()[0]
    assert serving.metrics()["nightseal_config_refused",] == 1

    path.write_text(right.replace("json://ops", "jsn://ops"), "utf-8")
    look(serving)
    assert "notify[ops].url: is not an address" in serving.problems()[0]
    assert "S3CRETWORD" not in serving.problems()[0]

    path.unlink()
    look(serving)
    assert "there is no such file" in serving.problems()[0]

    path.write_text(right, "utf-8")
    look(serving)
    assert serving.problems() == []
    assert serving.metrics()["nightseal_config_refused",] == 0


def test_it_is_refused_until_what_it_names_is_mended(serving: Serving) -> None:
    path = serving.watch.config_path
    path.write_text(CONFIG + '[report]\nlogo = "logo.svg"\n', "utf-8")
    look(serving)
    assert len(serving.problems()) == 1

    (path.parent / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', "utf-8")
    look(serving)
    assert serving.problems() == []


def test_a_place_that_cannot_be_written_to(serving: Serving) -> None:
    look(serving)
    metrics = serving.metrics()
    assert {name: metrics["nightseal_place_unwritable", name] for name in ("state", "history", "output")} == {
        "state": 0, "history": 0, "output": 0,
    }  # fmt: skip
    assert metrics["nightseal_place_free_bytes", "history"] > 0

    # Where nothing can be written, whoever asks: root too.
    serving.watch.places = {**serving.watch.places, "history": Path("/proc/nightseal/history")}
    look(serving)
    assert serving.metrics()["nightseal_place_unwritable", "history"] == 1
    (problem,) = serving.problems()
    assert problem.startswith("history: /proc cannot be written to: ")


def test_a_message_that_waits_for_too_long(serving: Serving) -> None:
    message = Message(Level.INFO, "t", "x", "<p>x</p>")
    with serving.engine.begin() as connection:
        enqueue(connection, "ops", message, NOW - timedelta(hours=5))
        enqueue(connection, "gone", message, NOW - timedelta(days=5))
    assert serving.problems() == []

    with serving.engine.begin() as connection:
        enqueue(connection, "ops", message, NOW - timedelta(hours=7))
    (problem,) = serving.problems()
    assert problem.startswith("a message to the receiver ops waits since ")
    oldest = serving.metrics()["nightseal_outbox_oldest_timestamp_seconds", "ops"]
    assert oldest == pytest.approx((NOW - timedelta(hours=7)).timestamp(), abs=1)


def test_a_state_file_that_is_damaged_is_a_metric_and_not_the_end_of_all_metrics(serving: Serving) -> None:
    assert serving.metrics()["nightseal_state_broken",] == 0
    serving.engine.dispose()
    state = serving.setup.state
    state.with_name(f"{state.name}-wal").unlink(missing_ok=True)
    data = state.read_bytes()
    state.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))

    assert serving.metrics()["nightseal_state_broken",] == 1
    assert serving.metrics()["nightseal_config_refused",] == 0
    assert any("state file cannot be read: database disk image is malformed" in text for text in serving.problems())


def test_what_nobody_asked_is_counted_by_itself() -> None:
    record = judged_record(4).record
    before = numbers_of(record)["verdicts"]["production"]
    after = numbers_of(RuleChoice(skip=["proto.*"]).applied(record))["verdicts"]["production"]
    left_out = sum(number for key, number in after.items() if key.startswith("not-asked "))

    assert not [key for key in before if key.startswith("not-asked ")]
    assert left_out == sum(v.rule.startswith("proto.") for t in record.targets if t.environment == "production"
                           for v in t.verdicts)  # fmt: skip
    assert sum(after.values()) == sum(before.values())


def test_every_schedule_and_state_is_counted_from_nothing(serving: Serving) -> None:
    states = {"done", "incomplete", "failed", "interrupted", "skipped"}
    before = serving.metrics()
    assert {key[1:]: value for key, value in before.items() if key[0] == "nightseal_starts_total"} == {
        (schedule, state): 0 for schedule in ("nightly", "weekly") for state in states
    }

    serving.ended(State.FAILED)

    assert serving.metrics()["nightseal_starts_total", "nightly", "failed"] == 1


def test_what_the_configuration_no_longer_has_wakes_nobody(serving: Serving) -> None:
    record = judged_record(4).record
    numbers = numbers_of(record, {target.endpoint: ("platform-team",) for target in record.targets})
    assert {"production"} < set(numbers["targets"])
    assert {"production"} < set(numbers["owners"])
    with serving.engine.begin() as connection:
        for schedule in ("nightly", "retired"):
            connection.execute(insert(FACTS).values(schedule=schedule, facts=numbers))

    metrics = serving.metrics()

    assert {key[1] for key in metrics if key[0] == "nightseal_owner_failures"} == {"production"}
    about = [key for key in metrics if key[0] in {"nightseal_targets", "nightseal_verdicts"}]
    assert about
    assert {key[1:3] for key in about} == {("production", "nightly")}
    ends = {(key[2], key[1]) for key in metrics if key[0] == "nightseal_certificate_expiry_timestamp_seconds"}
    assert ends == {("production", "shop.example.com:443")}


def test_critical_failures_end_with_the_rule_that_found_them(serving: Serving) -> None:
    """So does the alert: a series that is gone is not the number that it had."""
    record = judged_record(4).record
    critical = {v.rule for t in record.targets for v in t.verdicts if v.counts_as_failure and v.severity is CRITICAL}
    assert critical

    def of(record: RunRecord) -> float:
        with serving.engine.begin() as connection:
            run_metrics.save(connection, "nightly", record)
        return serving.metrics().get(("nightseal_verdicts", "production", "nightly", "critical", "fail"), 0)

    assert of(record) > 0
    assert of(RuleChoice(skip=sorted(critical)).applied(record)) == 0


def test_a_certificate_that_was_replaced_ends_with_the_schedule_that_saw_the_new_one(serving: Serving) -> None:
    """A weekly run that is days old still has the old one."""
    weekly = numbers_of(judged_record(4).record)
    ours = ("production", "shop.example.com:443")
    (old,) = {name for *place, name, _ in weekly["certificates"] if tuple(place) == ours}
    nightly = {
        **weekly,
        "finished_at": weekly["finished_at"] + 3600,
        "certificates": [[*ours, "new", weekly["finished_at"] + 9e6]],
    }
    with serving.engine.begin() as connection:
        connection.execute(insert(FACTS).values(schedule="weekly", facts=weekly))

    def names() -> set[str]:
        return {key[3] for key in serving.metrics() if key[0] == "nightseal_certificate_expiry_timestamp_seconds"}

    assert names() == {old}
    with serving.engine.begin() as connection:
        connection.execute(insert(FACTS).values(schedule="nightly", facts=nightly))
    assert names() == {"new"}
    with serving.engine.begin() as connection:
        # Where it could not be reached tonight, what is known of it stays.
        connection.execute(
            update(FACTS).values(facts={**nightly, "certificates": []}).where(FACTS.c.schedule == "nightly")
        )
    assert names() == {old}
