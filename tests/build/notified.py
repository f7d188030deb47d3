"""Runs whose end is notified of, and what was told of them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from msgspec import structs
from sqlalchemy import Engine, select

from reports.deliver import Delivery
from reports.deliver_message import Entry, Notification, Section
from reports.message import Level, Message
from scanner.config.loading import Config, parse
from scanner.evidence import Failure, FailureReason
from scanner.notify.alarms import results_of
from scanner.notify.finished_run import FinishedRun
from scanner.notify.outbox import enqueue
from scanner.state.database import OUTBOX
from scanner.state.ledger import Ledger, Start
from scanner.verdict import AppliedWaiver, RunRecord, Severity, Status, TargetResult, TargetStatus
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


def config() -> Config:
    return parse(CONFIG, source="config.toml", folder=Path())


def section(event: str = "new-failure", level: Level = Level.FAILURE, *entries: Entry) -> Section:
    given = entries or (Entry("TLS 1.3 is offered", Severity.HIGH, ("e/a:443@192.0.2.1",)),)
    return Section(event, level, "A heading", f"{len(given)} things", given)


def notification(*sections: Section, **more: object) -> Notification:
    return structs.replace(Notification("nightly", "run-1", NOW, sections), **more)


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
    now = NOW + timedelta(hours=number)
    finished.tell(engine, now)
    finished.end(engine, now, 1, "summary", [])
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


def of_estate(*hosts: str, name: str = "production") -> str:
    endpoints = "".join(f'[[environment.endpoint]]\nhost = "{host}"\nrole = "server"\n' for host in hosts)
    return f'{CONFIG}\n[[environment]]\nname = "{name}"\nkind = "on-premises"\n{endpoints}'


SHOP = "shop.example.com"
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


WAIVER = AppliedWaiver("A vendor's update is planned", "qa", date(2027, 1, 1))
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
