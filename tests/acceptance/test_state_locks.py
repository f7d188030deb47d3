"""What a reload looks at takes nothing from the service that does it."""

from __future__ import annotations

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scanner.config.loading import load
from scanner.service import preflight
from scanner.state.database import open_state

CONFIG = """
[[environment]]
name = "production"
kind = "on-premises"
  [[environment.endpoint]]
  host = "a.example"
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
"""


def locks_on(path: Path) -> list[str]:
    """This process's POSIX locks on a file, as Linux lists them."""
    inode = path.stat().st_ino
    lines = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return [" ".join(line[1:]) for line in lines if line[4] == str(os.getpid()) and line[5].endswith(f":{inode}")]


def test_a_reload_ends_none_of_the_services_locks_on_its_state_file(tmp_path: Path) -> None:
    """They end when any descriptor of the file is closed by the process that holds them."""
    (tmp_path / "config.toml").write_text(CONFIG)
    state = tmp_path / "nightseal.sqlite"
    engine = open_state(state)
    with engine.begin():
        held = locks_on(state)
        assert held, "SQLite holds one"

        preflight.check(load(tmp_path / "config.toml"))

        assert locks_on(state) == held
        # So it would be otherwise.
        state.open("rb").close()
        assert locks_on(state) == []
    engine.dispose()


def test_two_that_begin_a_state_file_wait_for_each_other(tmp_path: Path) -> None:
    """A service and a command beside it: SQLite refuses the second the switch to its log at once, without waiting."""
    state = tmp_path / "nightseal.sqlite"
    first = sqlite3.connect(state, isolation_level=None)
    first.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(open_state, state)
        time.sleep(0.5)
        first.execute("COMMIT")
        second.result(timeout=60).dispose()
    first.close()
