"""The sample runs judged by the real rules and the default policy, so that reports are tested on real words."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from reports.view import ReportView, build_view
from scanner import policy
from scanner.evaluate import evaluate
from scanner.evidence import Attempt, TargetEvidence
from scanner.inventory import (
    Address,
    Application,
    ApplicationKind,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    Integration,
    IntegrationKind,
    PathSetting,
    Target,
)
from scanner.policy import Policy
from scanner.rules import Observed, all_rules
from scanner.verdict import RunRecord, Severity, Status, TargetResult
from scanner.waiver import Waiver
from tests.build.records import sample_record

WAIVERS = (
    Waiver("cert.trusted", "legacy/*", "Replaced with the ERP in autumn", "platform-team", date(2026, 4, 20)),
    Waiver("proto.no-tls1.0", "legacy/*", "Vendor update planned", "erp-team", date(2026, 3, 1)),
    Waiver("cert.key", "test/old.example.com:443", "Retired soon", "qa", date(2026, 6, 30)),
)
"""One in use that ends soon, one that has expired on a failure which is still there, and one that covers nothing."""


@dataclass(frozen=True)
class Judged:
    """A run and what it was judged by."""

    record: RunRecord
    environments: Mapping[str, Environment]
    policies: Mapping[str, Policy]


@functools.cache
def judged_record(night: int = 4, judged_by: str = "https-by-default") -> Judged:
    """The run of a night, its verdicts given by the real rules under a policy that ships."""
    record = sample_record(night)
    default = policy.load(judged_by)
    environments = _environments(record)
    policies = dict.fromkeys(environments, default)
    observed = [Observed(_target(target, environments), _evidence(target, record)) for target in record.targets]
    verdicts = evaluate(observed, environments, policies, WAIVERS, record.run.started_at)
    targets = tuple(
        dataclasses.replace(target, verdicts=verdicts[target.id], policy=default.ref) for target in record.targets
    )
    run = dataclasses.replace(record.run, policy=default.ref, policies={})
    return Judged(RunRecord(run, targets), environments, policies)


def judged_view(record: RunRecord | None = None, **more: object) -> ReportView:
    """The report's view of the last night, or of another run, with everything that is known besides."""
    judged = judged_record(4)
    known = {
        "environments": judged.environments,
        "policies": judged.policies,
        "waivers": WAIVERS,
        "previous": judged_record(1).record,
    }
    return build_view(record or judged.record, rules=all_rules(), **(known | more))  # type: ignore[arg-type]  # passed through


def _environments(record: RunRecord) -> dict[str, Environment]:
    endpoints: dict[str, dict[tuple[str, int], Endpoint]] = {name: {} for name in record.run.environments}
    for target in record.targets:
        applications = tuple(_application(name) for name in target.applications)
        endpoint = Endpoint(
            target.environment, target.host, target.port, target.role, target.http_port, target.starttls, applications
        )
        endpoints[target.environment][target.host, target.port] = endpoint
    return {
        name: Environment(
            name,
            EnvironmentKind.ON_PREMISES if name == "legacy" else EnvironmentKind.PAAS,
            tuple(found.values()),
            default_domain="example.com",
            hsts=name == "production",
            force_https_screens=name != "legacy",
        )
        for name, found in endpoints.items()
    }


def _application(name: str) -> Application:
    kind = ApplicationKind.REACTIVE_WEB if name == "Shop" else ApplicationKind.TRADITIONAL_WEB
    integrations = (Integration("/API/rest/v1", IntegrationKind.REST, HttpsLevel.TLS),) if name == "API" else ()
    return Application(name, kind, paths=(PathSetting(f"/{name}/Home", HttpsLevel.TLS),), integrations=integrations)


def _target(target: TargetResult, environments: Mapping[str, Environment]) -> Target:
    endpoint = next(
        item
        for item in environments[target.environment].endpoints
        if (item.host, item.port) == (target.host, target.port)
    )
    return Target(endpoint, Address(target.ip, target.port, target.http_port) if target.ip else None)


def _evidence(target: TargetResult, record: RunRecord) -> TargetEvidence:
    """What the scanner keeps of a target that gave no answer: the failure, everywhere."""
    if target.evidence is not None:
        return target.evidence
    return TargetEvidence(
        record.run.started_at,
        0.0,
        0,
        Attempt(failure=target.error),
        Attempt(failure=target.error),
        Attempt(failure=target.error),
    )


def counts_by_hand(record: RunRecord) -> dict[str, int]:
    """Counted from the verdicts themselves, by what the contract says of each number."""
    fails = [item for item in record.verdicts if item.status is Status.FAIL]
    unwaived = [item for item in fails if item.waiver is None]
    return {
        "not_met": sum(item.severity is not Severity.INFO for item in unwaived),
        "notes": sum(item.severity is Severity.INFO for item in unwaived),
        "waived": len(fails) - len(unwaived),
        "not_assessed": sum(item.status is Status.INDETERMINATE for item in record.verdicts),
        "met": sum(item.status is Status.PASS for item in record.verdicts),
        "does_not_apply": sum(item.status is Status.NOT_APPLICABLE for item in record.verdicts),
    }
