"""One of several processes that probe: a loop, workers and a budget of its own, for the addresses that are its own.

An address belongs to one process, so that its limits stay in one place. Where a redirect leads to the address of
another, that one is asked for a place, by way of the process that started both.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct

from scanner.dispatch.progress import Progress, Stage
from scanner.dispatch.talk import Talk
from scanner.evidence import TargetEvidence, to_json
from scanner.inventory import Environment, Target, is_address
from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Limits, RunBudget
from scanner.probe.net.gate import Address
from scanner.probe.net.limits import DeadlineError, SharedPort

TARGET, ADMIT, ADMITTED, GIVE_BACK, RESOLVE, ANSWER, STARTED, DONE, LOG = range(9)
"""What messages are about."""
_PATIENCE_S: Final = 1.0
"""How long after its end an answer is waited for."""


def owner(ip: str | None, engines: int) -> int:
    """Which of so many processes an address belongs to."""
    return zlib.crc32((ip or "").encode()) % engines


class EngineOrder(Struct, frozen=True):
    """What a process is to do, of which there are `engines`, and it is the one with this `index`.

    `settings` has its part of what is dealt out; `hosts` are those of the run, to which redirects are followed.
    """

    settings: ProbeSettings
    environments: Mapping[str, Environment]
    hosts: frozenset[str]
    concurrency: int
    workers: int
    index: int = 0
    engines: int = 1


@dataclass(slots=True)
class Engine:
    """What the probes of a process have of the run: their part of its budget, and what only its parent knows."""

    order: EngineOrder
    addresses: set[Address] = field(default_factory=set)
    _talk: Talk | None = None
    _asked: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _targets: asyncio.Queue[Target] = field(default_factory=asyncio.Queue)
    _lending: set[asyncio.Task[None]] = field(default_factory=set)
    _number: int = 0
    budget: RunBudget = field(init=False)

    def __post_init__(self) -> None:
        order = self.order
        self.budget = RunBudget(Limits.of(order.settings), self, lambda ip: owner(ip, order.engines) == order.index)

    async def targets(self) -> AsyncIterator[Target]:
        """What it is given to probe; there is no end to it but that of the process."""
        while True:
            yield await self._targets.get()

    def tell(self, step: Progress) -> None:
        """Tell that a target has begun; that it is done is told with its evidence."""
        if step.stage is Stage.STARTED:
            self._say(STARTED, step.target_id)

    async def addresses_of(self, host: str) -> Any:
        """The addresses of a name, as the run knows them."""
        answer, ours = await self._ask(RESOLVE, host)
        self.addresses |= ours
        return answer

    async def admit(self, ip: str, ends: float, _service: SharedPort | None, *, first: bool = False) -> None:
        """Wait for a place at an address of another process.

        Raises:
            DeadlineError: there is none in time.
        """
        loop = asyncio.get_running_loop()
        asking = asyncio.ensure_future(self._ask(ADMIT, ip, ends - loop.time(), first))
        try:
            async with asyncio.timeout_at(ends + _PATIENCE_S):
                admitted = await asyncio.shield(asking)
        except (TimeoutError, asyncio.CancelledError) as error:
            asking.add_done_callback(lambda asked: self._not_wanted(ip, asked))
            if isinstance(error, TimeoutError):
                raise DeadlineError from None
            raise
        if not admitted:
            raise DeadlineError

    def _not_wanted(self, ip: str, asked: asyncio.Future[bool]) -> None:
        if not asked.cancelled() and asked.exception() is None and asked.result():
            self.give_back(ip, None)

    def give_back(self, ip: str, _service: SharedPort | None) -> None:
        """A connection to an address of another process is closed."""
        self._say(GIVE_BACK, ip)

    async def _ask(self, about: int, *question: Any) -> Any:
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._say(about, number, *question)
        try:
            return await answer
        finally:
            del self._asked[number]

    def _say(self, *message: Any) -> None:
        if self._talk is not None:
            self._talk.say(*message)

    async def listen(self, talk: Talk) -> None:
        """Heed what the parent says, until it is gone."""
        self._talk = talk
        async for about, *said in talk.heard():
            if about == TARGET:
                self._take(said[0])
            elif about == ANSWER:
                number, answer = said
                if number in self._asked and not self._asked[number].done():
                    self._asked[number].set_result(answer)
            elif about == ADMIT:
                lending = asyncio.create_task(self._lend(*said))
                self._lending.add(lending)
                lending.add_done_callback(self._lending.discard)
            elif about == GIVE_BACK:
                self.budget.give_back(said[0])

    def _take(self, target: Target) -> None:
        if target.ip and is_address(target.ip):
            self.addresses.add(ipaddress.ip_address(target.ip))
        self._targets.put_nowait(target)

    async def _lend(self, asked: Any, ip: str, left_s: float, first: bool) -> None:  # noqa: FBT001  # as it was said
        admitted = True
        try:
            await self.budget.admit(ip, asyncio.get_running_loop().time() + left_s, first=first)
        except DeadlineError:
            admitted = False
        self._say(ADMITTED, asked, admitted)


Probed = Callable[[Engine, AsyncIterable[Target]], AsyncGenerator[tuple[Target, TargetEvidence]]]


def serve(channel: socket.socket, probed: Probed) -> None:
    """Be such a process: take an order, and probe what it is given until nobody is there to take what is found."""
    asyncio.run(_serve(channel, probed))


async def _serve(channel: socket.socket, probed: Probed) -> None:
    talk = await Talk.over(channel)
    order = (await anext(talk.heard()))[0]
    engine = Engine(order)
    _log_to(talk)
    listening = asyncio.create_task(engine.listen(talk))
    probing = asyncio.create_task(_probe(engine, talk, probed))
    await asyncio.wait({listening, probing}, return_when=asyncio.FIRST_COMPLETED)
    for task in (listening, probing):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await probing


async def _probe(engine: Engine, talk: Talk, probed: Probed) -> None:
    async with contextlib.aclosing(probed(engine, engine.targets())) as found:
        async for target, evidence in found:
            talk.say(DONE, target.id, to_json(evidence))
            # Whoever keeps it may be slower than what finds it.
            await talk.sent()


def _log_to(talk: Talk) -> None:
    """What is logged here is logged there: how, the parent's configuration says."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            talk.say(LOG, record.name, record.levelno, self.format(record))

    root = logging.getLogger()
    root.handlers[:] = [Handler()]
