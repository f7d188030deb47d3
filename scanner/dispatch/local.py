"""The dispatcher that works on this machine: every probe is a task of one event loop.

It knows targets, probes and evidence. A target begins when a place is free and its address has room for one more, and
from then on its deadline runs for all of its probes together, which run side by side and share its budget. What a probe
needs besides, worker processes for one, is the probe's own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from msgspec import Struct

from scanner.dispatch.progress import Progress, Stage
from scanner.evidence import Attempt, Failure, TargetEvidence
from scanner.inventory import Environment, Target
from scanner.probe import Probe, ProbeSettings
from scanner.probe.net.budget import Budget, Limits, RunBudget
from scanner.probe.net.cutoff import cut_off

_GRACE_S: Final = 1.0
"""How long after the deadline a probe is cut off: it ends by itself before, and so does what it started."""
_WAITING: Final = 500
_WAITING_EACH: Final = 10
"""How many targets wait for their turn, beside those that are in flight: enough that names of one busy address keep
nobody else waiting."""


class LocalDispatcher(Struct):
    """Sends targets to probes, `concurrency` at once; `settings` has the limits of the run and each one's deadline.

    `expected` says how many targets there will be, as far as that is known: names may have yet to be resolved. `budget`
    is the run's, where others share it; without one, it is made from the settings.
    """

    settings: ProbeSettings
    probes: Sequence[Probe]
    concurrency: int = 50
    on_progress: Callable[[Progress], None] | None = None
    expected: Callable[[], int] | None = None
    budget: RunBudget | None = None

    async def dispatch(
        self, targets: Sequence[Target] | AsyncIterable[Target], environments: Mapping[str, Environment]
    ) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
        """Probe the targets and yield each with its evidence as it is done. Nothing that a target does raises.

        Cancelled, it ends all probes before it goes.
        """
        run = self.budget or RunBudget(Limits.of(self.settings))
        at_once = run.targets_at_once(max(1, self.concurrency), self.settings.deadline_s)
        places, waiting = asyncio.Semaphore(at_once), asyncio.Semaphore(max(_WAITING, _WAITING_EACH * at_once))
        expected = self.expected or (lambda: len(targets) if isinstance(targets, Sequence) else 0)
        done = 0
        finished: asyncio.Queue[tuple[Target, TargetEvidence] | None] = asyncio.Queue()

        def tell(target: Target, stage: Stage, seconds: float = 0.0) -> None:
            if self.on_progress:
                self.on_progress(Progress(target.id, stage, done, expected(), seconds))

        async def one(target: Target) -> None:
            nonlocal done
            try:
                async with run.turn(target, self.settings), places:
                    tell(target, Stage.STARTED)
                    evidence = await self._probe(target, environments[target.endpoint.environment], run)
                    done += 1
                    tell(target, Stage.DONE, evidence.duration_s)
                    finished.put_nowait((target, evidence))
            finally:
                waiting.release()

        async def all_of_them() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    async for target in each(targets):
                        # Few wait at once: of ten thousand targets, all would be in memory from the beginning.
                        await waiting.acquire()
                        group.create_task(one(target))
            finally:
                finished.put_nowait(None)

        task = asyncio.create_task(all_of_them())
        try:
            while (found := await finished.get()) is not None:
                yield found
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _probe(self, target: Target, environment: Environment, run: RunBudget) -> TargetEvidence:
        started_at, clock = datetime.now(UTC), time.monotonic()
        budget = run.of(target, self.settings)
        async with asyncio.TaskGroup() as group:
            observed = {
                probe.name: group.create_task(
                    cut_off(probe.observe(target, environment, budget), partial(_late, budget), _failed)
                )
                for probe in self.probes
            }
        seen = TargetEvidence(started_at, round(time.monotonic() - clock, 3), budget.opened)
        found: dict[str, Any] = {name: task.result() for name, task in observed.items()}
        return dataclasses.replace(seen, **found)


async def each(targets: Sequence[Target] | AsyncIterable[Target]) -> AsyncIterator[Target]:
    """One target after the other, whether they are known already or come by and by."""
    if isinstance(targets, Sequence):
        for target in targets:
            yield target
    else:
        async for target in targets:
            yield target


def _late(budget: Budget) -> float:
    return budget.deadline + budget.put_off_s + _GRACE_S


def _failed(failure: Failure) -> Attempt[Any]:
    return Attempt(failure=failure)
