"""The service killed with SIGKILL at random instants: no start is lost, none is run twice, nobody is told twice.

`NIGHTSEAL_KILLS=50 pytest -s tests/acceptance/test_daemon_kills.py` kills oftener and prints what it found.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from scanner.history import History
from scanner.lab import Lab
from scanner.state.database import OUTBOX, open_state
from scanner.state.ledger import ENDED, Start, State
from tests.build.service import Service, kill_tree, service, wait_for

KILLS = int(os.environ.get("NIGHTSEAL_KILLS", "3"))
PERIOD = timedelta(seconds=4)
TICK = timedelta(seconds=2)
"""How long after it is due a start may not be entered yet."""
PHASES = (None, State.CLAIMED, State.RUNNING, State.RECORDED, State.TOLD, State.DONE)
LONGEST_WAIT_S = 1.5
LONG_PATIENCE_S = 270.0
"""For what comes after attempts from before were brought to their end: on a busy machine each loads for half a minute."""
SCHEDULE = """
[[schedule]]
name = "often"
cron = "*/4 * * * * *"
reports = []
notify = ["hook"]
attempts = 1000
confirm_after = "1s"
"""
RECEIVER = """
[[notify]]
name = "hook"
url = "json://127.0.0.1:9/"
on = ["new-failure"]
"""


def wait_for_instant(running: Service, chance: random.Random) -> None:
    """Some instant after a new attempt came as far as one phase or another; or any, from the service's very start on."""
    phase = chance.choice(PHASES)
    if phase is not None:
        known = max((start.id for start in running.starts()), default=0)
        order = PHASES.index(phase)
        wait_for(
            lambda: any(s.id > known and s.state in PHASES[order:] for s in running.starts()),
            f"an attempt {phase}",
            LONG_PATIENCE_S,
        )
    time.sleep(chance.uniform(0, LONGEST_WAIT_S))


def kill_some(running: Service, chance: random.Random) -> str:
    """SIGKILL to the service, or to it and its run, or to the run alone."""
    victim = chance.choice(["service", "service and run", "run"])
    process = running.started[-1]
    if victim == "service":
        process.kill()
    elif victim == "service and run":
        kill_tree(process.pid)
    else:
        children = psutil.Process(process.pid).children()
        for child in children:
            kill_tree(child.pid)
    if victim != "run":
        process.wait()
    return victim


def idle(running: Service) -> bool:
    starts = running.starts()
    return bool(starts) and all(start.state in ENDED for start in starts)


# Each wait has a patience of its own, and says what it waited for; this is their sum.
@pytest.mark.timeout(LONG_PATIENCE_S * (KILLS + 3))
def test_killed_at_random_instants_it_loses_and_doubles_nothing(tmp_path: Path, small_lab: Lab) -> None:
    chance = random.Random(20260301)  # noqa: S311  # instants to kill at, no secret
    victims: Counter[str] = Counter()
    deaths: list[datetime] = []
    with service(tmp_path, small_lab, "good", "expired", schedule=SCHEDULE, more=RECEIVER) as running:
        running.real_runs = True  # the next service knows them by their command lines
        for _ in range(KILLS):
            if not running.started or running.started[-1].poll() is not None:
                running.start()
            wait_for_instant(running, chance)
            victim = kill_some(running, chance)
            victims[victim] += 1
            if victim != "run":
                deaths.append(datetime.now(UTC))
        if running.started[-1].poll() is not None:
            running.start()
        restarted = datetime.now(UTC)
        wait_for(
            lambda: any(s.state is State.DONE and s.due > restarted for s in running.starts()),
            "a run after all",
            LONG_PATIENCE_S,
        )
        # From now on nothing new is due, and what was begun is brought to its end.
        running.configure(SCHEDULE.replace("*/4 * * * * *", "0 0 1 1 *"))
        running.started[-1].send_signal(signal.SIGHUP)
        wait_for(lambda: running.said("configuration is read again"), "the reload")
        wait_for(lambda: idle(running), "the end of all runs", LONG_PATIENCE_S)
        running.started[-1].send_signal(signal.SIGTERM)
        assert running.started[-1].wait(60) == 0

        starts = running.starts()
        history = History.open(tmp_path / "history", create=False)
        recorded = history.runs()
        lost, doubled = judged(starts, recorded["run_id"].astype(str).tolist(), absences(running, deaths))
        print(  # noqa: T201  # the counts are what a long run is for
            f"\n{KILLS} kills ({dict(victims)}): {len(starts)} attempts at {len({s.due for s in starts})} starts, "
            f"{len(recorded)} runs, {dict(Counter(s.state.value for s in starts))}; {lost} lost, {doubled} doubled"
        )
        assert (lost, doubled) == (0, 0)
        assert recorded["complete"].all()
        assert recorded["targets"].eq(2).all()
        for run_id in recorded["run_id"]:
            assert len(history.record(str(run_id)).targets) == 2
        assert len(history.targets()) == 2 * len(recorded)
        with open_state(tmp_path / "nightseal.sqlite").begin() as connection:
            titles = [row.title for row in connection.execute(select(OUTBOX)).all()]
        assert len(titles) == 1, "the same failures are told once, whoever was killed meanwhile"
        assert not tracebacks(running.log.read_text())


def tracebacks(log: str) -> list[str]:
    """Those in the service's log."""
    return log.split("Traceback (most recent call last)")[1:]


def absences(running: Service, deaths: list[datetime]) -> list[tuple[datetime, datetime]]:
    """From when to when there was no service: until the next one had planned its starts."""
    planned = [datetime.fromisoformat(line["timestamp"]) for line in running.said("schedule often: next start")]
    return [(death, min(moment for moment in planned if moment > death)) for death in deaths]


def judged(starts: list[Start], run_ids: list[str], absent: list[tuple[datetime, datetime]]) -> tuple[int, int]:
    """How many starts were lost, and how many run twice."""
    by_due: dict[datetime, list[Start]] = defaultdict(list)
    for start in starts:
        by_due[start.due].append(start)
    lost = doubled = 0
    for attempts in by_due.values():
        runs = [run_ids.count(str(start.run_id)) for start in attempts]
        skipped = attempts[-1].state is State.SKIPPED
        lost += sum(runs) == 0 and not skipped
        doubled += sum(runs) > 1
    doubled += len(run_ids) - len({start.run_id for start in starts} & set(run_ids))
    for before, after in pairwise(sorted(by_due)):
        missing = before + PERIOD
        while missing < after - timedelta(milliseconds=1):
            # Starts that fall into one time without a service are made up for by one.
            lost += not any(death - TICK <= missing <= back for death, back in absent)
            missing += PERIOD
    return lost, doubled
