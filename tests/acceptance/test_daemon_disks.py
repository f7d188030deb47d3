"""The service on disks that are full, or that became read-only."""

from __future__ import annotations

import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scanner.history import History
from scanner.lab import Lab
from tests.build import disks
from tests.build.daemon import (
    ONCE_A_YEAR,
    RECEIVER,
    health,
    messages,
    metrics,
    ready,
    schedule,
    stop,
)
from tests.build.disks import fill
from tests.build.service import service, wait_for


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small_disk(tmp_path / "disk") as place:
        yield place


def test_a_full_disk_is_told_and_the_earlier_history_is_whole(small_disk: Path, small_lab: Lab) -> None:
    folder = small_disk.parent
    text = schedule(notify=["hook"])
    with service(
        folder, small_lab, "good", schedule=text, more=f'{RECEIVER}\n[nightseal]\nhistory = "disk/history"\n'
    ) as running:
        ready(running)
        assert running.command("run", "--via-daemon", "--schedule", "nightly").returncode == 0
        filler = small_disk / "filler"
        fill(filler)
        failed = running.command("run", "--via-daemon", "--schedule", "nightly")
        assert failed.returncode == 4
        assert "No space left on device" in failed.stderr
        waiting = re.search(r"run (\S+) was done, but its results could not be kept", failed.stderr)
        assert waiting, failed.stderr
        wait_for(lambda: any("the run failed" in message for message in messages(folder)), "a message")
        history = History.open(small_disk / "history", create=False)
        (run_id,) = history.runs()["run_id"].astype(str)
        assert history.record(run_id).targets[0].evidence is not None

        # Whoever watches the service is told of each thing that is wrong, and each is a metric as well.
        wait_for(lambda: metrics(running)["nightseal_place_unwritable", "history"], "a look at the disk", 15)
        right = (folder / "config.toml").read_text("utf-8")
        (folder / "config.toml").write_text(right.replace(ONCE_A_YEAR, "0 25 * * *"), "utf-8")
        seven_hours_ago = (datetime.now(UTC) - timedelta(hours=7)).strftime("%Y-%m-%dT%H:%M:%S.%f")
        with sqlite3.connect(folder / "nightseal.sqlite") as raw:
            raw.execute("UPDATE outbox SET created_at = ? WHERE delivered_at IS NULL", (seven_hours_ago,))
        running.started[0].send_signal(signal.SIGHUP)
        wait_for(lambda: running.said("is refused, and the previous one stays"), "the refusal")
        status, problems = health(running)
        assert status == 503
        begins = (
            "history: ", "a message to the receiver hook waits since ", "the configuration on the disk is refused: ",
            "the last start of schedule nightly, due at ",
        )  # fmt: skip
        assert all(any(problem.startswith(begin) for problem in problems) for begin in begins), problems
        values = metrics(running)
        assert values["nightseal_last_start_failed", "nightly"] == 1
        assert values["nightseal_config_refused",] == 1
        assert values["nightseal_place_unwritable", "history"] == 1
        assert time.time() - values["nightseal_outbox_oldest_timestamp_seconds", "hook"] > 6 * 3600

        filler.unlink()
        (folder / "config.toml").write_text(right, "utf-8")
        with sqlite3.connect(folder / "nightseal.sqlite") as raw:
            raw.execute("DELETE FROM outbox")
        running.started[0].send_signal(signal.SIGHUP)
        wait_for(lambda: running.said("is read again"), "the reload")
        assert running.command("run", "--via-daemon", "--schedule", "nightly").returncode == 0
        # The run that had no room waited for the next one, which brought it in first.
        earlier, brought_in, _ = history.runs()["run_id"].astype(str)
        assert (earlier, brought_in) == (run_id, waiting[1])
        assert history.record(waiting[1]).targets[0].evidence is not None
        assert health(running) == (200, [])
        stop(running)


def test_on_a_full_disk_the_service_does_not_start_and_is_started_again(small_disk: Path, small_lab: Lab) -> None:
    """Whatever supervises it must not take it for a wrong configuration, with which it is never started again."""
    with service(
        small_disk.parent, small_lab, "good", schedule=schedule(), daemon='state = "disk/s.sqlite"'
    ) as running:
        fill(small_disk / "filler")
        refused = running.command("daemon")
        assert refused.returncode == 4
        assert "disk/s.sqlite cannot be used: database or disk is full (make room;" in refused.stderr
        assert "itself failed" not in refused.stderr


def test_the_service_begins_on_a_history_that_became_read_only(small_disk: Path, small_lab: Lab) -> None:
    folder = small_disk.parent
    with service(
        folder, small_lab, "good", schedule=schedule(), more='[nightseal]\nhistory = "disk/history"'
    ) as running:
        History.open(small_disk / "history", create=True)
        with disks.read_only(small_disk):
            ready(running)
            status, problems = wait_for(lambda: health(running) if health(running)[1] else None, "a problem")
            assert status == 503
            assert problems == [f"history: {small_disk}/history cannot be written to: Read-only file system"]
        stop(running)


def test_a_full_disk_under_the_state_file_stops_nothing_for_ever(small_disk: Path, small_lab: Lab) -> None:
    folder = small_disk.parent
    text = schedule("*/2 * * * * *")
    with service(folder, small_lab, "good", schedule=text, daemon='state = "disk/s.sqlite"') as running:
        ready(running)
        filler = small_disk / "filler"
        fill(filler)
        wait_for(lambda: [line for line in running.lines() if "full" in line["event"]], "a line about it")
        assert running.started[0].poll() is None
        asked = running.command("run", "--via-daemon", "--schedule", "nightly")
        # Refused for now, and not for good: nobody waits for a run that will never be.
        assert asked.returncode == 4, asked.stderr
        assert (
            "s.sqlite cannot be used: database or disk is full (make room; no run can begin until then)" in asked.stderr
        )
        assert [line for line in running.lines() if line["event"].startswith("a one-off run was asked for: ")]
        filler.unlink()
        number = len(running.said("begun"))
        wait_for(lambda: len(running.said("begun")) > number, "another run")
