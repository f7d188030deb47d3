"""What the metrics show of a schedule's last run, as it is kept in the state file."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert as upsert

from reports.export.numbers import numbers_of
from scanner.state.database import FACTS
from scanner.verdict import RunRecord


def save(connection: Connection, schedule: str, record: RunRecord) -> None:
    """Keep the numbers of a run in place of those of the schedule's run before it."""
    facts = numbers_of(record)
    statement = upsert(FACTS).values(schedule=schedule, facts=facts)
    connection.execute(statement.on_conflict_do_update(index_elements=["schedule"], set_={"facts": facts}))
