"""The dispatcher that works on this machine: asyncio for what waits, worker processes for what can't be interrupted.

A target starts when a worker is free for it, and from then on its deadline runs for all of its probes together. They
run side by side and share the connections that its address may be given at once. A
handshake is made in a worker process, one at a time, which is ended when it is late: nothing else stops a thread that
waits for a silent server inside the TLS engine. A worker is replaced after some targets, which returns the memory that
the engine keeps.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from scanner.dispatch.progress import Progress, Stage
from scanner.evidence import (
    Attempt,
    DnsEvidence,
    Failure,
    FailureReason,
    TargetEvidence,
    TlsEvidence,
    merge,
    not_run,
)
from scanner.inventory import Environment, Target
from scanner.probe import ProbeSettings
from scanner.probe.dns import probe_dns
from scanner.probe.http import probe_http
from scanner.probe.survey import survey

T = TypeVar("T")
_LOG = logging.getLogger(__name__)

_WORKERS_PER_PROCESSOR = 6
"""A handshake mostly waits; what it computes is an eighth of its time on a network."""
_TARGETS_PER_WORKER = 20
"""To start a worker costs as much as two targets: the fork, the program's own imports, the trust stores."""
_GRACE_S = 0.5
"""How long after its deadline a worker is ended: it ends by itself before."""


@dataclass(slots=True)
class _Count:
    """How many targets are done of how many."""

    total: int
    done: int = 0


@dataclass(slots=True)
class LocalDispatcher:
    """Runs every probe that a target wants. `workers` 0 chooses by the number of processors."""

    settings: ProbeSettings
    concurrency: int = 50
    workers: int = 0
    on_progress: Callable[[Progress], None] | None = None

    async def dispatch(
        self, targets: Sequence[Target], environments: Mapping[str, Environment]
    ) -> AsyncIterator[tuple[Target, TargetEvidence]]:
        """Probe the targets and yield each with its evidence as it is done. Nothing that a target does raises.

        Cancelled, it ends its workers before it goes.
        """
        if not targets:
            return
        # The server of workers needs a second to load the engine: not of any target's time, nor of this loop's.
        await asyncio.to_thread(_start_forkserver)
        at_once = self._at_once(len(targets))
        count = _Count(len(targets))
        scope = frozenset(target.endpoint.host for target in targets)
        places = asyncio.Semaphore(at_once)
        pool = ProcessPool(max_workers=at_once, max_tasks=_TARGETS_PER_WORKER, context=_CONTEXT)
        finished: asyncio.Queue[tuple[Target, TargetEvidence]] = asyncio.Queue()

        async def one(target: Target) -> None:
            async with places:
                self._tell(target, Stage.STARTED, count)
                evidence = await self._probe(target, environments[target.endpoint.environment], scope, pool)
                count.done += 1
                self._tell(target, Stage.DONE, count, evidence.duration_s)
                finished.put_nowait((target, evidence))

        tasks = [asyncio.create_task(one(target)) for target in targets]
        try:
            for _ in targets:
                yield await finished.get()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(_end, pool)

    def _at_once(self, targets: int) -> int:
        workers = self.workers or _WORKERS_PER_PROCESSOR * (os.cpu_count() or 1)
        return max(1, min(self.concurrency, workers, targets))

    def _tell(self, target: Target, stage: Stage, count: _Count, seconds: float = 0.0) -> None:
        if self.on_progress:
            self.on_progress(Progress(target.id, stage, count.done, count.total, seconds))

    async def _probe(
        self, target: Target, environment: Environment, scope: frozenset[str], pool: ProcessPool
    ) -> TargetEvidence:
        started_at, clock = datetime.now(UTC), time.monotonic()
        lanes = _Lanes.of(self.settings, _wanted(target, self.settings), asyncio.get_running_loop().time())
        async with asyncio.TaskGroup() as probes:
            surveyed = probes.create_task(lanes.run(_SURVEY, lambda settings: survey(target, settings)))
            handshake = probes.create_task(lanes.run(_HANDSHAKE, lambda settings: _handshake(pool, target, settings)))
            http = probes.create_task(
                lanes.run(_HTTP, lambda settings: probe_http(target, environment, settings, scope))
            )
            dns = probes.create_task(lanes.bounded(lambda: _dns(target, self.settings)))
        tls = _combined(surveyed.result()[0], handshake.result()[0])
        return TargetEvidence(
            started_at=started_at,
            duration_s=round(time.monotonic() - clock, 3),
            connections=sum(probe.result()[1] for probe in (handshake, surveyed, http)),
            tls=tls,
            http=http.result()[0],
            dns=dns.result()[0],
        )


_SURVEY, _HANDSHAKE, _HTTP = "survey", "handshake", "http"


def _wanted(target: Target, settings: ProbeSettings) -> list[str]:
    """The probes that connect to the target, those that need most connections first."""
    wanted = [_SURVEY] if settings.engine == "survey" else []
    wanted.append(_HANDSHAKE)
    return [*wanted, _HTTP] if target.endpoint.role.speaks_http else wanted


