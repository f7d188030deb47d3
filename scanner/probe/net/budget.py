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
when the target's time is over, and what still runs is cut off (`scanner.probe.net.cutoff`). Threads and other processes
ask by `scanner.probe.net.remote`, which asks here in their name. All times are in seconds, of the event loop's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

from scanner.inventory import Target
from scanner.probe import ProbeSettings
from scanner.probe.net.limits import DeadlineError, Limits, Pace, Places, SharedPort, TargetTurns

__all__ = ["Budget", "DeadlineError", "Limits", "Place", "RunBudget"]

_LAST_WORD_S: Final = 2.0
"""How long before the deadline a probe stops asking."""
_LAST_WORD_SHARE: Final = 0.1
"""But no more than this part of the deadline."""
_CONNECTIONS_OF_A_TARGET: Final = 100
"""What a target is reckoned with where a total rate decides how many are asked at once: twice the usual."""


class _Address:
    """What is shared by all who ask one IP address."""

    def __init__(self, limits: Limits) -> None:
        self.places = Places(limits.connections)
        self.pace = Pace(limits.rate_per_s)
        self.turns = TargetTurns(self.places, self.pace)
        self.services: dict[int, SharedPort] = {}


class Admission(Protocol):
    """Who admits connections to an address: the run's budget, or in another process whoever asks it from there."""

    async def admit(self, ip: str, ends: float, service: SharedPort | None, *, first: bool = False) -> None:
        """Wait until a connection to an address may begin; it is to be given back.

        Raises:
            DeadlineError: that would be after `ends`.
        """
        ...

    def give_back(self, ip: str, service: SharedPort | None) -> None:
        """A connection to an address is closed."""
        ...


class ServiceAdmission(Admission, Protocol):
    """Who admits the connections of a target, and hears when its service has too much to do."""

    def slow_down(self, ip: str, service: SharedPort | None, pause_s: float) -> None:
        """A service shows that it has too much to do."""
        ...

    def admit_at_once(self, ip: str, ends: float, service: SharedPort | None) -> bool:
        """Admit a connection for which nothing has to be waited for; whether there was one."""
        ...


@dataclass(slots=True)
class RunBudget:
    """The limits of a run, and how much of them each address has used.

    Where a run is divided among processes, `ours` tells which addresses this one admits to, and `elsewhere` admits to
    the others.
    """

    limits: Limits
    elsewhere: Admission | None = None
    ours: Callable[[str], bool] | None = None
    _addresses: dict[str, _Address] = field(default_factory=dict)
    _total: Pace = field(init=False)

    def __post_init__(self) -> None:
        self._total = Pace(self.limits.total_rate_per_s)

    def targets_at_once(self, most: int, deadline_s: float) -> int:
        """How many targets may have begun, `most` or fewer: so many that the total rate serves each in its time."""
        if self.limits.total_rate_per_s is None:
            return most
        served = int(self.limits.total_rate_per_s * deadline_s / _CONNECTIONS_OF_A_TARGET)
        return max(1, min(most, served))

    @asynccontextmanager
    async def turn(self, target: Target, settings: ProbeSettings) -> AsyncIterator[None]:
        """Wait until one more target of an address may begin, and hold that turn until it is done.

        Targets of one address begin in their order, and only as it has room for them (`TargetTurns`): what they have to
        share would else use up the time of all of them.
        """
        service = self._service(target, settings)
        async with service.turns.held(), self._address(target.ip or "").turns.held():
            yield

    def of(self, target: Target, settings: ProbeSettings) -> Budget:
        """The budget of one target, whose time begins now."""
        service = self._service(target, settings)
        service.recover()
        now = asyncio.get_running_loop().time()
        return Budget(self, target.ip or "", now + settings.deadline_s, settings.deadline_s, service)

    async def admit(self, ip: str, ends: float, service: SharedPort | None = None, *, first: bool = False) -> None:
        """Wait until a connection to an address may begin; it is to be given back (`give_back`).

        Raises:
            DeadlineError: that would be after `ends`.
        """
        if self.admit_at_once(ip, ends, service):
            return
        if self.elsewhere is not None and self._foreign(ip):
            await self.elsewhere.admit(ip, ends, None, first=first)
            return
        address = self._address(ip)
        shared = (address.places,) if service is None else (service.places, address.places)
        taken: list[Places] = []
        try:
            for places in shared:
                await places.take(ends, first=first)
                taken.append(places)
            await self._wait_for_turn(ends, service.pace if service is not None else None, address.pace, self._total)
        except BaseException:
            for places in taken:
                places.give_back()
            raise

    def admit_at_once(self, ip: str, ends: float, service: SharedPort | None = None) -> bool:
        """Admit a connection for which nothing has to be waited for, not even by others; whether there was one."""
        if self.elsewhere is not None and self._foreign(ip):
            return False
        address = self._address(ip)
        places = (address.places,) if service is None else (service.places, address.places)
        paces = (address.pace, self._total) if service is None else (service.pace, address.pace, self._total)
        if not all(item.free for item in (*places, *paces)) or asyncio.get_running_loop().time() >= ends:
            return False
        for item in places:
            item.take_free()
        return True

    async def _wait_for_turn(self, ends: float, *paces: Pace | None) -> None:
        """Wait for the turn of a start that keeps to all of these."""
        kept = [pace for pace in paces if pace is not None and not pace.free]
        if not kept:
            if asyncio.get_running_loop().time() >= ends:
                raise DeadlineError
            return
        async with AsyncExitStack() as stack:
            for pace in kept:
                await stack.enter_async_context(pace.turn(ends))

    def give_back(self, ip: str, service: SharedPort | None = None) -> None:
        """A connection to an address is closed."""
        if self.elsewhere is not None and self._foreign(ip):
            self.elsewhere.give_back(ip, None)
            return
        if service is not None:
            service.places.give_back()
        self._addresses[ip].places.give_back()

    def _foreign(self, ip: str) -> bool:
        return self.ours is not None and not self.ours(ip)

    def slow_down(self, ip: str, service: SharedPort | None, pause_s: float) -> None:
        """A service shows that it has too much to do: from now on one connection at a time, further apart."""
        if service is not None:
            service.slow_down(pause_s, self._address(ip).pace.interval_s)

    def _service(self, target: Target, settings: ProbeSettings) -> SharedPort:
        services = self._address(target.ip or "").services
        port = target.address.port if target.address is not None else target.endpoint.port
        if port not in services:
            services[port] = SharedPort(settings.connections_for(target.endpoint))
        return services[port]

    def _address(self, ip: str) -> _Address:
        address = self._addresses.get(ip)
        if address is None:
            address = self._addresses[ip] = _Address(self.limits)
        return address


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


