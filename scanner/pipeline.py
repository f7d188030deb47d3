"""From an inventory to the record of a run: resolve, dispatch, evaluate.

It writes nothing and prints nothing: whoever calls it keeps the record and shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import scanner
from scanner.coverage import not_covered
from scanner.dispatch import Progress
from scanner.domains import absent_domains
from scanner.evaluate import evaluate, target_status
from scanner.evidence import Attempt, Failure, FailureReason, TargetEvidence
from scanner.fleet.settings import FleetSettings
from scanner.formats import load
from scanner.grade import grade
from scanner.inventory import Environment, Inventory, Target, is_address
from scanner.known_keys import PublishedKeys, compared
from scanner.policy import Policy
from scanner.probe import ProbeSettings
from scanner.probe.authority import stage as authority
from scanner.probe.dns import Resolved
from scanner.probe.names import Names, in_order
from scanner.probe.net.vantage import vantage_of
from scanner.probe.x509.files import read_files
from scanner.probe.x509.trust import store_digests
from scanner.probing import Scope, probed
from scanner.rules import Observed, all_rules
from scanner.verdict import Run, RunRecord, TargetResult, Trigger, Verdict, new_run_id
from scanner.waiver import Waiver

if TYPE_CHECKING:
    from scanner.fleet.coordinator import FleetDispatcher

_INSECURE = "workers of zones by a broker without mutual TLS"
_LOCAL_ALONE = '[dispatch] engine = "local" has only this machine'
ENGINES = ("sslyze", "nassl", "tlslite-ng", "h11", "h2", "cryptography", "certifi")
"""The libraries that observe, whose versions a run records."""


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a run needs to know. `policies` holds the policy of each environment, by its name.

    `workers` 0 lets the dispatcher choose. `run_id` is the run's id where it was chosen before. `known` is evidence
    that is taken as it is instead of probing the target of that id again; `on_evidence` is given what was seen at each
    other target, as soon as it is. `backwards` begins with the last target. `answers` is the folder in which answers of
    certificate authorities are kept from one run to the next; None keeps none.
    `fleet` is how workers of zones are reached, None where there are none. `vantage` is what the
    place is called from which it is looked.
    """

    inventory: Inventory
    policy: Policy
    policies: Mapping[str, Policy]
    settings: ProbeSettings
    concurrency: int = 50
    workers: int = 0
    addresses: Literal["all", "first", "ipv4", "ipv6"] = "all"
    waivers: Sequence[Waiver] = ()
    trigger: Trigger = Trigger.MANUAL
    schedule: str | None = None
    config_digest: str = ""
    run_id: str | None = None
    known: Mapping[str, TargetEvidence] = field(default_factory=dict)
    on_evidence: Callable[[str, TargetEvidence], None] | None = None
    backwards: bool = False
    answers: Path | None = None
    vantage: str = ""
    fleet: FleetSettings | None = None


@dataclass(slots=True)
class _Seen:
    """What a run has gathered so far: it outlives a cancellation. `resolved` has the targets by endpoint."""

    endpoints: int
    resolved: dict[int, Sequence[Resolved]] = field(default_factory=dict)
    evidence: dict[str, TargetEvidence] = field(default_factory=dict)

    @property
    def targets(self) -> list[Target]:
        """The targets that are known, in the order of their endpoints."""
        return [item.target for item in in_order(self.resolved)]

    @property
    def expected(self) -> int:
        """How many targets there are; a name that is not resolved yet counts as one."""
        return self.endpoints - len(self.resolved) + sum(map(len, self.resolved.values()))


def run(job: Job, on_progress: Callable[[Progress], None] | None = None) -> RunRecord:
    """Run a job to its end. Interrupted (KeyboardInterrupt), it returns what was finished, as an incomplete record."""
    started_at = datetime.now(UTC)
    seen = _Seen(len(job.inventory.endpoints))
    complete = True
    try:
        asyncio.run(_observe(job, seen, on_progress))
    except KeyboardInterrupt:
        complete = False
    return _record(job, seen, started_at, complete=complete)


async def execute(job: Job, on_progress: Callable[[Progress], None] | None = None) -> RunRecord:
    """The same within a running event loop: cancelled, it returns what was finished, as an incomplete record."""
    started_at = datetime.now(UTC)
    seen = _Seen(len(job.inventory.endpoints))
    complete = True
    try:
        await _observe(job, seen, on_progress)
    except asyncio.CancelledError:
        complete = False
    return _record(job, seen, started_at, complete=complete)


