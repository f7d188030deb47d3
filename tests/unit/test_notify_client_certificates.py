"""The certificate by which a client identifies itself is told before its end, as one of a server is."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from scanner.config.loading import parse
from scanner.evidence import Attempt, Deployment, TargetEvidence, TlsEvidence
from scanner.notify.alarms import results_of
from scanner.notify.expiry import expiring
from scanner.notify.finished_run import FinishedRun
from scanner.state.database import OUTBOX
from scanner.state.ledger import Ledger
from scanner.verdict import RunRecord, TargetStatus
from tests.build.certificates import leaf
from tests.build.records import sample_record

END = datetime(2026, 9, 30, 14, tzinfo=UTC)
FILES = ("client:tls/shop.pem", "file:stores/app.p12")
CONFIG = """
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
notify = ["all"]
[[notify]]
name = "all"
url = "json://127.0.0.1/"
on = ["expiring"]
"""


def record_of(host: str) -> RunRecord:
    """A run whose only target is a file, with a certificate of a year."""
    own = leaf("client", not_before=END - timedelta(days=365), days=365)
    tls = TlsEvidence(certificates=Attempt.ok((Deployment((own,)),)))
    record = sample_record(0)
    target = dataclasses.replace(
        record.targets[0],
        id=f"production/{host}@file", host=host, port=0, ip=None, status=TargetStatus.ASSESSED,
        evidence=TargetEvidence(END, 0.0, 0, tls=Attempt.ok(tls)),
    )  # fmt: skip
    return dataclasses.replace(record, targets=(target,))


def told(engine: Engine, record: RunRecord, days: float) -> str:
    """What the receiver is told so many days before the end; nothing where there is no message."""
    ledger, due = Ledger(engine), END - timedelta(days=days)
    ledger.add_due("nightly", due)
    (start,) = ledger.waiting(due)
    ledger.claim(start, f"run-{days}", "digest", due)
    config = parse(CONFIG, source="config.toml", folder=Path())
    FinishedRun(config, config.schedules[0], ledger.get(start.id), record, record, results_of(record), [], []).tell(
        engine, due
    )
    with engine.begin() as connection:
        rows = connection.execute(select(OUTBOX).where(OUTBOX.c.start_id == start.id)).all()
    return "\n".join(f"{row.title}\n{row.text}" for row in rows)


@pytest.mark.parametrize("host", FILES)
def test_who_is_told_reads_which_file_it_is_and_when_it_ends(engine: Engine, host: str) -> None:
    text = told(engine, record_of(host), 29.5)
    assert "1 certificate expiring" in text
    assert "ends on 2026-09-30 13:59 UTC" in text
    assert host in text


@pytest.mark.parametrize("host", FILES)
def test_each_step_is_told_once_and_the_end_is_not_one(engine: Engine, host: str) -> None:
    record, nights = record_of(host), [70.0, 59.0, 58.0, 29.0, 12.0, 11.0, 3.0, -1.0]
    assert [bool(told(engine, record, days)) for days in nights] == [
        False, True, False, True, True, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("host", FILES)
def test_the_certificate_is_the_files_own(host: str) -> None:
    (found,) = expiring(record_of(host), END - timedelta(days=3), ())
    assert (found.targets, found.leaf, round(found.days_left(END - timedelta(days=3)))) == (
        (f"production/{host}@file",),
        True,
        3,
    )
