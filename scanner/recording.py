"""What a run has gathered, and the record that is made of it: each target judged among all others.

Evidence of a large run is not in memory. Each target is noted once, by what others are compared with, and read again
when it is judged; so it does not matter how many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Self

from msgspec import Struct, field

import scanner
from scanner.coverage import Missing
from scanner.domains import Answering
from scanner.evaluate import Judging, target_status
from scanner.evidence import EvidenceStore, KeptEvidence, TargetEvidence
from scanner.grade import grade
from scanner.inventory import is_address
from scanner.probe.names import in_order
from scanner.probe.net.vantage import vantage_of
from scanner.probe.x509.trust import store_digests
from scanner.rules import Observed
from scanner.verdict import Run, RunRecord, TargetResult, Verdict, new_run_id

if TYPE_CHECKING:
    from scanner.inventory import Environment, Target
    from scanner.pipeline import Job
    from scanner.probe.dns import Resolved

_INSECURE = "workers of zones by a broker without mutual TLS"
ENGINES = ("sslyze", "nassl", "tlslite-ng", "h11", "h2", "cryptography", "certifi")
"""The libraries that observe, whose versions a run records."""


class RunEvidence(Struct):
    """What a run has gathered so far: it outlives a cancellation. `resolved` has the targets by endpoint."""

    endpoints: int
    store: EvidenceStore
    resolved: dict[int, Sequence[Resolved]] = field(default_factory=dict)
    evidence: dict[str, KeptEvidence] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job) -> Self:
        """Nothing yet."""
        endpoints = len(job.inventory.endpoints)
        return cls(endpoints, EvidenceStore(few=endpoints <= job.held))

    def keep(self, target_id: str, evidence: TargetEvidence) -> KeptEvidence:
        """Put away what was seen at a target, in place of what was kept of it before."""
        kept = self.evidence[target_id] = self.store.keep(evidence)
        return kept

    @property
    def targets(self) -> list[Target]:
        """The targets that are known, in the order of their endpoints."""
        return [item.target for item in in_order(self.resolved)]

    @property
    def expected(self) -> int:
        """How many targets there are; a name that is not resolved yet counts as one."""
        return self.endpoints - len(self.resolved) + sum(map(len, self.resolved.values()))


def recorded(job: Job, seen: RunEvidence, started_at: datetime, *, complete: bool) -> RunRecord:
    """Judge what was seen: each target is noted first, and then read again with those that it is compared with."""
    now = datetime.now(UTC)
    environments = {environment.name: environment for environment in job.inventory.environments}
    targets = seen.targets
    observed = [(target, seen.evidence[target.id]) for target in targets if target.id in seen.evidence]
    answering = Answering(environments, every_address=job.addresses == "all")
    judging = Judging(environments, job.policies, job.waivers, now)
    missing = Missing(job.inventory)
    for target, kept in observed:
        item = Observed(target, kept.read())
        # Where nobody answers at all, there is nothing to compare either.
        for taking in (answering, judging, missing):
            taking.note(item)
    absent = answering.absent(target.endpoint for target, _ in observed)
    gone = {domain.endpoint for domain in absent}
    present: dict[str, list[tuple[Target, KeptEvidence]]] = defaultdict(list)
    for target, kept in observed:
        if target.endpoint.id not in gone:
            present[target.endpoint.id].append((target, kept))
    results = tuple(
        result for addresses in present.values() for result in _results(addresses, environments, judging, job)
    )
    listed, listed_total = missing.listed()
    run_facts = Run(
        id=job.run_id or new_run_id(started_at),
        trigger=job.trigger,
        started_at=started_at,
        finished_at=now,
        policy=job.policy.ref,
        policies={name: policy.ref for name, policy in job.policies.items()},
        complete=complete,
        expected_targets=seen.expected - (len(observed) - len(results)),
        tool_version=scanner.__version__,
        environments=tuple(environments),
        schedule=job.schedule,
        config_digest=job.config_digest,
        trust_stores=store_digests(
            {name for environment in environments for name in job.settings.stores_for(environment)}
        ),
        engines={name: metadata.version(name) for name in ENGINES},
        absent_domains=absent,
        vantage=vantage_of(_place_of(job), (item.ip for item in targets if item.ip), job.settings),
        not_covered=listed,
        not_covered_total=listed_total,
    )
    return RunRecord(run_facts, results)


def _letter(item: Observed, now: datetime) -> str | None:
    """The grade; none of a file, which accepts no connections."""
    endpoint = item.target.endpoint
    if endpoint.is_file:
        return None
    return grade(item.evidence, endpoint.host, endpoint.port, endpoint.role, now).letter


def _results(
    addresses: Sequence[tuple[Target, KeptEvidence]],
    environments: Mapping[str, Environment],
    judging: Judging,
    job: Job,
) -> Iterator[TargetResult]:
    """The results of one endpoint's addresses. Their evidence is in memory only meanwhile."""
    observed = [Observed(target, kept.read()) for target, kept in addresses]
    verdicts = judging.verdicts(observed)
    for item, (target, kept) in zip(observed, addresses, strict=True):
        environment = environments[target.endpoint.environment]
        yield _result(item, environment, job, verdicts[target.id], judging.now).with_evidence(kept)


def _result(
    item: Observed, environment: Environment, job: Job, verdicts: tuple[Verdict, ...], now: datetime
) -> TargetResult:
    target, endpoint = item.target, item.target.endpoint
    status, error = target_status(item.evidence, verdicts)
    return TargetResult(
        id=target.id,
        environment=environment.name,
        environment_kind=environment.kind,
        host=endpoint.host,
        port=endpoint.port,
        # Behind a proxy a name is its own address: which one it has there, nobody here knows.
        ip=target.ip if target.ip and is_address(target.ip) else None,
        role=endpoint.role,
        status=status,
        policy=job.policies[environment.name].ref,
        applications=tuple(application.name for application in endpoint.applications),
        starttls=endpoint.starttls,
        http_port=endpoint.http_port,
        error=error,
        duration_s=item.evidence.duration_s,
        connections=item.evidence.connections,
        verdicts=verdicts,
        grade=_letter(item, now),
        implied_by=endpoint.implied_by,
    )


def _place_of(job: Job) -> str:
    """What the place is called from which it is looked; that a broker is not known by mutual TLS is told with it."""
    open_to_others = job.fleet is not None and job.fleet.insecure
    return "; ".join(part for part in (job.vantage, _INSECURE if open_to_others else "") if part)
