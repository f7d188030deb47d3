"""What budgets are made of: places for connections, the pace at which they start, and whose turn it is."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from msgspec import Struct

from scanner.probe import ProbeSettings

_FIRST_INTERVAL_S: Final = 0.05
"""Between connections to an address that showed a sign of load; doubled each time that it shows another."""
_LONGEST_INTERVAL_S: Final = 1.0
_LOOK_S: Final = 0.2
"""How often to look whether one more target may begin at an address that others ask already."""


class DeadlineError(Exception):
    """There is no time for another connection: the turn of the next one would come after the probe's end."""


class Limits(Struct, frozen=True):
    """What a run allows: connections at once to one address, and new ones a second to one address and altogether."""

    connections: int = 5
    rate_per_s: float | None = None
    total_rate_per_s: float | None = None

    @classmethod
    def of(cls, settings: ProbeSettings) -> Self:
        """What the settings say."""
        return cls(settings.connections, settings.rate_per_s, settings.total_rate_per_s)


class Places:
    """Connections at once, given to whoever has waited longest; `most` of them, fewer for a time (`slow_down`)."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._usual = most
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> bool:
        """Whether one could be taken at once."""
        return self._taken < self.most and not self._waiting

    def take_free(self) -> None:
        """Take one that is `free`."""
        self._taken += 1

    async def take(self, ends: float, *, first: bool = False) -> None:
        """Take one, `first` before all who wait.

        Raises:
            DeadlineError: none became free by `ends`.
        """
        if self.free:
            self._taken += 1
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= ends:
            raise DeadlineError
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
        self._hand_on()

    def slow_down(self) -> None:
        """One at a time from now on."""
        self.most = 1

    def recover(self) -> None:
        """As many as there were at first."""
        self.most = self._usual
        self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting and self._taken < self.most:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)


def _expire(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(DeadlineError())


class Pace:
    """Starts, one at a time, each at least `interval_s` after the one before."""

    def __init__(self, rate_per_s: float | None = None) -> None:
        self.interval_s = 1 / rate_per_s if rate_per_s else 0.0
        self._next = 0.0
        self._turns = asyncio.Lock()

    @property
    def free(self) -> bool:
        """Whether a start need not wait, nor makes others wait."""
        return not self.interval_s

    @property
    def unused_s(self) -> float:
        """For how many seconds a start would not have had to wait; infinite where none ever has to."""
        if self.free:
            return math.inf
        return 0.0 if self._turns.locked() else asyncio.get_running_loop().time() - self._next

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

    def slow_down(self, pause_s: float, usual_s: float = 0.0) -> None:
        """Double the interval, or that which is usual, and let nothing start for a while."""
        doubled = min(max(_FIRST_INTERVAL_S, 2 * max(self.interval_s, usual_s)), _LONGEST_INTERVAL_S)
        self.interval_s = max(doubled, usual_s)
        self._next = max(self._next, asyncio.get_running_loop().time() + pause_s)

    def recover(self) -> None:
        """Halve the interval, or leave it off once it is short."""
        self.interval_s = self.interval_s / 2 if self.interval_s > _FIRST_INTERVAL_S else 0.0


class TargetTurns:
    """Which of the targets that share an address, or a service there, have begun, and which wait.

    One target always may begin. Another does where a place is free for which nobody waits, and the pace is not what
    those wait for who have begun. That is looked for every now and then, so that each shows what it takes up first.
    """

    def __init__(self, places: Places, pace: Pace) -> None:
        self._places = places
        self._pace = pace
        self._begun = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._looking: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Wait until one more may begin, in the order of asking, and hold that turn until it is done."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    @property
    def _room(self) -> bool:
        if not self._begun:
            return True
        return self._begun < self._places.most and self._places.free and self._pace.unused_s >= _LOOK_S

    async def _enter(self) -> None:
        if not self._begun:
            self._begun += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._look_later()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _leave(self) -> None:
        self._begun -= 1
        self._admit()

    def _admit(self) -> None:
        """Let one more begin if there is room."""
        while self._waiting and self._room:
            turn = self._waiting.popleft()
            if not turn.done():
                self._begun += 1
                turn.set_result(None)
                return

    def _look_later(self) -> None:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = None
        self._admit()
        if self._waiting:
            self._look_later()


class SharedPort:
    """What is shared by all who ask one port of an address: it may take fewer connections than the address.

    A sign of load there slows all of them down, and nobody else: what else the address has is another program, and a
    server that turns everybody away must not keep its neighbours from being seen. With each target that begins it is
    trusted with more again.
    """

    def __init__(self, connections: int) -> None:
        self.places = Places(connections)
        self.pace = Pace()
        self.turns = TargetTurns(self.places, self.pace)

    def slow_down(self, pause_s: float, usual_s: float = 0.0) -> None:
        """It shows that it has too much to do: leave it alone for so many seconds, and then ask one thing at a time.

        `usual_s` are the seconds between connections that the rate of its address demands.
        """
        self.places.slow_down()
        self.pace.slow_down(pause_s, usual_s)

    def recover(self) -> None:
        """Another target begins."""
        self.pace.recover()
        if self.pace.free:
            self.places.recover()
