"""The names of a run: each is resolved once, in the background, and its targets may begin as soon as it is.

Nothing waits for all of them. A resolver that answers nobody is noticed: the names are put off then, asked for one at a
time until it answers again, and given up together if it does not. Ten thousand names would hold a run for a quarter of
an hour otherwise.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

from scanner.counting import counted
from scanner.evidence import Failure, FailureReason
from scanner.inventory import Endpoint
from scanner.probe import ProbeSettings
from scanner.probe.dns import Answer, Resolved, addresses_of, look_up, targets_of
from scanner.probe.nameservers import AddressMode
from scanner.probe.net.gate import Address

_AT_ONCE: Final = 64
_TRIES: Final = 12
"""How many names are asked for one after the other, when nobody was answered, before all others are given up."""


class RunNames:
    """The names of a run's endpoints. To be used in one event loop.

    `addresses` are those that are known by now, and grow: what is scanned anyway, a redirect may lead to.
    """

    def __init__(self, endpoints: Sequence[Endpoint], settings: ProbeSettings, mode: AddressMode) -> None:
        self.endpoints = endpoints
        self.addresses: set[Address] = set()
        self._settings = settings
        self._mode = mode
        self._of_host: dict[str, list[int]] = defaultdict(list)
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._ready: asyncio.Queue[tuple[int, Sequence[Resolved]]] = asyncio.Queue()
        self._unanswered = 0
        self._put_off: deque[str] = deque()

    @classmethod
    @asynccontextmanager
    async def of(
        cls, endpoints: Sequence[Endpoint], settings: ProbeSettings, mode: AddressMode = "all"
    ) -> AsyncIterator[Self]:
        """Begin to resolve, in the endpoints' order, and stop at the end."""
        names = cls(endpoints, settings, mode)
        names._begin()
        resolving = asyncio.create_task(names._resolve())
        try:
            yield names
        finally:
            resolving.cancel()
            await asyncio.gather(resolving, return_exceptions=True)

    async def resolved(self) -> AsyncGenerator[tuple[int, Sequence[Resolved]]]:
        """The targets of each endpoint, with its place among the endpoints, as soon as they are known."""
        for _ in self.endpoints:
            yield await self._ready.get()

    async def addresses_of(self, host: str) -> Answer:
        """The addresses of a name: those of the run where it is one of its names, for which it is waited."""
        answer = self._answers.get(host)
        if answer is None:
            return await addresses_of(host, self._settings.resolver)
        return await asyncio.shield(answer)

    def _begin(self) -> None:
        """Sort out what needs no resolver: addresses, what `connect_to` says, and names that a proxy resolves."""
        loop = asyncio.get_running_loop()
        for place, endpoint in enumerate(self.endpoints):
            if endpoint.unresolved:
                self._tell(place, Failure.of(FailureReason.RESOLVER_FAILED, endpoint.unresolved))
            elif endpoint.address in self._settings.connect_to:
                self._tell(place, Failure(FailureReason.NOT_RUN))
            elif endpoint.is_address:
                self._tell(place, (ipaddress.ip_address(endpoint.host).compressed,))
            elif self._settings.proxy is not None:
                self._tell(place, (endpoint.host,))
            else:
                self._of_host[endpoint.host].append(place)
        self._answers = {host: loop.create_future() for host in self._of_host}

    async def _resolve(self) -> None:
        waiting = deque(self._of_host)
        while waiting:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(waiting))):
                    group.create_task(self._ask(waiting))
            waiting, self._put_off = self._put_off, deque()
            if waiting:
                await self._try_again(waiting)

    async def _ask(self, waiting: deque[str]) -> None:
        while waiting:
            host = waiting.popleft()
            if self._unanswered >= _AT_ONCE:
                self._put_off.append(host)
            else:
                self._settle(host, await self._look_up(host))

    async def _try_again(self, waiting: deque[str]) -> None:
        """Ask for one name after the other until one is answered, or give all of them up."""
        for _ in range(_TRIES):
            if not waiting:
                return
            # Of different ones: a zone whose own servers are dead has its names beside each other.
            waiting.rotate(len(waiting) // _TRIES)
            host = waiting.popleft()
            self._settle(host, await self._look_up(host))
            if not self._unanswered:
                return
        while waiting:
            detail = f"the resolver gave no answer to {counted(self._unanswered, 'name')} before it"
            self._settle(waiting.popleft(), Failure.of(FailureReason.RESOLVER_FAILED, detail))

    async def _look_up(self, host: str) -> Answer:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer = await look_up(host, self._mode, self._settings.timeout_s, self._settings.resolver)
        # One that says that it failed has answered, and holds nobody up.
        failed = isinstance(answer, Failure) and answer.reason is FailureReason.RESOLVER_FAILED
        silent = failed and loop.time() - begun >= self._settings.timeout_s
        self._unanswered = self._unanswered + 1 if silent else 0
        return answer

    def _settle(self, host: str, answer: Answer) -> None:
        for place in self._of_host[host]:
            self._tell(place, answer)
        if not self._answers[host].done():
            self._answers[host].set_result(answer)

    def _tell(self, place: int, answer: Answer) -> None:
        found = targets_of(self.endpoints[place], answer, self._settings.connect_to, self._mode)
        if self._settings.proxy is None:
            self.addresses |= {ipaddress.ip_address(item.target.ip) for item in found if item.target.ip}
        self._ready.put_nowait((place, found))


def in_order(found: Mapping[int, Sequence[Resolved]]) -> list[Resolved]:
    """The targets in the order of their endpoints, whichever was known first."""
    return [item for place in sorted(found) for item in found[place]]
