"""OpenMetrics, for monitoring: the counts of the last run, and when each certificate ends.

A file for a textfile collector, or the body of an HTTP answer. No metric has a label per rule and target: that many
time series would help nobody; the other formats have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, StateSetMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from reports.view.certificates import certificates_of
from reports.view.environments import environments_of
from reports.view.index import Index, is_failure
from reports.view.standing import Standing
from scanner.verdict import RunRecord, Severity, TargetStatus


def to_openmetrics(record: RunRecord) -> str:
    """Write a run as OpenMetrics text, ending in `# EOF`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Run(record))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library is typed in part
    return text.decode()


class _Run(Collector):
    def __init__(self, record: RunRecord) -> None:
        self._record = record

    def collect(self) -> Iterator[Metric]:
        run = self._record.run
        yield InfoMetricFamily(
            "nightseal_run",
            "The last run.",
            {"id": run.id, "version": run.tool_version, "policy": run.policy.id, "policy_version": run.policy.version},
        )
        yield GaugeMetricFamily(
            "nightseal_run_finished_timestamp_seconds", "When the last run ended.", run.finished_at.timestamp()
        )
        yield GaugeMetricFamily(
            "nightseal_run_complete",
            "1 where the last run looked at every target, 0 where it was interrupted.",
            run.complete,
        )
        index = Index.of(self._record)
        yield _targets(self._record)
        yield from _environments(index)
        yield _failures(self._record)
        yield _certificates(index)


def _targets(record: RunRecord) -> Metric:
    metric = GaugeMetricFamily("nightseal_targets", "Targets by how far they were looked at.", labels=_TARGET_LABELS)
    counts = Counter((target.environment, target.status) for target in record.targets)
    for environment in dict.fromkeys(target.environment for target in record.targets):
        for status in TargetStatus:
            metric.add_metric([environment, status.value], counts[environment, status])
    return metric


_TARGET_LABELS = ("environment", "status")


def _environments(index: Index) -> Iterator[Metric]:
    standing = StateSetMetricFamily(
        "nightseal_standing", "How an environment stands towards a goal.", labels=("environment", "goal")
    )
    checks = GaugeMetricFamily(
        "nightseal_checks",
        "Checks by outcome; failures that only inform are notes.",
        labels=("environment", "goal", "outcome"),
    )
    for environment in environments_of(index):
        for goal, cell in environment.goals.items():
            names = [environment.name, goal.value]
            standing.add_metric(names, {item.value: cell.standing is item for item in Standing})
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


def _certificates(index: Index) -> Metric:
    metric = GaugeMetricFamily(
        "nightseal_certificate_not_after_timestamp_seconds",
        "When a certificate ends that a target serves.",
        labels=("target", "fingerprint"),
    )
    for certificate in certificates_of(index):
        for target in certificate.targets:
            metric.add_metric([target.id, certificate.fingerprint], certificate.not_after.timestamp())
    return metric
