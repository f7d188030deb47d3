"""A run in numbers, for monitoring: what the service keeps of each schedule's last run, and what a file has of a run.

Both have the same names and labels, so that the alert rules that ship hold for either.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from scanner.history.facts import deployments_of
from scanner.verdict import CountedAs, RunRecord, Severity, TargetStatus

_MOST_CERTIFICATES: Final = 5000
"""Those that end first: a series for each, in every scrape."""

_MOST_OWNERS: Final = 100
"""Those with the most failures; the others are counted together."""
_OTHERS: Final = "(others)"
_SEVERITIES: Final = tuple(item.value for item in Severity if item is not Severity.INFO)

Numbers = Mapping[str, Any]
"""Plain values, which can be kept as JSON."""


def numbers_of(record: RunRecord, owners: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """Count a run: targets and verdicts by environment, failures by owner, and when each certificate ends.

    `owners` are those of each endpoint. A failure of two owners counts for both.
    """
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    targets: dict[str, dict[str, int]] = {}
    certificates: dict[tuple[str, str, str], float] = {}
    for target in record.targets:
        targets.setdefault(target.environment, {status.value: 0 for status in TargetStatus})[target.status.value] += 1
        for verdict in target.verdicts:
            status = "waived" if verdict.waiver else "not-asked" if verdict.not_asked else verdict.status.value
            verdicts[target.environment][f"{status} {verdict.severity.value}"] += 1
        for deployment in deployments_of(target):
            for item in deployment.ending:
                certificates[target.environment, target.address, item.fingerprint[:16]] = item.not_after.timestamp()
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
        "owners": _by_owner(record, owners or {}),
    }


def _by_owner(record: RunRecord, owners: Mapping[str, Sequence[str]]) -> dict[str, dict[str, dict[str, int]]]:
    """The failures that count, by environment, owner and severity; every owner of a target has its zeros."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for target in record.targets:
        counts = Counter(item.severity.value for item in target.verdicts if item.counted_as is CountedAs.NOT_MET)
        for name in owners.get(target.endpoint, ()):
            of_it = found.setdefault(target.environment, {}).setdefault(name, dict.fromkeys(_SEVERITIES, 0))
            for severity, number in counts.items():
                of_it[severity] += number
    return found


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
    by_owner = GaugeMetricFamily(
        "nightseal_owner_failures",
        "Failures that count in the last run, by owner; a failure with two owners counts for both",
        labels=["schedule", "environment", "owner", "severity"],
    )
    for schedule, run in sorted(numbers.items()):
        duration.add_metric([schedule], run["finished_at"] - run["started_at"])
        for environment, counts in run["targets"].items():
            for status, number in counts.items():
                targets.add_metric([schedule, environment, status], number)
        for environment, counts in run["verdicts"].items():
            for key, number in counts.items():
                verdicts.add_metric([schedule, environment, *key.split(" ")], number)
        for key, number in _most(run.get("owners", {})).items():
            by_owner.add_metric([schedule, *key], number)
    for labels, end in _ends(numbers.values()).items():
        certificates.add_metric(list(labels), end)
    yield from (duration, targets, verdicts, certificates)
    if by_owner.samples:
        yield by_owner


def _most(found: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Counter[tuple[str, str, str]]:
    """The failures of so many owners, and of all others together, by environment, owner and severity."""
    totals: Counter[str] = Counter()
    for owners in found.values():
        for name, counts in owners.items():
            totals[name] += sum(counts.values())
    named = {name for name, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:_MOST_OWNERS]}
    counted: Counter[tuple[str, str, str]] = Counter()
    for environment, owners in found.items():
        for name, counts in owners.items():
            for severity, number in counts.items():
                counted[environment, name if name in named else _OTHERS, severity] += number
    return counted


def _ends(runs: Iterable[Numbers]) -> dict[tuple[str, str, str], float]:
    """When each certificate ends. An address has those of the last run that saw it: another's may be replaced since."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for run in sorted(runs, key=lambda run: run["finished_at"]):
        seen: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for environment, address, name, end in run["certificates"]:
            seen[environment, address][name] = end
        found |= seen
    return {(*place, name): end for place, ends in found.items() for name, end in ends.items()}
