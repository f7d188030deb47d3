"""The dispatcher that uses every processor: targets are divided by address among processes that probe.

Each is an engine (`scanner.dispatch.engine`) with its own loop, workers and budget. The parent gives out targets, and
keeps what is found; it knows no more of probes than they tell. What an engine had begun when it died is begun again,
once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct, field, structs

from scanner import forkserver
from scanner.dispatch.engine import (
    ADMIT,
    ADMITTED,
    ANSWER,
    DONE,
    GIVE_BACK,
    LOG,
    RESOLVE,
    STARTED,
    TARGET,
    EngineOrder,
    owner,
)
from scanner.dispatch.local import each
from scanner.dispatch.progress import Progress, Stage
from scanner.dispatch.talk import Talk
from scanner.evidence import Attempt, Failure, FailureReason, TargetEvidence, from_json
from scanner.inventory import Environment, Target
from scanner.probe.net.gate import Address

_TRIES: Final = 2
_WAITING: Final = 2000
"""Targets that have been given out and are not done: few of ten thousand are in memory twice."""
_UNTAKEN: Final = 200
"""Results that may wait for whoever keeps them; engines wait then."""
_RESTARTS: Final = 3
"""How often in a row an engine may die without having found anything."""
_TO_END_S: Final = 2.0
_LOST: Final[Attempt[Any]] = Attempt(failure=Failure(FailureReason.ENGINE_ERROR, "the process that probed it ended"))
Found = tuple[Target, TargetEvidence]
Resolver = Callable[[str], Awaitable[tuple[Any, frozenset[Address]]]]
"""Gives what a name's addresses are, and which of them are the run's own."""


class _Process(Struct):
    """One engine, as the parent sees it: what it was given, what of that it has begun, what it holds elsewhere."""

    index: int
    child: forkserver.ForkedChild
    talk: Talk
    pending: dict[str, Target] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    held: Counter[str] = field(default_factory=Counter)

    async def end(self) -> None:
        """End it, and wait until it has ended."""
        self.child.end()
        try:
            async with asyncio.timeout(_TO_END_S):
                async for _ in self.talk.heard():
                    pass
        except TimeoutError:
            logging.getLogger(__name__).warning("a process that probes does not end")
        self.talk.close()


class ProcessDispatcher(Struct):
    """Sends targets to `order.engines` processes, which `entry` (`module:function`) becomes.

    What `order` has of places, workers and the total rate is dealt out among them. `resolver` resolves names.
    """

    entry: str
    order: EngineOrder
    resolver: Resolver
    on_progress: Callable[[Progress], None] | None = None
    expected: Callable[[], int] | None = None
    _processes: list[_Process] = field(default_factory=list)
    _finished: asyncio.Queue[Found | None] = field(default_factory=lambda: asyncio.Queue(_UNTAKEN))
    _waiting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_WAITING))
    _tries: Counter[str] = field(default_factory=Counter)
    _deaths: Counter[int] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _done: int = 0

    async def dispatch(
        self, targets: Sequence[Target] | AsyncIterable[Target], environments: Mapping[str, Environment]
    ) -> AsyncGenerator[Found]:
        """Yield each target with its evidence as it is done. Nothing that a target does raises.

        Cancelled or closed, it ends all engines and what they started before it goes.
        """
        # Endpoints go with their targets.
        bare = {name: dataclasses.replace(item, endpoints=(), known_hosts=None) for name, item in environments.items()}
        self.order = structs.replace(self.order, environments=bare)
        given, fed = 0, False

        async def feed() -> None:
            nonlocal given
            async for target in each(targets):
                await self._waiting.acquire()
                given += 1
                await self._give(target)
            await self._finished.put(None)

        try:
            for index in range(self.order.engines):
                self._processes.append(await self._started(index))
            feeding = self._task(feed())
            while not (fed and given == self._done):
                found = await self._finished.get()
                if found is None:
                    fed = True
                    feeding.result()
                    continue
                self._done += 1
                self._tell(found[0].id, Stage.DONE, found[1].duration_s)
                yield found
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(*(process.end() for process in self._processes))

    def _task(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _started(self, index: int) -> _Process:
        child = forkserver.spawn(self.entry, handing_on=True)
        process = _Process(index, child, await Talk.over(child.channel))
        process.talk.say(self._part(index))
        self._task(self._listen(process))
        return process

    def _part(self, index: int) -> EngineOrder:
        """Its part of the run: places and workers as even as can be, and of the total rate as much as of the places."""
        order, count = self.order, self.order.engines
        settings = order.settings
        if settings.total_rate_per_s is not None:
            settings = dataclasses.replace(settings, total_rate_per_s=settings.total_rate_per_s / count)
        places = order.concurrency // count + (index < order.concurrency % count)
        workers = max(1, order.workers // count + (index < order.workers % count))
        return structs.replace(order, settings=settings, concurrency=places, workers=workers, index=index)

    async def _give(self, target: Target) -> None:
        process = self._processes[owner(target.ip, self.order.engines)]
        if self._deaths[process.index] > _RESTARTS or self._tries[target.id] >= _TRIES:
            self._waiting.release()
            await self._finished.put((target, TargetEvidence(datetime.now(UTC), 0.0, 0, tls=_LOST, http=_LOST)))
            return
        process.pending[target.id] = target
        process.talk.say(TARGET, target)

    def _tell(self, target_id: str, stage: Stage, seconds: float = 0.0) -> None:
        if self.on_progress:
            total = self.expected() if self.expected else 0
            self.on_progress(Progress(target_id, stage, self._done, total, seconds))

    async def _listen(self, process: _Process) -> None:
        async for about, *said in process.talk.heard():
            if about == STARTED:
                process.begun.add(said[0])
                self._tell(said[0], Stage.STARTED)
            elif about == DONE:
                await self._finish(process, *said)
            elif about == LOG:
                name, level, text = said
                logging.getLogger(name).log(level, "%s", text)
            elif about == RESOLVE:
                self._task(self._resolve(process, *said))
            elif about == ADMIT:
                number, ip, left_s, first = said
                lender = self._processes[owner(ip, self.order.engines)]
                lender.talk.say(ADMIT, (process.index, number, ip), ip, left_s, first)
            elif about == ADMITTED:
                (index, number, ip), admitted = said
                self._processes[index].held[ip] += admitted
                self._processes[index].talk.say(ANSWER, number, admitted)
            elif about == GIVE_BACK:
                self._give_back(process, said[0])
        await self._replace(process)

    def _give_back(self, process: _Process, ip: str) -> None:
        if process.held[ip] > 0:
            process.held[ip] -= 1
            self._processes[owner(ip, self.order.engines)].talk.say(GIVE_BACK, ip)

    async def _finish(self, process: _Process, target_id: str, evidence: bytes) -> None:
        target = process.pending.pop(target_id, None)
        process.begun.discard(target_id)
        self._deaths[process.index] = 0
        if target is not None:
            self._waiting.release()
            await self._finished.put((target, from_json(evidence)))

    async def _resolve(self, process: _Process, number: int, host: str) -> None:
        process.talk.say(ANSWER, number, await self.resolver(host))

    async def _replace(self, process: _Process) -> None:
        """One has died: another takes over what it had, and what it held elsewhere is given back."""
        logging.getLogger(__name__).error("a process that probes has ended: its targets are begun again in another")
        for ip in process.held.elements():
            self._processes[owner(ip, self.order.engines)].talk.say(GIVE_BACK, ip)
        for other in self._processes:
            # What was lent by the one that died is lent no more.
            for ip in [ip for ip in other.held if owner(ip, self.order.engines) == process.index]:
                del other.held[ip]
        process.child.end()
        process.talk.close()
        self._deaths[process.index] += 1
        if self._deaths[process.index] <= _RESTARTS:
            self._processes[process.index] = await self._started(process.index)
        for target_id, target in process.pending.items():
            self._tries[target_id] += target_id in process.begun
            await self._give(target)
