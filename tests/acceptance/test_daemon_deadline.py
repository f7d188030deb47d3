"""A run whose time is over before it has begun to scan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scanner.service.children import Children
from scanner.state.database import open_state
from scanner.state.ledger import Ledger, State
from tests.build.service import wait_for

CONFIG = """
[[environment]]
name = "e"
kind = "on-premises"
endpoint = [{ host = "shop.example.com" }]
[[schedule]]
name = "nightly"
cron = "0 0 1 1 *"
reports = []
"""


def test_it_fails_by_its_deadline_and_is_not_taken_for_killed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whose process was killed is repeated, and would run out of time again."""
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    state, now = tmp_path / "nightseal.sqlite", datetime.now(UTC)
    engine = open_state(state)
    ledger = Ledger(engine)
    ledger.add_due("nightly", now)
    (start,) = ledger.waiting(now)
    ledger.keep_configuration("0" * 64, CONFIG, now)
    ledger.claim(start, "20261130T000000Z-000000", "0" * 64, now)
    children = Children(state, tmp_path / "config.toml")

    children.begin(ledger.get(start.id), timedelta(0))
    told = children.enforce_deadlines()
    wait_for(children.reap, "the end of its process")

    assert [late.id for late in told] == [start.id], "at once, and it takes seconds to load"
    ended = ledger.get(start.id)
    assert (ended.state, ended.reason) == (State.FAILED, "its deadline passed before the scan began")
    assert "Traceback" not in capfd.readouterr().err
    engine.dispose()
