"""Who was given which targets, for how long, and what of an answer counts. Pure: the time is given to it.

A shard is given out, is heard of, and is over when each of its targets has an answer. One of which nothing is heard is
given out anew, for the targets that are missing: twice at most, the last time each target alone, so that one that kills
its worker takes no other with it. Whatever comes twice counts once.
"""

from __future__ import annotations

import secrets
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from scanner.evidence import Failure, FailureReason
from scanner.fleet.messages import MessageError, Told
from scanner.inventory import Target

SMALLEST, LARGEST = 25, 100
"""Targets of a shard, but for the last of a zone and those of one address, which stay together."""
IN_FLIGHT: Final = 4
"""Shards of one zone that are given out and not over."""
NO_WORKER_S: Final = 50.0
"""A zone of which nothing was heard for so long since it was asked has no worker."""
LEASE_S: Final = 30.0
"""A shard of which nothing was heard for so long, after it was taken, is lost."""
TRIES: Final = 3


class Lease(Struct, eq=False):
    """One shard as it was given out."""

    zone: str
    missing: dict[str, Target]
    tries: int = 1
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    given_at: float | None = None
    heard_at: float | None = None


class Loss(Struct):
    """A target that nobody answers for, and why."""

    target: Target
    failure: Failure


class Leases:
    """The targets of one run that are probed elsewhere."""

    def __init__(self, zones: Mapping[str, Sequence[Target]]) -> None:
        self._waiting: dict[str, deque[Lease]] = {
            zone: deque(Lease(zone, {target.id: target for target in shard}) for shard in shards_of(targets))
            for zone, targets in zones.items()
        }
        self._out: dict[str, Lease] = {}
        self._done: set[str] = set()
        self._heard: dict[str, float] = {}
        self._asked: dict[str, float] = {}

    @property
    def over(self) -> bool:
        """Whether each target has been answered for."""
        return not self._out and not any(self._waiting.values())

    @property
    def zones(self) -> int:
        """How many zones there are."""
        return len(self._waiting)

    def to_give(self, now: float) -> list[Lease]:
        """The shards that are to be given out now."""
        given = []
        out: dict[str, int] = defaultdict(int)
        for lease in self._out.values():
            out[lease.zone] += 1
        for zone, waiting in self._waiting.items():
            while waiting and out[zone] < IN_FLIGHT:
                lease = waiting.popleft()
                lease.given_at, lease.heard_at = now, None
                self._asked.setdefault(zone, now)
                self._out[lease.token] = lease
                out[zone] += 1
                given.append(lease)
        return given

    def is_done(self, token: str) -> bool:
        """Whether all targets of a shard were answered for by whom it was given to."""
        return token in self._done

    def lease(self, told: Told, now: float) -> Lease:
        """The shard that a worker speaks of.

        Raises:
            MessageError: it was given to nobody, or has been given to somebody else since.
        """
        lease = self._out.get(told.lease)
        if lease is None:
            raise MessageError("about a shard that is not assigned")
        lease.heard_at = self._heard[lease.zone] = now
        return lease

    def answered(self, lease: Lease, target_id: str) -> Target:
        """Take a target's answer, which counts once.

        Raises:
            MessageError: it is no target of this shard, or has been answered for.
        """
        target = lease.missing.pop(target_id, None)
        if target is None:
            raise MessageError("about a target that is not in this shard, or was already answered")
        if not lease.missing:
            self._out.pop(lease.token, None)
            self._done.add(lease.token)
        return target

    def refused(self, lease: Lease, detail: str) -> Iterator[Loss]:
        """A worker will not do it: another version would not either."""
        self._out.pop(lease.token, None)
        for target in lease.missing.values():
            yield Loss(target, Failure.of(FailureReason.ENGINE_ERROR, detail))

    def broken_off(self, lease: Lease) -> Iterator[Loss]:
        """Its worker has gone, or has come to an end with targets missing."""
        self._out.pop(lease.token, None)
        if lease.tries >= TRIES:
            detail = f"the worker was lost {lease.tries} times"
            yield from (Loss(target, Failure(FailureReason.ENGINE_ERROR, detail)) for target in lease.missing.values())
            return
        tries = lease.tries + 1
        parts = [{target.id: target} for target in lease.missing.values()] if tries == TRIES else [lease.missing]
        self._waiting[lease.zone].extendleft(Lease(lease.zone, dict(part), tries) for part in reversed(parts))

    def look(self, now: float) -> Iterator[Loss]:
        """What has been waited for in vain: shards that are lost, zones in which nobody is."""
        for zone, asked in list(self._asked.items()):
            heard = self._heard.get(zone)
            last = asked if heard is None else max(asked, heard)
            if now - last >= NO_WORKER_S and self._any_in(zone):
                yield from self._nobody(zone, heard is not None)
        for lease in [lease for lease in self._out.values() if lease.heard_at is not None]:
            if lease.heard_at is not None and now - lease.heard_at >= LEASE_S:
                yield from self.broken_off(lease)

    def neglected(self, now: float) -> list[Lease]:
        """Shards that nobody has begun although somebody was there: what a killed worker had taken is nowhere any more.

        It is asked for again once, before the zone is given up.
        """
        found = []
        for lease in self._out.values():
            heard = self._heard.get(lease.zone)
            if lease.heard_at is None and lease.given_at is not None and heard is not None:
                silent = now - max(heard, lease.given_at)
                if silent >= NO_WORKER_S / 2:
                    lease.given_at = now
                    found.append(lease)
        return found

    def wait(self, seconds: float) -> None:
        """Let so much time not count: the broker was away, and nobody could be heard."""
        for zone in self._asked:
            self._asked[zone] += seconds
        for zone in self._heard:
            self._heard[zone] += seconds
        for lease in self._out.values():
            lease.given_at = lease.given_at and lease.given_at + seconds
            lease.heard_at = lease.heard_at and lease.heard_at + seconds

    def untaken(self) -> list[Lease]:
        """Shards that were given out and of which nothing was heard: a broker that was started anew forgot them."""
        return [lease for lease in self._out.values() if lease.heard_at is None]

    def _any_in(self, zone: str) -> bool:
        return bool(self._waiting[zone]) or any(lease.zone == zone for lease in self._out.values())

    def _nobody(self, zone: str, once: bool) -> Iterator[Loss]:  # noqa: FBT001  # whether there was one before
        detail = f'no worker of zone "{zone}" {"is connected any more" if once else "is connected"}'
        leases = [*self._waiting[zone], *(lease for lease in self._out.values() if lease.zone == zone)]
        self._waiting[zone].clear()
        for lease in leases:
            self._out.pop(lease.token, None)
            for target in lease.missing.values():
                yield Loss(target, Failure(FailureReason.NO_WORKER, detail))


def shards_of(targets: Iterable[Target]) -> list[list[Target]]:
    """Shards in which all targets of an address are together, so that its limits are kept in one place."""
    by_address: dict[str, list[Target]] = defaultdict(list)
    for target in targets:
        by_address[target.ip or ""].append(target)
    shards: list[list[Target]] = [[]]
    for together in by_address.values():
        if shards[-1] and (len(shards[-1]) >= SMALLEST * 2 or len(shards[-1]) + len(together) > LARGEST):
            shards.append([])
        shards[-1].extend(together)
    return [shard for shard in shards if shard]
