"""Waivers that accepted nothing in the last run of each environment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scanner.errors import Problem
from scanner.evaluate import report_waivers
from scanner.history import History

if TYPE_CHECKING:
    from scanner.config.loading import Config


def unused_waivers(config: Config, place: str, known: set[str]) -> list[Problem]:
    """Those of which the history at `place` says so; `known` holds the keys of those that are wrong anyway."""
    history = History(place)
    if not history.location.holds_history():
        return []
    latest = {item.name: history.latest(item.name) for item in config.inventory.environments}
    records = {run_id: history.record(run_id, evidence=False) for run_id in set(latest.values()) if run_id}
    targets = [
        target
        for run_id, record in records.items()
        for target in record.targets
        if latest.get(target.environment) == run_id
    ]
    scanned = {target.environment for target in targets}
    unused = report_waivers(targets, config.waivers, datetime.now(UTC).date()).unused
    return [
        Problem(f"waiver[{index}]", f"{waiver.rule} at {waiver.scope} accepted nothing in the last run")
        for index, waiver in enumerate(config.waivers, 1)
        if waiver in unused and f"waiver[{index}]" not in known and any(map(waiver.within, scanned))
    ]
