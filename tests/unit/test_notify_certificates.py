"""Receivers are told that a certificate changed: what is no renewal as a warning, renewals where they ask for them."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, select

from scanner.config.loading import parse
from scanner.evidence import Attempt, Certificate
from scanner.notify.alarms import results_of
from scanner.notify.finished_run import FinishedRun
from scanner.state.database import OUTBOX
from scanner.state.ledger import Ledger
from scanner.verdict import RunRecord
from tests.build.certificates import leaf
from tests.build.records import sample_record

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
CONFIG = """
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
notify = ["all", "default"]
[[notify]]
name = "all"
url = "json://127.0.0.1/"
on = ["certificate-changed", "certificate-renewed"]
[[notify]]
name = "default"
url = "json://127.0.0.1/"
"""
OLD = leaf("monitor.example.com", not_before=datetime(2026, 2, 20, tzinfo=UTC), days=90)
RENEWED = leaf("monitor.example.com", not_before=datetime(2026, 3, 1, tzinfo=UTC), days=90, key="other")
FOREIGN = dataclasses.replace(RENEWED, issuer="CN=*Evil* @here,O=Elsewhere")


def with_leaf(certificate: Certificate) -> RunRecord:
    record = sample_record(0)

    def changed(target):
        if target.host != "monitor.example.com":
            return target
        tls = target.evidence.tls.value
        (deployment,) = tls.certificates.value
        shown = dataclasses.replace(deployment, chain=(certificate, *deployment.chain[1:]))
        tls = dataclasses.replace(tls, certificates=Attempt.ok((shown,)))
        return dataclasses.replace(target, evidence=dataclasses.replace(target.evidence, tls=Attempt.ok(tls)))

    return dataclasses.replace(record, targets=tuple(map(changed, record.targets)))


def told(engine: Engine, before: Certificate, after: Certificate, number: int) -> dict[str, str]:
    """What each receiver is told of a night."""
    ledger, due = Ledger(engine), NOW + timedelta(hours=number)
    ledger.add_due("nightly", due)
    (start,) = ledger.waiting(due)
    ledger.claim(start, f"run-{number}", "digest", due)
    config = parse(CONFIG, source="config.toml", folder=Path())
    record = with_leaf(after)
    FinishedRun(
        config, config.schedules[0], ledger.get(start.id), record, with_leaf(before), results_of(record), [], []
    ).tell(engine, due)
    with engine.begin() as connection:
        rows = connection.execute(select(OUTBOX).where(OUTBOX.c.start_id == start.id)).all()
    return {row.receiver: f"{row.title}\n{row.text}" for row in rows}


def test_a_renewal_is_told_to_those_who_ask_for_it(engine: Engine) -> None:
    (found,) = [text for receiver, text in told(engine, OLD, RENEWED, 0).items() if receiver == "all"]
    assert "1 certificate renewed" in found
    assert re.search(r"renewed, until 2026-05-29\. key: [0-9a-f]{16} → [0-9a-f]{16}", found), found
    assert "production/monitor.example.com:443" in found
    assert "changed" not in found.partition("\n")[0]
    assert "renewed" not in told(engine, OLD, RENEWED, 1).get("default", "")


def test_what_is_no_renewal_is_told_to_everybody_and_no_issuers_words_are_markup(engine: Engine) -> None:
    found = told(engine, OLD, FOREIGN, 0)
    for receiver in ("all", "default"):
        assert "1 certificate changed, not by renewal" in found[receiver]
        assert "Example Issuing CA 1 (Example Trust Services) → " in found[receiver]
        assert "*Evil*" not in found[receiver]
        assert "@here" not in found[receiver]


def test_a_server_that_goes_back_and_forth_is_told_once_each_way(engine: Engine) -> None:
    steps = [(OLD, FOREIGN), (FOREIGN, OLD), (OLD, FOREIGN), (FOREIGN, OLD)]
    found = [told(engine, *step, number).get("all", "") for number, step in enumerate(steps)]
    assert ["changed, not by renewal" in text for text in found] == [True, True, False, False]


def test_a_night_without_a_change_says_nothing(engine: Engine) -> None:
    assert "all" not in told(engine, OLD, OLD, 0)
