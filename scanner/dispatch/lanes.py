"""What the probes of one target share: connections at once, connections per second, and time.

Each probe begins with a share of the connections. One that has ended leaves its share to the survey, which asks most.
Where fewer connections are allowed than there are probes, one waits for another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self, TypeVar

from scanner.evidence import Failure, FailureReason
from scanner.inventory import Target
from scanner.probe import ProbeSettings

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Kind(StrEnum):
    """The probes that connect to a target, those that need most connections first."""

    SURVEY = "survey"
    HANDSHAKE = "handshake"
    HTTP = "http"


def wanted(target: Target, settings: ProbeSettings) -> list[Kind]:
    """The probes that a target needs."""
    return [
        kind
        for kind in Kind
        if not (kind is Kind.SURVEY and settings.engine != "survey")
        and not (kind is Kind.HTTP and not target.endpoint.role.speaks_http)
    ]


def _split(connections: int, kinds: Sequence[Kind]) -> dict[Kind, int]:
    """How many connections at once each of the probes begins with; the first needs the most by far."""
    if connections <= len(kinds):
        return dict.fromkeys(kinds, 1)
    shares = {kind: max(1, connections // 5) for kind in kinds[1:]}
    return {kinds[0]: connections - sum(shares.values()), **shares}


@dataclass(slots=True)
class Lanes:
    """The shares of one target's probes.

    `places` are the probes that may run side by side, `connections` those that each may have open, if it is in this
    process.
    """

    settings: ProbeSettings
    shares: Mapping[Kind, ProbeSettings]
    places: asyncio.Semaphore
    connections: Mapping[Kind, asyncio.Semaphore]
    ends: float
    _ended: set[Kind] = field(default_factory=set)

    @classmethod
    def of(cls, settings: ProbeSettings, kinds: Sequence[Kind], now: float) -> Self:
        """Split what the settings allow; the deadline runs from `now` (seconds of the event loop's clock)."""
        lanes = min(len(kinds), settings.connections_per_target)
        rate = settings.rate_per_s / lanes if settings.rate_per_s else None
        shares = {
            kind: replace(settings, connections_per_target=connections, rate_per_s=rate)
            for kind, connections in _split(settings.connections_per_target, kinds).items()
        }
        connections = {kind: asyncio.Semaphore(share.connections_per_target) for kind, share in shares.items()}
        return cls(settings, shares, asyncio.Semaphore(lanes), connections, now + settings.deadline_s)

    async def run(
        self,
        kind: Kind,
        probe: Callable[[ProbeSettings, asyncio.Semaphore], Awaitable[T]],
        failed: Callable[[Failure], T],
        *,
        grace: float = 0.0,
    ) -> T:
        """Run a probe with its share until `grace` seconds after the deadline; `failed` makes a result of a failure."""
        share = self.shares[kind]

        async def within() -> T:
            async with self.places:
                left = self.ends - asyncio.get_running_loop().time()
                return await probe(replace(share, deadline_s=max(left, 0.0)), self.connections[kind])

        try:
            return await self.bounded(within, failed, grace=grace)
        finally:
            self._leave(kind)

    async def bounded(
        self, probe: Callable[[], Awaitable[T]], failed: Callable[[Failure], T], *, grace: float = 0.0
    ) -> T:
        """Await a probe until the deadline; its fault, like its lateness, is a value."""
        try:
            async with asyncio.timeout_at(self.ends + grace):
                return await probe()
        except TimeoutError:
            return failed(Failure(FailureReason.DEADLINE))
        except Exception as error:  # noqa: BLE001  # a probe's own fault must not end the run
            _LOG.warning("a probe failed", exc_info=True)
            return failed(Failure.of(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"))

    def take_all(self) -> None:
        """Give the handshake probe, for what it does next, all connections but those of an HTTP probe that still runs.

        To be called when the survey is at its end.
        """
        if self._one_after_another:
            return
        taken = self.settings.connections_per_target
        if Kind.HTTP in self.shares and Kind.HTTP not in self._ended:
            taken -= self.shares[Kind.HTTP].connections_per_target
        self.shares = {
            **self.shares,
            Kind.HANDSHAKE: replace(self.shares[Kind.HANDSHAKE], connections_per_target=taken),
        }

    @property
    def _one_after_another(self) -> bool:
        return self.settings.connections_per_target < len(self.shares)

    def _leave(self, kind: Kind) -> None:
        self._ended.add(kind)
        if self._one_after_another or Kind.SURVEY in self._ended or Kind.SURVEY not in self.shares:
            return
        for _ in range(self.shares[kind].connections_per_target):
            self.connections[Kind.SURVEY].release()