@dataclass(slots=True)
class _Sorting:
    """Which targets are probed here, which by workers of zones, and which not at all: all goes into what is seen."""

    job: Job
    seen: _Seen
    environments: Mapping[str, Environment]
    look_at: Callable[[TargetEvidence], None]
    _elsewhere: list[Target] = field(default_factory=list)
    _all_known: asyncio.Event = field(default_factory=asyncio.Event)

    async def files(self) -> None:
        """Look into the files that are here; those of zones are on the machines of their workers."""
        targets = {place: Target(item, None) for place, item in enumerate(self.job.inventory.endpoints) if item.is_file}
        for place, target in targets.items():
            self.seen.resolved[place] = (Resolved(target),)
        here = [target for target in targets.values() if self._sorted(Resolved(target))]
        found = await asyncio.to_thread(read_files, [item.endpoint for item in here], self.job.settings.stores_for)
        for target in here:
            self._seen(target, found[target.endpoint.id])

    async def here(self, names: Names, order: Sequence[int]) -> AsyncGenerator[Target]:
        """The targets that are probed here, as their names are resolved; `order` has the endpoints' places."""
        async for place, known in names.resolved():
            self.seen.resolved[order[place]] = known
            for item in reversed(known) if self.job.backwards else known:
                if self._sorted(item):
                    yield item.target
        self._all_known.set()

    def _sorted(self, item: Resolved) -> bool:
        """Whether a target is to be looked at here."""
        evidence = self._without_probing(item)
        if evidence is not None:
            self._seen(item.target, evidence)
        elif self._zone(item.target) is None:
            return True
        else:
            self._elsewhere.append(item.target)
        return False

    def _seen(self, target: Target, evidence: TargetEvidence) -> None:
        self.seen.evidence[target.id] = evidence
        self.look_at(evidence)

    async def elsewhere(self) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
        """What workers of zones find."""
        # Targets of one address go to one worker: all have to be known first.
        await self._all_known.wait()
        if self._elsewhere and self.job.fleet is not None:
            dispatched = _fleet_of(self.job, self.job.fleet).dispatch(self._elsewhere, self.environments)
            async with contextlib.aclosing(dispatched):
                async for found in dispatched:
                    yield found

    def _zone(self, target: Target) -> str | None:
        return self.environments[target.endpoint.environment].zone

    def _without_probing(self, item: Resolved) -> TargetEvidence | None:
        """What is known of a target already, or why it can't be probed."""
        known = self.job.known.get(item.target.id)
        if known is not None:
            return known
        if item.failure is not None:
            return _unresolved(item.failure)
        zone = self._zone(item.target)
        if zone is not None and self.job.fleet is None:
            return _unresolved(Failure(FailureReason.NO_WORKER, f'zone "{zone}": {_LOCAL_ALONE}'))
        return None


async def _observe(job: Job, seen: _Seen, on_progress: Callable[[Progress], None] | None) -> None:
    environments = {environment.name: environment for environment in job.inventory.environments}
    job = dataclasses.replace(job, settings=dataclasses.replace(job.settings, questions=_questions(job)))
    endpoints = job.inventory.endpoints
    order = [place for place, endpoint in enumerate(endpoints) if not endpoint.is_file]
    order = order[:: -1 if job.backwards else 1]
    async with (
        Names.of([endpoints[place] for place in order], job.settings, job.addresses) as names,
        authority.opened(job.settings, job.answers) as authorities,
    ):
        sorting = _Sorting(job, seen, environments, authorities.look_at)
        await sorting.files()
        scope = Scope(
            job.settings,
            environments,
            frozenset(endpoint.host for endpoint in endpoints if not endpoint.is_file),
            names.addresses,
            len(endpoints),
            names.addresses_of,
            job.concurrency,
            job.workers,
            on_progress,
            lambda: seen.expected,
        )
        observed = _merged(probed(sorting.here(names, order), scope), sorting.elsewhere())
        async with contextlib.aclosing(observed):
            async for target, evidence in observed:
                seen.evidence[target.id] = evidence
                authorities.look_at(evidence)
                if job.on_evidence:
                    job.on_evidence(target.id, evidence)
        await authorities.finish(job.settings.deadline_s)
        for target_id, evidence in seen.evidence.items():
            seen.evidence[target_id] = authorities.completed(evidence)
    published = PublishedKeys(Path(job.settings.published_keys)) if job.settings.published_keys else None
    # Not in this thread: the first run of an estate compares thousands of keys.
    seen.evidence.update(await asyncio.to_thread(compared, seen.evidence, job.answers, published, datetime.now(UTC)))


def _fleet_of(job: Job, fleet: FleetSettings) -> FleetDispatcher:
    # Celery loads where there is a fleet, and is installed there alone.
    dispatcher: Callable[..., FleetDispatcher] = load("scanner.fleet.coordinator:FleetDispatcher")
    hosts = frozenset(endpoint.host for endpoint in job.inventory.endpoints)
    return dispatcher(fleet, job.settings, hosts, secrets.token_hex(8), job.concurrency)


