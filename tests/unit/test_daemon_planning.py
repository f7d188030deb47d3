"""What the service enters into its ledger, by a clock that the tests set, across restarts and damage."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from scanner.config.form import ScheduleForm
from scanner.errors import ExitStatus, StateError, UsageError
from scanner.service.cron import ScheduleTrigger, trigger_of
from scanner.service.planning import Planner
from scanner.state.database import cannot_use, open_state
from scanner.state.ledger import Ledger, State

NIGHTLY = "30 2 * * *"


def triggers(cron: str = NIGHTLY, timezone: str = "Europe/Lisbon", name: str = "nightly") -> dict[str, ScheduleTrigger]:
    form = ScheduleForm.model_validate({"name": name, "cron": cron, "timezone": timezone})
    return {name: trigger_of(form, "config.toml")}


class Served:
    """A planner that lives from one moment to another."""

    def __init__(self, engine: Engine, cron: str = NIGHTLY, timezone: str = "Europe/Lisbon") -> None:
        self.ledger = Ledger(engine)
        self.engine = engine
        self.triggers = triggers(cron, timezone)

    def live(self, since: datetime, until: datetime, step: timedelta = timedelta(minutes=30)) -> None:
        planner = Planner(self.engine, self.ledger)
        now = since
        with time_machine.travel(now, tick=False) as clock:
            planner.start(self.triggers, now)
            while now <= until:
                clock.move_to(now)
                planner.tick()
                now += step
            planner.stop()

    @property
    def dues(self) -> list[str]:
        return [f"{start.due:%m-%d %H:%M}" for start in self.ledger.recent(1000)[::-1]]


@pytest.mark.parametrize(
    ("timezone", "month", "expected"),
    [
        ("Europe/Lisbon", 3, ["03-28 02:30", "03-29 01:30", "03-30 01:30"]),
        ("Europe/Lisbon", 10, ["10-24 01:30", "10-25 02:30", "10-26 02:30"]),
        ("Europe/Berlin", 3, ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("Europe/Berlin", 10, ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
    ],
)
def test_a_service_that_lives_through_a_change_of_clocks(
    engine: Engine, timezone: str, month: int, expected: list[str]
) -> None:
    served = Served(engine, timezone=timezone)
    first = datetime(2026, month, int(expected[0][3:5]), tzinfo=UTC)

    served.live(first, first + timedelta(days=3))

    assert served.dues == expected


def test_after_a_stop_of_any_length_a_missed_start_is_entered_once(engine: Engine) -> None:
    served = Served(engine)
    served.live(datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 2, 12, tzinfo=UTC))
    served.live(datetime(2026, 6, 10, 12, tzinfo=UTC), datetime(2026, 6, 11, 12, tzinfo=UTC))

    assert served.dues == ["01-02 02:30", "01-03 02:30", "06-11 01:30"]
    served.live(datetime(2026, 6, 11, 12, 1, tzinfo=UTC), datetime(2026, 6, 11, 13, tzinfo=UTC))
    assert len(served.dues) == 3, "nothing was missed, nothing is made up for"


def test_a_first_attempt_that_begins_late_is_marked(engine: Engine) -> None:
    ledger = Ledger(engine)
    due = datetime(2026, 1, 1, tzinfo=UTC)
    for minutes, name in ((1, "a"), (30, "b")):
        ledger.add_due(name, due)
        (start,) = [start for start in ledger.waiting(due) if start.schedule == name]
        assert ledger.claim(start, f"run-{name}", "digest", due + timedelta(minutes=minutes))
        assert ledger.get(start.id).late is (name == "b")
        assert not ledger.claim(start, "run-again", "digest", due)


def test_a_machine_that_slept_makes_up_for_one_night(engine: Engine) -> None:
    served = Served(engine)
    served.live(datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 9, 12, tzinfo=UTC), step=timedelta(days=5))

    assert len(served.dues) == 1


def test_a_clock_that_is_set_back_repeats_nothing_and_puts_nothing_off(engine: Engine) -> None:
    ledger = Ledger(engine)
    planner = Planner(engine, ledger)
    ahead = datetime(2031, 1, 1, 2, 31, tzinfo=UTC)
    plan = triggers(timezone="UTC")
    with time_machine.travel(ahead - timedelta(minutes=2), tick=False) as clock:
        planner.start(plan, ahead - timedelta(minutes=2))
        clock.move_to(ahead)
        planner.tick()
        assert len(ledger.recent(10)) == 1
        # An hour back, over the start that was entered already.
        hour = ahead - timedelta(hours=1)
        clock.move_to(hour)
        planner.change(plan, hour)
        clock.move_to(ahead)
        planner.tick()
        assert len(ledger.recent(10)) == 1
        # And from a wrong year to the right one: the next night counts, not the one of 2031.
        right = datetime(2026, 5, 1, 12, tzinfo=UTC)
        clock.move_to(right)
        planner.change(plan, right)
        assert planner.next_starts()["nightly"] == datetime(2026, 5, 2, 2, 30, tzinfo=UTC)


def test_a_schedule_that_is_changed_or_removed(engine: Engine) -> None:
    planner = Planner(engine, Ledger(engine))
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    planner.start({**triggers(timezone="UTC"), **triggers("0 4 * * *", "UTC", "other")}, now)
    assert set(planner.next_starts()) == {"nightly", "other"}

    planner.change(triggers("0 3 * * *", "UTC"), now)

    assert planner.next_starts() == {"nightly": datetime(2026, 5, 2, 3, tzinfo=UTC)}


def test_a_job_that_cannot_be_read_any_more_is_still_made_up_for(engine: Engine, tmp_path: Path) -> None:
    served = Served(engine)
    served.live(datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=UTC))
    with sqlite3.connect(tmp_path / "state.sqlite") as raw:
        raw.execute("UPDATE apscheduler_jobs SET job_state = x'00'")

    served.live(datetime(2026, 1, 3, 12, tzinfo=UTC), datetime(2026, 1, 4, 12, tzinfo=UTC))

    assert served.dues == ["01-02 02:30", "01-04 02:30"]


def test_a_start_is_entered_once_and_taken_once(engine: Engine) -> None:
    ledger = Ledger(engine)
    due = datetime(2026, 1, 1, tzinfo=UTC)
    assert ledger.add_due("nightly", due)
    assert not ledger.add_due("nightly", due)
    (start,) = ledger.waiting(due)
    ledger.claim(start, "run", "digest", due)

    assert ledger.take(start.id, 10, 1.0)
    assert not ledger.take(start.id, 11, 1.0)
    taken = ledger.get(start.id)
    assert ledger.take_over(taken, 12, 2.0)
    assert not ledger.take_over(taken, 13, 2.0)
    assert ledger.end(start, State.DONE, due)
    assert not ledger.end(start, State.FAILED, due)
    assert ledger.get(start.id).state is State.DONE


def test_an_attempt_that_was_given_up_is_not_taken(engine: Engine) -> None:
    ledger = Ledger(engine)
    due = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.add_due("nightly", due)
    (start,) = ledger.waiting(due)
    ledger.claim(start, "run", "digest", due)
    ledger.end(start, State.INTERRUPTED, due)

    assert not ledger.take(start.id, 10, 1.0)
    assert [item.id for item in ledger.unrepeated(due - timedelta(days=1))] == [start.id]
    again = ledger.again(start, due)
    assert again is not None
    assert (again.attempt, again.state) == (2, State.WAITING)
    assert ledger.again(start, due) is None
    assert ledger.unrepeated(due - timedelta(days=1)) == []
    assert [item.id for item in ledger.earlier_attempts(again)] == [start.id]


def test_the_ledger_forgets_what_is_old_but_not_what_is_compared_with(engine: Engine) -> None:
    ledger = Ledger(engine)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.keep_configuration("digest", "text", begin)
    for day in range(120):
        moment = begin + timedelta(days=day)
        ledger.add_due("nightly", moment)
        (start,) = ledger.waiting(moment)
        ledger.claim(start, f"run-{day:03}", "digest", moment)
        ledger.end(start, State.DONE, moment)

    assert ledger.forget(begin + timedelta(days=110)) == 20
    assert ledger.previous_run("nightly", "run-119") == "run-118"
    assert ledger.configuration("digest") == "text"


def test_the_state_file_is_its_owners_alone(tmp_path: Path) -> None:
    open_state(tmp_path / "s.sqlite").dispose()

    assert stat.S_IMODE((tmp_path / "s.sqlite").stat().st_mode) == 0o600


def damage(state: Path) -> None:
    """Everything behind the first page is lost, as by a disk that fails."""
    with sqlite3.connect(state) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    data = state.read_bytes()
    state.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))


def test_a_state_file_that_cannot_be_used_now_is_no_wrong_configuration(tmp_path: Path) -> None:
    """With the status of that, whatever supervises the service would never start it again."""
    path = tmp_path / "s.sqlite"
    for number in (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EMFILE):
        found = cannot_use(path, OSError(number, os.strerror(number)))
        assert (type(found), found.exit_code) == (StateError, ExitStatus.INTERNAL)
    for number in (errno.EACCES, errno.ENOENT, errno.ENOTDIR):
        assert isinstance(cannot_use(path, OSError(number, os.strerror(number))), UsageError)
    open_state(path).dispose()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as full:
            raw.execute("CREATE TABLE large (text)")
    found = cannot_use(path, DatabaseError("INSERT", None, full.value))
    assert isinstance(found, StateError)
    assert str(found) == f"{path} cannot be used: database or disk is full (make room; no run can begin until then)"


def test_what_is_no_state_file(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("a text that is no database at all, and longer than a header is" * 10)
    with pytest.raises(UsageError, match="cannot be used"):
        open_state(tmp_path / "text.sqlite")
    with pytest.raises(UsageError, match="cannot be used: No such file or directory"):
        open_state(tmp_path / "missing" / "s.sqlite")
    open_state(tmp_path / "damaged.sqlite").dispose()
    damage(tmp_path / "damaged.sqlite")
    with pytest.raises(UsageError, match=r"malformed \(move it away, and a new one is created"):
        open_state(tmp_path / "damaged.sqlite")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=r"folder cannot be used: .*\[daemon\] state names another place"):
        open_state(tmp_path / "folder")
    engine = open_state(tmp_path / "newer.sqlite")
    engine.dispose()
    with sqlite3.connect(tmp_path / "newer.sqlite") as raw:
        raw.execute("UPDATE about SET value = '99'")
    with pytest.raises(UsageError, match="newer Nightseal"):
        open_state(tmp_path / "newer.sqlite")
