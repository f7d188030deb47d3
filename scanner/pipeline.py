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
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field, structs

from scanner.dispatch import Progress
from scanner.evidence import Attempt, Failure, FailureReason, KeptEvidence, TargetEvidence
from scanner.fleet.settings import FleetSettings
from scanner.formats import load
from scanner.inventory import Environment, Inventory, Target, is_address
from scanner.known_keys import PublishedKeys, SeenKeys, with_troubles
from scanner.known_ticket_keys import SeenTicketKeys, with_since
from scanner.policy import Policy
from scanner.probe import ProbeSettings
from scanner.probe.authority import stage as authority
from scanner.probe.dns import Resolved
from scanner.probe.names import RunNames
from scanner.probe.x509.files import read_files
from scanner.probing import ProbeContext, probed
from scanner.recording import RunEvidence, recorded
from scanner.rules import all_rules
from scanner.verdict import RunRecord, Trigger
from scanner.waiver import Waiver

if TYPE_CHECKING:
    from scanner.fleet.coordinator import FleetDispatcher

_LOCAL_ALONE = '[dispatch] engine = "local" has only this machine'
_BREATH = 50
"""After how many targets those who would end the run are listened to, where nothing is waited for."""


class Job(Struct, frozen=True):
    """Everything that a run needs to know. `policies` holds the policy of each environment, by its name.

    `workers` 0 lets the dispatcher choose. `run_id` is the run's id where it was chosen before. `known` is evidence
    that is taken as it is instead of probing the target of that id again; `on_evidence` is given what was seen at each
    other target, as soon as it is. `backwards` begins with the last target. `answers` is the folder in which answers of
    certificate authorities are kept from one run to the next; None keeps none.
    `fleet` is how workers of zones are reached, None where there are none. `vantage` is what the
    place is called from which it is looked. Evidence of up to `held` endpoints is held in memory, of more in a file.
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
    on_evidence: Callable[[str, KeptEvidence], None] | None = None
    backwards: bool = False
    answers: Path | None = None
    vantage: str = ""
    fleet: FleetSettings | None = None
    held: int = 50


def run(job: Job, on_progress: Callable[[Progress], None] | None = None) -> RunRecord:
    """Run a job to its end. Interrupted (KeyboardInterrupt), it returns what was finished, as an incomplete record."""
    started_at = datetime.now(UTC)
    seen = RunEvidence.of(job)
    complete = True
    try:
        asyncio.run(_observe(job, seen, on_progress))
    except KeyboardInterrupt:
        complete = False
    return recorded(job, seen, started_at, complete=complete).loaded()


async def execute(job: Job, on_progress: Callable[[Progress], None] | None = None) -> RunRecord:
    """The same within a running event loop: cancelled, it returns what was finished, as an incomplete record.

    Evidence that is not held in memory is read from its file whenever it is asked for (`RunRecord.loaded`).
    """
    started_at = datetime.now(UTC)
    seen = RunEvidence.of(job)
    complete = True
    try:
        await _observe(job, seen, on_progress)
    except asyncio.CancelledError:
        complete = False
    return recorded(job, seen, started_at, complete=complete)


class _Sorting(Struct):
    """Which targets are probed here, which by workers of zones, and which not at all: all goes into what is seen.

    `aside` counts those that are not probed here.
    """

    job: Job
    seen: RunEvidence
    environments: Mapping[str, Environment]
    look_at: Callable[[TargetEvidence], None]
    aside: int = 0
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

    async def here(self, names: RunNames, order: Sequence[int]) -> AsyncGenerator[Target]:
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
        if evidence is None and self._zone(item.target) is None:
            return True
        self.aside += 1
        if evidence is not None:
            self._seen(item.target, evidence)
        else:
            self._elsewhere.append(item.target)
        return False

    def _seen(self, target: Target, evidence: TargetEvidence) -> None:
        self.seen.keep(target.id, evidence)
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


async def _observe(job: Job, seen: RunEvidence, on_progress: Callable[[Progress], None] | None) -> None:
    environments = {environment.name: environment for environment in job.inventory.environments}
    job = structs.replace(job, settings=dataclasses.replace(job.settings, questions=_questions(job)))
    endpoints = job.inventory.endpoints
    order = [place for place, endpoint in enumerate(endpoints) if not endpoint.is_file]
    order = order[:: -1 if job.backwards else 1]
    async with (
        RunNames.of([endpoints[place] for place in order], job.settings, job.addresses) as names,
        authority.opened(job.settings, job.answers) as authorities,
    ):
        sorting = _Sorting(job, seen, environments, authorities.look_at)
        await sorting.files()
        scope = ProbeContext(
            job.settings,
            environments,
            frozenset(endpoint.host for endpoint in endpoints if not endpoint.is_file),
            names.addresses,
            len(endpoints),
            names.addresses_of,
            job.concurrency,
            job.workers,
            on_progress,
            lambda: seen.expected - sorting.aside,
        )
        observed = _merged(probed(sorting.here(names, order), scope), sorting.elsewhere())
        async with contextlib.aclosing(observed):
            async for target, evidence in observed:
                kept = seen.keep(target.id, evidence)
                authorities.look_at(evidence)
                if job.on_evidence:
                    job.on_evidence(target.id, kept)
        await authorities.finish(job.settings.deadline_s)
        published = PublishedKeys(Path(job.settings.published_keys)) if job.settings.published_keys else None
        keys, tickets = SeenKeys(published), SeenTicketKeys()
        async for target_id, kept in _one_by_one(seen.evidence):
            found = kept.read()
            completed = authorities.completed(found)
            if completed is not found:
                seen.keep(target_id, completed)
            keys.note(target_id, completed)
            tickets.note(completed)
    # Not in this thread: the first run of an estate compares thousands of keys.
    troubles = await asyncio.to_thread(keys.troubles, job.answers, datetime.now(UTC))
    since = await asyncio.to_thread(tickets.since, job.answers)
    if troubles or since:
        async for target_id, kept in _one_by_one(seen.evidence):
            found = kept.read()
            told = with_since(with_troubles(found, troubles), since)
            if told is not found:
                seen.keep(target_id, told)


async def _one_by_one(evidence: Mapping[str, KeptEvidence]) -> AsyncGenerator[tuple[str, KeptEvidence]]:
    """What is kept of each target; between some of them, a run can be ended."""
    for number, item in enumerate(list(evidence.items())):
        if number % _BREATH == 0:
            await asyncio.sleep(0)
        yield item


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
    scope = ProbeContext(
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
    known = all_rules()
    return frozenset(rule for rule in listed if rule in known and (known[rule].opt_in or known[rule].asks))


def _unresolved(failure: Failure | None) -> TargetEvidence:
    """The evidence about a name that has no address: nothing was seen, for that reason."""
    return TargetEvidence(datetime.now(UTC), 0.0, 0, tls=Attempt(failure=failure), http=Attempt(failure=failure))
