"""A run in numbers, for monitoring: what the service keeps of each schedule's last run, and what a file has of a run.

Both have the same names and labels, so that the alert rules that ship hold for either.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from scanner.history.facts import deployments_of
from scanner.verdict import RunRecord, TargetStatus

_MOST_CERTIFICATES: Final = 5000
"""Those that end first: a series for each, in every scrape."""

Numbers = Mapping[str, Any]
"""Plain values, which can be kept as JSON."""


def numbers_of(record: RunRecord) -> dict[str, Any]:
    """Count a run: targets and verdicts by environment, and when each certificate ends."""
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    targets: dict[str, dict[str, int]] = {}
    certificates: dict[tuple[str, str, str], float] = {}
    for target in record.targets:
        targets.setdefault(target.environment, {status.value: 0 for status in TargetStatus})[target.status.value] += 1
        for verdict in target.verdicts:
            status = "waived" if verdict.waiver else "not-asked" if verdict.not_asked else verdict.status.value
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
        "targets": targets,
        "certificates": [[*name, end] for name, end in soonest],
    }


def families_of(numbers: Mapping[str, Numbers]) -> Iterator[Metric]:
    """The metrics of each schedule's last run; a run that no schedule asked for has an empty name."""
    duration = GaugeMetricFamily("nightseal_run_duration_seconds", "Duration of the last run", labels=["schedule"])
    targets = GaugeMetricFamily(
        "nightseal_targets", "Targets of the last run", labels=["schedule", "environment", "status"]
    )
    verdicts = GaugeMetricFamily(
        "nightseal_verdicts", "Verdicts of the last run", labels=["schedule", "environment", "status", "severity"]
    )
    certificates = GaugeMetricFamily(
        "nightseal_certificate_expiry_timestamp_seconds",
        "When a certificate ends",
        labels=["environment", "address", "fingerprint"],
    )
    ends: dict[tuple[str, str, str], float] = {}
    for schedule, run in sorted(numbers.items()):
        duration.add_metric([schedule], run["finished_at"] - run["started_at"])
        for environment, counts in run["targets"].items():
            for status, number in counts.items():
                targets.add_metric([schedule, environment, status], number)
        for environment, counts in run["verdicts"].items():
            for key, number in counts.items():
                verdicts.add_metric([schedule, environment, *key.split(" ")], number)
        ends |= {(environment, address, name): end for environment, address, name, end in run["certificates"]}
    for labels, end in ends.items():
        certificates.add_metric(list(labels), end)
    yield from (duration, targets, verdicts, certificates)
