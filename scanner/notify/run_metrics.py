"""What the metrics show of a schedule's last run, as it is kept in the state file."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as upsert

from reports.export.numbers import numbers_of
from scanner.notify.owners import Owners
from scanner.state.database import FACTS
from scanner.verdict import RunRecord


def save(
    connection: Connection, schedule: str, record: RunRecord, owners: Owners | None = None, *, narrowed: bool = False
) -> None:
    """Keep the numbers of a run in place of those of the schedule's run before it.

    One that was `narrowed` to some of the schedule's environments leaves those of the others as they were.
    """
    facts = numbers_of(record, owners)
    before = connection.scalar(select(FACTS.c.facts).where(FACTS.c.schedule == schedule)) if narrowed else None
    if before:
        facts = _with_others(facts, before, set(record.run.environments))
    statement = upsert(FACTS).values(schedule=schedule, facts=facts)
    connection.execute(statement.on_conflict_do_update(index_elements=["schedule"], set_={"facts": facts}))


def _with_others(facts: dict[str, Any], before: dict[str, Any], visited: set[str]) -> dict[str, Any]:
    """The numbers with those of the environments that were not visited."""
    targets, verdicts = (
        {name: counts for name, counts in before[kind].items() if name not in visited}
        for kind in ("targets", "verdicts")
    )
    owners = {name: counts for name, counts in before.get("owners", {}).items() if name not in visited}
    certificates = [item for item in before["certificates"] if item[0] not in visited]
    return facts | {
        "targets": targets | facts["targets"],
        "verdicts": verdicts | facts["verdicts"],
        "owners": owners | facts["owners"],
        "certificates": [*certificates, *facts["certificates"]],
    }
