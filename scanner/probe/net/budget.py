"""The budget of a run: how long a target may take, and how often and how much at once each address may be asked.

It is the only clock of all probes. Limits hold for an IP address, whoever asks it: every probe of every target whose
name leads there. A probe asks before each connection:

    try:
        async with budget.connection():                 # waits for a place and for its turn
            async with asyncio.timeout(budget.bound(settings.timeout_s)):
                ...                                     # connect, ask, close
    except DeadlineError:
        return Failure(FailureReason.DEADLINE)

Two times matter. `ends` is when a probe stops asking, to hand over what it has seen; `deadline`, a little later, is
when the target's time is over. Whoever runs probes cuts them off then. Threads and other processes ask by
`scanner.probe.net.remote`, which asks here in their name. All times are in seconds, of the event loop's clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self

from scanner.probe import ProbeSettings

_LAST_WORD_S: Final = 2.0
"""How long before the deadline a probe stops asking."""
_LAST_WORD_SHARE: Final = 0.1
"""But no more than this part of the deadline."""
_FIRST_INTERVAL_S: Final = 0.05
"""Between connections to an address that showed a sign of load; doubled each time that it shows another."""
_LONGEST_INTERVAL_S: Final = 1.0


class DeadlineError(Exception):
    """There is no time for another connection: the turn of the next one would come after the probe's end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run allows: connections at once to one address, and new ones a second to one address and altogether."""

    connections: int = 5
    rate_per_s: float | None = None
    total_rate_per_s: float | None = None

    @classmethod
    def of(cls, settings: ProbeSettings) -> Self:
        """What the settings say."""
        return cls(settings.connections_per_target, settings.rate_per_s)