async def _merged(
    *sources: AsyncGenerator[tuple[Target, TargetEvidence]],
) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
    """What all of these give, as it comes; closed, it closes them."""
    found: asyncio.Queue[tuple[Target, TargetEvidence] | None] = asyncio.Queue(100)

    async def pump(source: AsyncGenerator[tuple[Target, TargetEvidence]]) -> None:
        async with contextlib.aclosing(source):
            async for item in source:
                await found.put(item)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for source in sources:
                group.create_task(pump(source))
        await found.put(None)

    task = asyncio.create_task(all_of_them())
    taking: asyncio.Task[tuple[Target, TargetEvidence] | None] | None = None
    try:
        while True:
            taking = asyncio.create_task(found.get())
            await asyncio.wait({taking, task}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                # It ended by an error, or what it put last is there by now.
                task.result()
            item = await taking
            if item is None:
                return
            yield item
    finally:
        for ended in (task, taking):
            if ended is not None:
                ended.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def probe_targets(  # noqa: PLR0913  # what a job has of it, by keyword
    targets: Sequence[Target],
    environments: Mapping[str, Environment],
    settings: ProbeSettings,
    *,
    concurrency: int = 50,
    workers: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
    """Bring targets and probes together: yield each target with its evidence as it is done.

    Cancelled or closed, it ends every probe and every process that it started before it goes.
    """
    hosts = frozenset(target.endpoint.host for target in targets)
    addresses = {ipaddress.ip_address(target.ip) for target in targets if target.ip and is_address(target.ip)}
    scope = Scope(
        settings,
        environments,
        hosts,
        addresses,
        len(targets),
        concurrency=concurrency,
        workers=workers,
        on_progress=on_progress,
    )
    async with contextlib.aclosing(probed(targets, scope)) as found:
        async for observed in found:
            yield observed


def _questions(job: Job) -> frozenset[str]:
    """The rules of the job's policies for which alone something is asked."""
    listed = {rule for policy in (job.policy, *job.policies.values()) for rule in policy.rules}
    return frozenset(rule for rule in listed if rule in all_rules() and all_rules()[rule].opt_in)


def _place_of(job: Job) -> str:
    """What the place is called from which it is looked; that a broker is not known by mutual TLS is told with it."""
    open_to_others = job.fleet is not None and job.fleet.insecure
    return "; ".join(part for part in (job.vantage, _INSECURE if open_to_others else "") if part)


def _unresolved(failure: Failure | None) -> TargetEvidence:
    """The evidence about a name that has no address: nothing was seen, for that reason."""
    return TargetEvidence(datetime.now(UTC), 0.0, 0, tls=Attempt(failure=failure), http=Attempt(failure=failure))


def _record(job: Job, seen: _Seen, started_at: datetime, *, complete: bool) -> RunRecord:
    now = datetime.now(UTC)
    environments = {environment.name: environment for environment in job.inventory.environments}
    observed = [Observed(target, seen.evidence[target.id]) for target in seen.targets if target.id in seen.evidence]
    absent, present = absent_domains(observed, environments, every_address=job.addresses == "all")
    verdicts = evaluate(present, environments, job.policies, job.waivers, now)
    results = tuple(
        _result(item, environments[item.target.endpoint.environment], job, verdicts[item.target.id], now)
        for item in present
    )
    missing, missing_total = not_covered(job.inventory, present)
    run_facts = Run(
        id=job.run_id or new_run_id(started_at),
        trigger=job.trigger,
        started_at=started_at,
        finished_at=now,
        policy=job.policy.ref,
        policies={name: policy.ref for name, policy in job.policies.items()},
        complete=complete,
        expected_targets=seen.expected - (len(observed) - len(present)),
        tool_version=scanner.__version__,
        environments=tuple(environments),
        schedule=job.schedule,
        config_digest=job.config_digest,
        trust_stores=store_digests(
            {name for environment in environments for name in job.settings.stores_for(environment)}
        ),
        engines={name: metadata.version(name) for name in ENGINES},
        absent_domains=absent,
        vantage=vantage_of(_place_of(job), (item.ip for item in seen.targets if item.ip), job.settings),
        not_covered=missing,
        not_covered_total=missing_total,
    )
    return RunRecord(run_facts, results)


def _letter(item: Observed, now: datetime) -> str | None:
    """The grade; none of a file, which accepts no connections."""
    endpoint = item.target.endpoint
    if endpoint.is_file:
        return None
    return grade(item.evidence, endpoint.host, endpoint.port, endpoint.role, now).letter


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
        evidence=item.evidence,
        verdicts=verdicts,
        grade=_letter(item, now),
        implied_by=endpoint.implied_by,
    )
