"""A run for monitoring, as OpenMetrics or as Prometheus text: its counts, and when each certificate ends.

The same metrics in two notations. A textfile collector and Prometheus itself read the text of Prometheus (`.prom`);
OpenMetrics is what its standard's readers take. The names that the service's /metrics has too are made in
`reports.export.numbers`. No metric has a label per rule and target: that many time series would help nobody; the other
formats have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client import generate_latest as generate_prometheus
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from reports.export.numbers import families_of, numbers_of
from reports.view.environments import environments_of
from reports.view.index import Index, is_failure
from reports.view.part import part_in_words
from reports.view.standing import Standing
from scanner.verdict import RunRecord, Severity

if TYPE_CHECKING:
    from scanner.ownership import Ownership


def to_openmetrics(record: RunRecord, *, owners: Mapping[str, Ownership] | None = None) -> str:
    """Write a run as OpenMetrics text, ending in `# EOF`."""
    text: bytes = generate_latest(_registry(record, owners or {}))  # type: ignore[no-untyped-call]  # the library is typed in part
    return text.decode()


def to_prometheus(record: RunRecord, *, owners: Mapping[str, Ownership] | None = None) -> str:
    """Write a run as Prometheus text, version 0.0.4."""
    return generate_prometheus(_registry(record, owners or {})).decode()


def _registry(record: RunRecord, owners: Mapping[str, Ownership]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Run(record, {place: item.owners for place, item in owners.items()}))
    return registry


class _Run(Collector):
    def __init__(self, record: RunRecord, owners: Mapping[str, tuple[str, ...]]) -> None:
        self._record = record
        self._owners = owners

    def collect(self) -> Iterator[Metric]:
        run = self._record.run
        # Gauges, not info and stateset: readers of Prometheus text refuse a whole file for a type that they don't know.
        labels = {
            "id": run.id,
            "version": run.tool_version,
            "policy": run.policy.id,
            "policy_version": run.policy.version,
            **({"part": part_in_words(run.part)} if run.part else {}),
        }
        info = GaugeMetricFamily("nightseal_run_info", "The last run.", labels=tuple(labels))
        info.add_metric(tuple(labels.values()), 1)
        yield info
        yield GaugeMetricFamily(
            "nightseal_run_finished_timestamp_seconds", "When the last run ended.", run.finished_at.timestamp()
        )
        yield GaugeMetricFamily(
            "nightseal_run_complete",
            "1 if the last run scanned every target, 0 if it was interrupted.",
            run.complete,
        )
        if run.complete:
            success = GaugeMetricFamily(
                "nightseal_last_success_timestamp_seconds", "When the last complete run ended", labels=["schedule"]
            )
            success.add_metric([run.schedule or ""], run.finished_at.timestamp())
            yield success
        yield from families_of({run.schedule or "": numbers_of(self._record, self._owners)})
        yield from _environments(Index.of(self._record))
        yield _failures(self._record)


def _environments(index: Index) -> Iterator[Metric]:
    standing = GaugeMetricFamily(
        "nightseal_standing",
        "1 for the present standing of an environment towards a goal, 0 for the other standings.",
        labels=("environment", "goal", "nightseal_standing"),
    )
    checks = GaugeMetricFamily(
        "nightseal_checks",
        "Checks by outcome; failures that only inform are notes.",
        labels=("environment", "goal", "outcome"),
    )
    for environment in environments_of(index):
        for goal, cell in environment.goals.items():
            names = [environment.name, goal.value]
            for item in Standing:
                standing.add_metric([*names, item.value], cell.standing is item)
            for outcome in ("passed", "failed", "notes", "waived", "indeterminate", "not_applicable"):
                checks.add_metric([*names, outcome], getattr(cell, outcome))
    yield standing
    yield checks


def _failures(record: RunRecord) -> Metric:
    metric = GaugeMetricFamily(
        "nightseal_failures",
        "Failures that count, by severity.",
        labels=("environment", "severity"),
    )
    counts = Counter(
        (target.environment, verdict.severity)
        for target in record.targets
        for verdict in target.verdicts
        if is_failure(verdict)
    )
    for environment in dict.fromkeys(target.environment for target in record.targets):
        for severity in Severity:
            if severity is not Severity.INFO:
                metric.add_metric([environment, severity.value], counts[environment, severity])
    return metric