class _Places:
    """Connections at once, given to whoever has waited longest. `most` may be lowered on the way."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> bool:
        """Whether one could be taken at once."""
        return self._taken < self.most and not self._waiting

    async def take(self, ends: float, *, first: bool = False) -> None:
        """Take one, `first` before all who wait.

        Raises:
            DeadlineError: none became free by `ends`.
        """
        if self.free:
            self._taken += 1
            return
        _check(ends)
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        (self._waiting.appendleft if first else self._waiting.append)(turn)
        late = loop.call_at(ends, _expire, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back()
            raise
        finally:
            late.cancel()
            if turn in self._waiting:
                self._waiting.remove(turn)

    def give_back(self) -> None:
        """Give one back, to who waits longest."""
        self._taken -= 1
        while self._waiting and self._taken < self.most:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)


def _check(ends: float) -> None:
    if asyncio.get_running_loop().time() >= ends:
        raise DeadlineError


def _expire(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(DeadlineError())


class _Pace:
    """Starts, one at a time, each at least `interval_s` after the one before."""

    def __init__(self, rate_per_s: float | None) -> None:
        self.interval_s = 1 / rate_per_s if rate_per_s else 0.0
        self._next = 0.0
        self._turns = asyncio.Lock()

    @property
    def free(self) -> bool:
        """Whether a start need not wait, nor makes others wait."""
        return not self.interval_s and not self._turns.locked()

    @asynccontextmanager
    async def turn(self, ends: float) -> AsyncIterator[None]:
        """Wait for a turn; the start is what happens inside.

        Raises:
            DeadlineError: it would come after `ends`.
        """
        try:
            async with asyncio.timeout_at(ends):
                await self._turns.acquire()
        except TimeoutError:
            raise DeadlineError from None
        loop = asyncio.get_running_loop()
        try:
            while (wait := self._next - loop.time()) > 0:
                if self._next > ends:
                    raise DeadlineError
                await asyncio.sleep(wait)
            yield
            self._next = loop.time() + self.interval_s
        finally:
            self._turns.release()

    def slow_down(self, pause_s: float) -> None:
        """Double the interval, and let nothing start for a while."""
        self.interval_s = max(self.interval_s, min(max(_FIRST_INTERVAL_S, 2 * self.interval_s), _LONGEST_INTERVAL_S))
        self._next = max(self._next, asyncio.get_running_loop().time() + pause_s)


class _Address:
    """What is shared by all who ask one IP address."""

    def __init__(self, limits: Limits) -> None:
        self.places = _Places(limits.connections)
        self.pace = _Pace(limits.rate_per_s)


@dataclass(slots=True)
class RunBudget:
    """The limits of a run, and how much of them each address has used."""

    limits: Limits
    _addresses: dict[str, _Address] = field(default_factory=dict)
    _total: _Pace = field(init=False)

    def __post_init__(self) -> None:
        self._total = _Pace(self.limits.total_rate_per_s)

    def target(self, ip: str, deadline_s: float) -> Budget:
        """The budget of one target, whose time begins now."""
        return Budget(self, ip, deadline_s)

    async def admit(self, ip: str, ends: float, *, first: bool = False) -> None:
        """Wait until a connection to an address may begin; it is to be given back (`give_back`).

        Raises:
            DeadlineError: that would be after `ends`.
        """
        address = self._addresses.get(ip)
        if address is None:
            address = self._addresses[ip] = _Address(self.limits)
        await address.places.take(ends, first=first)
        try:
            if address.pace.free and self._total.free:
                _check(ends)
            else:
                async with address.pace.turn(ends), self._total.turn(ends):
                    pass
        except BaseException:
            address.places.give_back()
            raise

    def give_back(self, ip: str) -> None:
        """A connection to an address is closed."""
        self._addresses[ip].places.give_back()

    def slow_down(self, ip: str, pause_s: float) -> None:
        """An address shows that it has too much to do: from now on one connection at a time, further apart."""
        if address := self._addresses.get(ip):
            address.places.most = 1
            address.pace.slow_down(pause_s)


class Place:
    """A connection that may be open, to be given back when it is closed."""

    __slots__ = ("_budget", "_ip")

    def __init__(self, budget: Budget, ip: str) -> None:
        self._budget: Budget | None = budget
        self._ip = ip

    def give_back(self) -> None:
        """Give it back; safe to call again."""
        budget, self._budget = self._budget, None
        if budget is not None:
            budget.give_back(self._ip)

    def unused(self) -> None:
        """Give it back: no connection was opened."""
        if self._budget is not None:
            self._budget.opened -= 1
        self.give_back()


class Budget:
    """What the probes of one target may use together.

    `ends` is when they stop asking, `deadline` when their time is over; `opened` counts the connections begun.
    """

    def __init__(self, run: RunBudget, ip: str, deadline_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._run = run
        self._ip = ip
        self.opened = 0
        self.deadline = self._loop.time() + deadline_s
        self.ends = self.deadline - min(_LAST_WORD_S, _LAST_WORD_SHARE * deadline_s)

    @classmethod
    def alone(cls, settings: ProbeSettings, ip: str) -> Self:
        """The budget of a probe that runs by itself, beside nothing else, with its settings' limits."""
        return cls(RunBudget(Limits.of(settings)), ip, settings.deadline_s)

    @property
    def left(self) -> float:
        """Seconds until the probes stop asking; never negative."""
        return max(0.0, self.ends - self._loop.time())

    def bound(self, seconds: float) -> float:
        """So many seconds, or those that are left if they are fewer."""
        return min(seconds, self.left)

    @asynccontextmanager
    async def connection(self, ip: str | None = None, *, first: bool = False) -> AsyncIterator[Place]:
        """Hold one connection, to the target's address or to another one (`ip`), for as long as it is open.

        `first` lets it go before all others that wait for the address.

        Raises:
            DeadlineError: there is no time for one more.
        """
        place = await self.admit(ip, first=first)
        try:
            yield place
        finally:
            place.give_back()

    async def admit(self, ip: str | None = None, *, first: bool = False) -> Place:
        """The same for whoever can't hold it by `async with`; the place has to be given back.

        Raises:
            DeadlineError: there is no time for one more.
        """
        ip = ip or self._ip
        await self._run.admit(ip, self.ends, first=first)
        self.opened += 1
        return Place(self, ip)

    def give_back(self, ip: str) -> None:
        """A connection to an address is closed."""
        self._run.give_back(ip)

    def slow_down(self, pause_s: float) -> None:
        """Tell that the target's address showed a sign of load: every probe asks it more slowly from now on.

        Nothing is asked for `pause_s` seconds, and then one connection at a time.
        """
        self._run.slow_down(self._ip, pause_s)
