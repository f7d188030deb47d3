"""What tests do with the service: schedules that they give it, and what they read of it."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from scanner.state.database import OUTBOX, open_state
from scanner.state.ledger import State
from tests.build.service import PATIENCE_S, Service, wait_for

ONCE_A_YEAR = "0 0 1 1 *"


RECEIVER = (
    '[[notify]]\nname = "hook"\nurl = "json://127.0.0.1:9/"\non = ["run-failed", "indeterminate", "new-failure"]\n'
)


def schedule(cron: str = ONCE_A_YEAR, **keys: object) -> str:
    keys = {"reports": [], "confirm_after": "1s", **keys}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return f'[[schedule]]\nname = "nightly"\ncron = "{cron}"\n{lines}\n'


def ready(running: Service) -> None:
    known = len(running.said("next start"))
    running.start()
    wait_for(lambda: len(running.said("next start")) > known, "the service")


def ended(running: Service, state: State, number: int = 1) -> None:
    wait_for(lambda: sum(start.state is state for start in running.starts()) >= number, f"{number} {state}")


def make_overdue(folder: Path, seconds: float) -> None:
    """As if the next start had been planned so long ago."""
    with sqlite3.connect(folder / "nightseal.sqlite") as raw:
        assert raw.execute("UPDATE apscheduler_jobs SET next_run_time = ?", (time.time() - seconds,)).rowcount == 1


def messages(folder: Path) -> list[str]:
    with open_state(folder / "nightseal.sqlite").begin() as connection:
        return [f"{row.title}\n{row.text}" for row in connection.execute(select(OUTBOX)).all()]


def stop(running: Service) -> None:
    running.started[-1].send_signal(signal.SIGTERM)
    assert running.started[-1].wait(PATIENCE_S) == 0


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310  # loopback
        text: str = response.read().decode()
    return text


def health(running: Service) -> tuple[int, list[str]]:
    """What /healthz says: its status, and what keeps the service from its work."""
    try:
        return 200, list(json.loads(fetch(f"{running.address}/healthz"))["problems"])
    except urllib.error.HTTPError as error:
        return error.code, list(json.loads(error.read())["problems"])


def metrics(running: Service) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and labels."""
    families = text_string_to_metric_families(fetch(f"{running.address}/metrics"))
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}
