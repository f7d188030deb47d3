"""The dispatcher that works on this machine: asyncio for what waits, worker processes for what can't be interrupted.

A target starts when a worker is free for it, and from then on its deadline runs for all of its probes together. They
run side by side and share the connections that its address may be given at once (`lanes`). The survey speaks first;
what it hears decides how handshakes are made beside it, and what both leave open is asked once more. A handshake is
made in a worker process, one at a time, which is ended when it is late: nothing else stops a thread that waits for a
silent server inside the TLS engine. A worker is replaced after some targets, which returns the memory that the engine
keeps.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from pebble import CONSTS, ProcessExpired, ProcessPool

from scanner.dispatch.lanes import Kind, Lanes, wanted
from scanner.dispatch.progress import Progress, Stage
from scanner.evidence import (
    Attempt,
    DnsEvidence,
    Failure,
    FailureReason,
    HttpEvidence,
    TargetEvidence,
    TlsEvidence,
    merge,
    not_run,
)
from scanner.inventory import Environment, Target
from scanner.probe import ProbeSettings
from scanner.probe.dns import probe_dns
from scanner.probe.http.probe import probe_http
from scanner.probe.survey.probe import survey
from scanner.probe.tls.division import HandshakeResult, Remaining, Surveyed, remaining

_WORKERS_PER_PROCESSOR = 6
"""A handshake mostly waits; what it computes is an eighth of its time on a network."""
_TARGETS_PER_WORKER = 100
"""To start a worker costs as much as two targets. Five handshakes leave nothing behind that a hundred targets show."""
_ALONE_PER_WORKER = 20
"""The same where the engine does the survey's work as well: each of its 600 connections leaves three kilobytes."""
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
        per_worker = _TARGETS_PER_WORKER if self.settings.engine == "survey" else _ALONE_PER_WORKER
        workers = _Workers.start(at_once, per_worker)
        finished: asyncio.Queue[tuple[Target, TargetEvidence]] = asyncio.Queue()

        async def one(target: Target) -> None:
            async with places:
                self._tell(target, Stage.STARTED, count)
                evidence = await self._probe(target, environments[target.endpoint.environment], scope, workers)
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
            await workers.end()

    def _at_once(self, targets: int) -> int:
        workers = self.workers or _WORKERS_PER_PROCESSOR * (os.cpu_count() or 1)
        return max(1, min(self.concurrency, workers, targets))

    def _tell(self, target: Target, stage: Stage, count: _Count, seconds: float = 0.0) -> None:
        if self.on_progress:
            self.on_progress(Progress(target.id, stage, count.done, count.total, seconds))

    async def _probe(
        self, target: Target, environment: Environment, scope: frozenset[str], workers: _Workers
    ) -> TargetEvidence:
        started_at, clock = datetime.now(UTC), time.monotonic()
        kinds = wanted(target, self.settings)
        lanes = Lanes.of(self.settings, kinds, asyncio.get_running_loop().time())
        async with asyncio.TaskGroup() as probes:
            tls = probes.create_task(_tls(target, lanes, workers))
            http = probes.create_task(_http(target, environment, lanes, scope))
            dns = probes.create_task(
                lanes.bounded(lambda: _dns(target, self.settings), lambda failure: Attempt(failure=failure))
            )
        evidence, connections = tls.result()
        return TargetEvidence(
            started_at=started_at,
            duration_s=round(time.monotonic() - clock, 3),
            connections=connections + http.result()[1],
            tls=evidence,
            http=http.result()[0],
            dns=dns.result(),
        )


async def _tls(target: Target, lanes: Lanes, workers: _Workers) -> tuple[Attempt[TlsEvidence], int]:
    """Both engines, side by side once the survey has been answered, and what was left by both of them."""
    if Kind.SURVEY not in lanes.shares:
        result = await _handshakes(target, lanes, workers, None)
        return result.evidence, result.connections
    greeted: asyncio.Future[Surveyed | Failure | None] = asyncio.get_running_loop().create_future()

    async def surveyed() -> tuple[Attempt[TlsEvidence], int]:
        try:
            return await lanes.run(
                Kind.SURVEY,
                lambda settings, _: survey(target, settings, greeted=greeted),
                lambda failure: (Attempt(failure=failure), 0),
            )
        finally:
            if not greeted.done():
                # It failed by a mistake of its own, or for want of time: the other engine finds out for itself.
                greeted.set_result(None)

    async def handshaken() -> HandshakeResult:
        first = await greeted
        if isinstance(first, Failure):
            return HandshakeResult(Attempt(failure=first), 0)
        return await _handshakes(target, lanes, workers, first)

    async with asyncio.TaskGroup() as engines:
        survey_task, handshake_task = engines.create_task(surveyed()), engines.create_task(handshaken())
    (found, asked), result = survey_task.result(), handshake_task.result()
    left = remaining(found, result)
    if left is None:
        return _combined(found, result.evidence), asked + result.connections
    lanes.take_all()
    again = await _handshakes(target, lanes, workers, left)
    evidence = _with(result.evidence, again.evidence)
    return _combined(found, evidence), asked + result.connections + again.connections