def _split(connections: int, wanted: Sequence[str]) -> list[int]:
    """How many connections at once each of the probes may have; HTTP needs the fewest by far."""
    if connections <= len(wanted):
        return [1] * len(wanted)
    http = max(1, connections // 5) if _HTTP in wanted else 0
    others = [name for name in wanted if name != _HTTP]
    each, over = divmod(connections - http, len(others))
    return [each + (index < over) for index in range(len(others))] + [http] * (_HTTP in wanted)


@dataclass(frozen=True, slots=True)
class _Lanes:
    """What the probes of one target share: connections at once, connections per second, and time.

    Where fewer connections are allowed than there are probes, one probe waits for another.
    """

    shares: Mapping[str, ProbeSettings]
    places: asyncio.Semaphore
    ends: float

    @classmethod
    def of(cls, settings: ProbeSettings, wanted: Sequence[str], now: float) -> Self:
        lanes = min(len(wanted), settings.connections_per_target)
        rate = settings.rate_per_s / lanes if settings.rate_per_s else None
        shares = {
            name: replace(settings, connections_per_target=connections, rate_per_s=rate)
            for name, connections in zip(wanted, _split(settings.connections_per_target, wanted), strict=True)
        }
        return cls(shares, asyncio.Semaphore(lanes), now + settings.deadline_s)

    async def run(
        self, name: str, probe: Callable[[ProbeSettings], Awaitable[tuple[Attempt[T], int]]]
    ) -> tuple[Attempt[T], int]:
        """Run a probe with its share, if it is wanted, until the deadline."""
        share = self.shares.get(name)
        if share is None:
            return not_run(), 0

        async def within() -> tuple[Attempt[T], int]:
            async with self.places:
                left = self.ends - asyncio.get_running_loop().time()
                return await probe(replace(share, deadline_s=max(left, 0.0)))

        return await self.bounded(within, _GRACE_S if name == _HANDSHAKE else 0.0)

    async def bounded(
        self, probe: Callable[[], Awaitable[tuple[Attempt[T], int]]], grace: float = 0.0
    ) -> tuple[Attempt[T], int]:
        """Await a probe until the deadline; its fault, like its lateness, is a value."""
        try:
            async with asyncio.timeout_at(self.ends + grace):
                return await probe()
        except TimeoutError:
            return Attempt.failed(FailureReason.DEADLINE), 0
        except Exception as error:  # noqa: BLE001  # a probe's own fault must not end the run
            _LOG.warning("a probe failed", exc_info=True)
            return Attempt.failed(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"), 0


def _observe(target: Target, settings: ProbeSettings) -> tuple[Attempt[TlsEvidence], int]:
    """Runs in a worker process."""
    # This process never loads the engine; the server that workers are forked from has.
    from scanner.probe.handshake import observe  # noqa: PLC0415  # see above

    result = observe(target, settings)
    return result.evidence, result.connections


# Workers are forked from a small server that has loaded the engine, never from this threaded process.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["scanner.dispatch.preload", "scanner.dispatch.local"])


def _start_forkserver() -> None:
    """Start the server from which workers are forked, and wait until it can; starting it twice does nothing."""
    first = _CONTEXT.Process(target=_nothing)
    first.start()
    first.join()


def _nothing() -> None:
    """What the first worker does."""


def _end(pool: ProcessPool) -> None:
    """End the workers, and wait until none is left that could outlive the run."""
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
    pool.join()


async def _handshake(pool: ProcessPool, target: Target, settings: ProbeSettings) -> tuple[Attempt[TlsEvidence], int]:
    """Cancelled, which a timeout does, it ends the worker."""
    try:
        return await asyncio.wrap_future(pool.schedule(_observe, args=[target, settings]))
    except ProcessExpired as error:
        return Attempt.failed(FailureReason.ENGINE_ERROR, f"the TLS engine died: {error}"), 0


async def _dns(target: Target, settings: ProbeSettings) -> tuple[Attempt[DnsEvidence], int]:
    return Attempt.ok(await probe_dns(target, settings)), 0


_BEST_REASONS = (
    FailureReason.NOT_TLS,
    FailureReason.STARTTLS_REFUSED,
    FailureReason.REFUSED,
    FailureReason.UNREACHABLE,
    FailureReason.CLIENT_CERTIFICATE_REQUIRED,
    FailureReason.HANDSHAKE_FAILED,
    FailureReason.RESET,
    FailureReason.TIMED_OUT,
)
"""Which of two engines' reasons explains best, best first."""


def _combined(surveyed: Attempt[TlsEvidence], handshake: Attempt[TlsEvidence]) -> Attempt[TlsEvidence]:
    """What both engines saw, together; where neither saw anything, the reason that explains best."""
    if surveyed.value is not None and handshake.value is not None:
        return Attempt.ok(merge(surveyed.value, handshake.value))
    if surveyed.value is not None:
        # What only the handshake could tell is missing for the reason why it failed.
        return Attempt.ok(merge(surveyed.value, _all_failed(handshake.failure)))
    if handshake.value is not None:
        return handshake
    failures = [attempt.failure for attempt in (surveyed, handshake) if attempt.failure is not None]
    return Attempt(failure=min(failures, key=_rank))


def _rank(failure: Failure) -> int:
    try:
        return _BEST_REASONS.index(failure.reason)
    except ValueError:
        return len(_BEST_REASONS) + (failure.reason is FailureReason.NOT_RUN)


def _all_failed(failure: Failure | None) -> TlsEvidence:
    reason: Attempt[bool] = Attempt(failure=failure or Failure(FailureReason.NOT_RUN))
    return TlsEvidence(
        certificates=Attempt(failure=reason.failure),
        client_renegotiation=reason,
        early_data=reason,
        session_ids=reason,
        session_tickets=reason,
        client_authentication=Attempt(failure=reason.failure),
        heartbleed=reason,
        ccs_injection=reason,
        robot=Attempt(failure=reason.failure),
    )