class _Held:
    """A place for as long as a block takes. No generator: of those, a target would make fifty."""

    __slots__ = ("_budget", "_first", "_ip", "_place")

    def __init__(self, budget: Budget, ip: str | None, *, first: bool) -> None:
        self._budget = budget
        self._ip = ip
        self._first = first

    async def __aenter__(self) -> Place:
        self._place = place = await self._budget.admit(self._ip, first=self._first)
        return place

    async def __aexit__(self, *_: object) -> None:
        self._place.give_back()


class Budget:
    """What the probes of one target may use together.

    `ends` is when they stop asking, `deadline` when their time is over; `opened` counts the connections begun.
    """

    def __init__(
        self,
        admission: ServiceAdmission,
        ip: str,
        deadline: float,
        deadline_s: float,
        service: SharedPort | None = None,
    ) -> None:
        """`deadline` is a time, `deadline_s` how long the whole is; `service` is what is shared with its port."""
        self._loop = asyncio.get_running_loop()
        self._admission = admission
        self._ip = ip
        self._service = service
        self._put_off_s = 0.0
        self._paused_since: float | None = None
        self.opened = 0
        self.deadline = deadline
        self.ends = deadline - min(_LAST_WORD_S, _LAST_WORD_SHARE * deadline_s)

    @classmethod
    def alone(cls, settings: ProbeSettings, ip: str) -> Self:
        """The budget of a probe that runs by itself, beside nothing else, with its settings' limits."""
        now = asyncio.get_running_loop().time()
        service = SharedPort(settings.connections)
        return cls(RunBudget(Limits.of(settings)), ip, now + settings.deadline_s, settings.deadline_s, service)

    @property
    def left(self) -> float:
        """Seconds until the probes stop asking; never negative."""
        return max(0.0, self.ends - self._loop.time())

    def bound(self, seconds: float) -> float:
        """So many seconds, or those that are left if they are fewer."""
        return min(seconds, self.left)

    def connection(self, ip: str | None = None, *, first: bool = False) -> _Held:
        """Hold one connection, to the target's address or to another one (`ip`), for as long as it is open.

        `first` lets it go before all others that wait for the address.

        Raises:
            DeadlineError: there is no time for one more.
        """
        return _Held(self, ip, first=first)

    async def admit(self, ip: str | None = None, *, first: bool = False, later_s: float = 0.0) -> Place:
        """The same for whoever can't hold it by `async with`; the place has to be given back.

        `later_s` is how long after `ends` it may still be, for what was kept waiting by ourselves (`put_off_s`).

        Raises:
            DeadlineError: there is no time for one more.
        """
        ip = ip or self._ip
        await self._admission.admit(ip, self.ends + later_s, self._service_of(ip), first=first)
        self.opened += 1
        return Place(self, ip)

    def place_at_once(self, *, later_s: float = 0.0) -> Place | None:
        """A place at the target's address that nobody has to wait for; None where there is none now (`admit`)."""
        if not self._admission.admit_at_once(self._ip, self.ends + later_s, self._service):
            return None
        self.opened += 1
        return Place(self, self._ip)

    def give_back(self, ip: str) -> None:
        """A connection to an address is closed."""
        self._admission.give_back(ip, self._service_of(ip))

    def _service_of(self, ip: str) -> SharedPort | None:
        return self._service if ip == self._ip else None

    def slow_down(self, pause_s: float) -> None:
        """Tell that the target showed a sign of load: whoever shares its address and port asks more slowly from now on.

        Nothing is asked for `pause_s` seconds, and then one connection at a time.
        """
        self._admission.slow_down(self._ip, self._service, pause_s)

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Wait for something of our own, not of the target: what comes next may end so much later (`put_off_s`)."""
        self._paused_since = begun = self._loop.time()
        try:
            yield
        finally:
            self._put_off_s += self._loop.time() - begun
            self._paused_since = None

    @property
    def put_off_s(self) -> float:
        """How many seconds were spent waiting for something of our own (`paused`), until now."""
        waiting = self._loop.time() - self._paused_since if self._paused_since is not None else 0.0
        return self._put_off_s + waiting
