"""What the service's metrics look like to a Prometheus, recorded for the dashboard's test.

`python -m tests.build.scrape >tests/packaging/scrape.txt` records it anew, after the service exports something new.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine, insert

from reports.export.numbers import numbers_of
from reports.message import Level, Message
from scanner.notify.outbox import enqueue
from scanner.service import setup
from scanner.service.metrics import StateCollector
from scanner.service.watch import Watch
from scanner.state.database import FACTS, RECEIVERS, open_state
from scanner.state.ledger import Ledger, State
from tests.build.judged import judged_record

CONFIG = """
[[environment]]
name = "production"
kind = "on-premises"
endpoint = [
  { host = "shop.example.com" },
  { host = "mail.example.com", port = 25, role = "server", starttls = "smtp" },
]
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
notify = ["ops"]
[[schedule]]
name = "weekly"
cron = "0 3 * * sun"
[[notify]]
name = "ops"
url = "json://127.0.0.1:1/"
"""


@dataclass
class _Serving:
    """What the metrics ask of a service."""

    setup: setup.Setup
    watch: Watch
    ledger: Ledger
    now: datetime
    state_problem: str = ""

    def next_starts(self) -> dict[str, datetime]:
        return dict.fromkeys(self.setup.schedules, self.now + timedelta(hours=1))


def scrape(folder: Path) -> bytes:
    """The metrics of a service with a run that was done, one that failed, and a receiver that takes nothing."""
    path = folder / "config.toml"
    path.write_text(CONFIG, "utf-8")
    engine = open_state(folder / "nightseal.sqlite")
    try:
        current, watch, now = setup.load(path), Watch(path), datetime.now(UTC)
        watch.follow(current)
        watch.look(current.config.files)
        _fill(engine, now)
        registry = CollectorRegistry()
        service = _Serving(current, watch, Ledger(engine), now)
        registry.register(StateCollector(service, engine))  # type: ignore[arg-type]  # all that it asks of one
        return generate_latest(registry)
    finally:
        engine.dispose()


def _fill(engine: Engine, now: datetime) -> None:
    ledger, an_hour_ago = Ledger(engine), now - timedelta(hours=1)
    for schedule, state in (("nightly", State.DONE), ("weekly", State.FAILED)):
        ledger.add_due(schedule, an_hour_ago)
        (start,) = ledger.waiting(now)
        ledger.claim(start, f"run-{schedule}", "", an_hour_ago)
        ledger.end(start, state, now)
    record = judged_record(4).record
    numbers = numbers_of(record, {target.endpoint: ("platform-team",) for target in record.targets})
    with engine.begin() as connection:
        connection.execute(insert(FACTS).values(schedule="nightly", facts=numbers))
        enqueue(connection, "ops", Message(Level.INFO, "t", "x", "<p>x</p>"), an_hour_ago)
        connection.execute(insert(RECEIVERS).values(name="ops", failing_since=an_hour_ago))


def main() -> None:
    """Print it."""
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.buffer.write(scrape(Path(folder)))


if __name__ == "__main__":
    main()
