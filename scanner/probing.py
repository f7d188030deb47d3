"""Brings probes and dispatchers together: in this process for a few targets, in one for each processor for many.

It is a module of its own because the processes that probe load it, and nothing that judges or keeps.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from typing import Final

from msgspec import Struct, structs

from scanner.dispatch import LocalDispatcher, Progress, WorkerProcesses
from scanner.dispatch import engine as engines
from scanner.dispatch.engine import Engine, EngineOrder
from scanner.dispatch.processes import ProcessDispatcher
from scanner.evidence import Failure, TargetEvidence
from scanner.inventory import Environment, Target
from scanner.probe import ProbeSettings
from scanner.probe.caa import CaaLookups
from scanner.probe.dns import Answer, DnsProbe, addresses_of
from scanner.probe.doors.probe import DoorsProbe
from scanner.probe.http.probe import WebProbe
from scanner.probe.mail.probe import MailProbe
from scanner.probe.net.gate import Address
from scanner.probe.plain.probe import PlainProbe
from scanner.probe.tls.probe import TlsProbe, tasks_per_worker

WORKERS_PER_PROCESSOR: Final = 12
"""A handshake mostly waits; what it computes is an eighth of its time on a network."""
_TARGETS_PER_ENGINE: Final = 50
"""To start a process that probes costs as much as some targets."""


class ProbeContext(Struct, frozen=True):
    """What the probes of a run have in common.

    `hosts` are those of the run, `addresses` those that it knows by now; `names` resolves. `endpoints` is how many
    there are, by which the processes are chosen; `expected` how many targets that makes, as far as it is known. `kept`
    are handshake workers of whoever calls, used where this process probes by itself, and left as they are.
    """

    settings: ProbeSettings
    environments: Mapping[str, Environment]
    hosts: frozenset[str]
    addresses: AbstractSet[Address]
    endpoints: int
    names: Callable[[str], Awaitable[Answer]] | None = None
    concurrency: int = 50
    workers: int = 0
    on_progress: Callable[[Progress], None] | None = None
    expected: Callable[[], int] | None = None
    kept: WorkerProcesses | None = None


async def probed(
    targets: Sequence[Target] | AsyncIterable[Target], scope: ProbeContext
) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
    """Yield each target with its evidence as it is done. Nothing that a target does raises.

    Cancelled or closed, it ends every probe and every process that it started before it goes.
    """
    workers = scope.workers or WORKERS_PER_PROCESSOR * (os.cpu_count() or 1)
    count = engines_for(scope.endpoints, workers, scope.concurrency)
    order = EngineOrder(
        scope.settings, scope.environments, scope.hosts, max(1, scope.concurrency), workers, engines=count
    )
    if count == 1:
        found = _by_itself(targets, scope, order)
    else:

        async def resolve(host: str) -> tuple[Answer, frozenset[Address]]:
            answer = await (scope.names or addresses_of)(host)
            known = () if isinstance(answer, Failure) else map(ipaddress.ip_address, answer)
            return answer, frozenset(known) & scope.addresses

        dispatcher = ProcessDispatcher(
            "scanner.probing:serve", order, resolve, scope.on_progress, scope.expected or _length_of(targets)
        )
        found = dispatcher.dispatch(targets, scope.environments)
    async with contextlib.aclosing(found):
        async for observed in found:
            yield observed


def handshake_workers(settings: ProbeSettings, workers: int = 0) -> AbstractAsyncContextManager[WorkerProcesses]:
    """Processes for handshakes, so many at most or as many as this machine's processors are given."""
    count = workers or WORKERS_PER_PROCESSOR * (os.cpu_count() or 1)
    return WorkerProcesses.running(count, tasks_each=tasks_per_worker(settings))


def engines_for(endpoints: int, workers: int, concurrency: int) -> int:
    """How many processes probe: one for each processor, but for those that `workers` leaves to others."""
    processors = min(os.cpu_count() or 1, max(1, workers // WORKERS_PER_PROCESSOR))
    return max(1, min(processors, -(-endpoints // _TARGETS_PER_ENGINE), concurrency))


def _length_of(targets: Sequence[Target] | AsyncIterable[Target]) -> Callable[[], int]:
    return lambda: len(targets) if isinstance(targets, Sequence) else 0


async def _by_itself(
    targets: Sequence[Target] | AsyncIterable[Target], scope: ProbeContext, order: EngineOrder
) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
    web = WebProbe.of(order.settings, order.hosts, scope.addresses, scope.names)
    async for observed in _with_workers(targets, order, web, scope.on_progress, scope.expected, kept=scope.kept):
        yield observed


async def _in_an_engine(
    engine: Engine, targets: AsyncIterable[Target]
) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
    order = engine.order
    web = WebProbe.of(order.settings, order.hosts, engine.addresses, engine.addresses_of)
    async for observed in _with_workers(targets, order, web, engine.tell, None, engine):
        yield observed


async def _with_workers(  # noqa: PLR0913, PLR0917  # what both have in common
    targets: Sequence[Target] | AsyncIterable[Target],
    order: EngineOrder,
    web: WebProbe,
    on_progress: Callable[[Progress], None] | None,
    expected: Callable[[], int] | None,
    engine: Engine | None = None,
    kept: WorkerProcesses | None = None,
) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
    settings = order.settings
    running = contextlib.nullcontext(kept) if kept is not None else handshake_workers(settings, order.workers)
    async with running as processes:
        probes = (
            TlsProbe(settings, processes),
            web,
            DnsProbe(settings, CaaLookups(settings)),
            PlainProbe(settings),
            MailProbe(settings),
            DoorsProbe(settings),
        )
        dispatcher = LocalDispatcher(settings, probes, order.concurrency, on_progress, expected)
        if engine is not None:
            dispatcher = structs.replace(dispatcher, budget=engine.budget)
        async with contextlib.aclosing(dispatcher.dispatch(targets, order.environments)) as dispatched:
            async for observed in dispatched:
                yield observed


def serve(channel: socket.socket) -> None:
    """Be a process that probes."""
    engines.serve(channel, _in_an_engine)
