"""What the metrics show of a schedule's last run, as it is kept in the state file."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite import insert as upsert

from scanner.history.facts import deployments_of
from scanner.state.database import FACTS
from scanner.verdict import RunRecord

_MOST_CERTIFICATES = 5000


def save(connection: Connection, schedule: str, record: RunRecord) -> None:
    """Keep the numbers of a run in place of those of the schedule's run before it."""
    facts = _numbers(record)
    statement = upsert(FACTS).values(schedule=schedule, facts=facts)
    connection.execute(statement.on_conflict_do_update(index_elements=["schedule"], set_={"facts": facts}))


def _numbers(record: RunRecord) -> dict[str, Any]:
    verdicts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    targets: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    certificates: dict[tuple[str, str, str], float] = {}
    for target in record.targets:
        targets[target.environment][target.status.value] += 1
        for verdict in target.verdicts:
            status = "waived" if verdict.waiver else verdict.status.value
            verdicts[target.environment][f"{status} {verdict.severity.value}"] += 1
        for deployment in deployments_of(target):
            name = (target.environment, target.address, deployment.leaf.fingerprint[:16])
            certificates[name] = deployment.leaf.not_after.timestamp()
    soonest = sorted(certificates.items(), key=lambda item: item[1])[:_MOST_CERTIFICATES]
    run = record.run
    return {
        "run_id": run.id,
        "complete": run.complete,
        "started_at": run.started_at.timestamp(),
        "finished_at": run.finished_at.timestamp(),
        "verdicts": {name: dict(counts) for name, counts in verdicts.items()},
        "targets": {name: dict(counts) for name, counts in targets.items()},
        "certificates": [[*name, end] for name, end in soonest],
    }
