"""The dispatcher that works on this machine: every probe is a task of one event loop.

It knows targets, probes and evidence. A target begins when a place is free and its address has room for one more, and
from then on its deadline runs for all of its probes together, which run side by side and share its budget. What a probe
needs besides, worker processes for one, is the probe's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from scanner.dispatch.progress import Progress, Stage
from scanner.evidence import Attempt, Failure, TargetEvidence
from scanner.inventory import Environment, Target
from scanner.probe import Probe, ProbeSettings
from scanner.probe.net.budget import Budget, Limits, RunBudget
from scanner.probe.net.cutoff import cut_off

_GRACE_S: Final = 1.0
"""How long after the deadline a probe is cut off: it ends by itself before, and so does what it started."""


@dataclass(slots=True)
class _Count:
    """How many targets are done of how many."""

    total: int
    done: int = 0


@dataclass(slots=True)
class LocalDispatcher:
    """Sends targets to probes, `concurrency` at once; `settings` has the limits of the run and each one's deadline."""

    settings: ProbeSettings
    probes: Sequence[Probe]
    concurrency: int = 50
    on_progress: Callable[[Progress], None] | None = None

    async def dispatch(
        self, targets: Sequence[Target], environments: Mapping[str, Environment]
    ) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
        """Probe the targets and yield each with its evidence as it is done. Nothing that a target does raises.

        Cancelled, it ends all probes before it goes.
        """
        run = RunBudget(Limits.of(self.settings))
        places = asyncio.Semaphore(run.targets_at_once(max(1, self.concurrency), self.settings.deadline_s))
        count = _Count(len(targets))
        finished: asyncio.Queue[tuple[Target, TargetEvidence]] = asyncio.Queue()

        async def one(target: Target) -> None:
            async with run.turn(target, self.settings), places:
                self._tell(target, Stage.STARTED, count)
                evidence = await self._probe(target, environments[target.endpoint.environment], run)
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

    def _tell(self, target: Target, stage: Stage, count: _Count, seconds: float = 0.0) -> None:
        if self.on_progress:
            self.on_progress(Progress(target.id, stage, count.done, count.total, seconds))

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
        return TargetEvidence(
            started_at=started_at,
            duration_s=round(time.monotonic() - clock, 3),
            connections=budget.opened,
            **{name: task.result() for name, task in observed.items()},
        )


def _late(budget: Budget) -> float:
    return budget.deadline + budget.put_off_s + _GRACE_S


def _failed(failure: Failure) -> Attempt[Any]:
    return Attempt(failure=failure)