async def _handshakes(
    target: Target, lanes: Lanes, workers: _Workers, known: Surveyed | Remaining | None
) -> HandshakeResult:
    return await lanes.run(
        Kind.HANDSHAKE,
        lambda settings, _: _handshake(workers, target, settings, known),
        lambda failure: HandshakeResult(Attempt(failure=failure), 0),
        grace=_GRACE_S,
    )


async def _http(
    target: Target, environment: Environment, lanes: Lanes, scope: frozenset[str]
) -> tuple[Attempt[HttpEvidence], int]:
    if Kind.HTTP not in lanes.shares:
        return not_run(), 0
    return await lanes.run(
        Kind.HTTP,
        lambda settings, _: probe_http(target, environment, settings, scope),
        lambda failure: (Attempt(failure=failure), 0),
    )


def _observe(target: Target, settings: ProbeSettings, known: Surveyed | Remaining | None) -> HandshakeResult:
    """Runs in a worker process."""
    # This process never loads the engine; the server that workers are forked from has.
    from scanner.probe.handshake.probe import observe  # noqa: PLC0415  # see above

    return observe(target, settings, known)


# How often, in seconds, a pool looks whether it is to end. A scan of one target waited a quarter of its time for that.
CONSTS.sleep_unit = 0.02

# Workers are forked from a small server that has loaded the engine, never from this threaded process.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["__main__", "scanner.dispatch.local", "scanner.dispatch.preload"])


def _start_forkserver() -> None:
    """Start the server from which workers are forked, and wait until it can; starting it twice does nothing."""
    first = _CONTEXT.Process(target=_nothing)
    first.start()
    first.join()


def _nothing() -> None:
    """What the first worker does."""


@dataclass(slots=True)
class _Workers:
    """The processes in which handshakes are made. They start while the first targets are surveyed."""

    pool: ProcessPool
    started: asyncio.Future[object]

    @classmethod
    def start(cls, at_once: int, targets_each: int) -> Self:
        # A pool starts with its first task, which counts, and keeps the caller waiting while it does.
        pool = ProcessPool(max_workers=at_once, max_tasks=1 + targets_each, context=_CONTEXT)
        return cls(pool, asyncio.ensure_future(asyncio.to_thread(pool.schedule, _nothing)))

    async def end(self) -> None:
        """End them, and wait until none is left that could outlive the run."""
        await asyncio.wait([self.started])
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self.pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
        self.pool.join()


async def _handshake(
    workers: _Workers, target: Target, settings: ProbeSettings, known: Surveyed | Remaining | None
) -> HandshakeResult:
    """Cancelled, which a timeout does, it ends the worker."""
    try:
        await asyncio.shield(workers.started)
        return await asyncio.wrap_future(workers.pool.schedule(_observe, args=[target, settings, known]))
    except ProcessExpired as error:
        return HandshakeResult(Attempt.failed(FailureReason.ENGINE_ERROR, f"the TLS engine died: {error}"), 0)


async def _dns(target: Target, settings: ProbeSettings) -> Attempt[DnsEvidence]:
    return Attempt.ok(await probe_dns(target, settings))


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


def _with(first: Attempt[TlsEvidence], again: Attempt[TlsEvidence]) -> Attempt[TlsEvidence]:
    """What was observed at first, with what was left to be asked again, or the reason why that was not found out."""
    if first.value is None:
        return first
    reason = again.failure or Failure(FailureReason.NOT_RUN)
    failed = TlsEvidence(certificates=Attempt(failure=reason), robot=Attempt(failure=reason))
    return Attempt.ok(merge(first.value, again.value or failed))


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
