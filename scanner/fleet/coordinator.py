"""The side of a fleet that has the targets: it gives out shards, and takes what workers say as far as that counts."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError
from kombu.message import Message
from msgspec import Struct, field

from scanner.evidence import Attempt, TargetEvidence
from scanner.fleet.broker import app_for, results_queue
from scanner.fleet.leases import IN_FLIGHT, Lease, Leases, Loss
from scanner.fleet.messages import (
    LARGEST,
    TASK,
    Kind,
    MessageError,
    Shard,
    Told,
    evidence_from,
    said_in,
    shard_to_json,
    told_from,
    version,
)
from scanner.fleet.settings import FleetSettings, queue_of
from scanner.fleet.stores import trusted_stores
from scanner.inventory import Environment, Target
from scanner.probe import ProbeSettings
from scanner.probe.x509.trust import MOZILLA, SYSTEM

_LOOK_S: Final = 0.5
_AWAY_S: Final = 240.0
"""For so long in all a broker may be away that was there before; workers keep what they have to say about as long."""
_SEND: Final = {"max_retries": 3, "interval_start": 0.1, "interval_step": 0.5, "interval_max": 1.0}
_AFTERWARDS: Final = frozenset({Kind.BEAT, Kind.FINISHED})
"""What a worker says last of a shard, when its targets may all have been answered for."""
_LOG = logging.getLogger("nightseal.fleet")
Found = tuple[Target, TargetEvidence]


class _Listener(threading.Thread):
    """Takes messages from the broker, and hands on those that are JSON and not too large.

    Its inbox is bounded: a coordinator that is behind leaves the rest with the broker.
    """

    def __init__(self, app: Celery, name: str) -> None:
        super().__init__(name="fleet", daemon=True)
        self.inbox: queue.Queue[Any] = queue.Queue(20)
        self.begun_anew = threading.Event()
        self.away = threading.Event()
        self._app = app
        self._results = results_queue(name)
        self._over = threading.Event()
        self._told = self._was_there = False

    def end(self) -> None:
        self._over.set()

    def run(self) -> None:
        before = False
        while not self._over.is_set():
            try:
                with self._app.connection_for_read() as connection:
                    self._listen(connection, again=before)
            except Exception as error:  # noqa: BLE001  # each broker's library has errors of its own for one that is gone
                if not self._told:
                    # Once for each time that it is away, however long.
                    _LOG.warning("the broker cannot be reached: %s", type(error).__name__)
                self._told = True
                if self._was_there:
                    self.away.set()
                self._over.wait(_LOOK_S)
            before = True

    def _listen(self, connection: Connection, *, again: bool) -> None:
        connection.ensure_connection(max_retries=1, timeout=5)
        with connection.Consumer([self._results], accept=["json"], on_message=self._take, prefetch_count=10):
            self._told, self._was_there = False, True
            self.away.clear()
            if again:
                self.begun_anew.set()
            while not self._over.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=_LOOK_S)

    def _take(self, message: Message) -> None:
        message.ack()
        if len(message.body or "") > LARGEST:
            _LOG.error("a message of a worker was refused: it is too large")
            return
        try:
            self.inbox.put(message.decode())
        except (ContentDisallowed, DecodeError) as error:
            _LOG.error("a message of a worker was refused: %s", error)


class FleetDispatcher(Struct):
    """Has targets probed by the workers of their environments' zones. `run_id` names the queue of what is found."""

    fleet: FleetSettings
    settings: ProbeSettings
    hosts: frozenset[str]
    run_id: str
    concurrency: int = 50
    _given: set[str] = field(default_factory=set)

    async def dispatch(
        self, targets: Sequence[Target], environments: Mapping[str, Environment]
    ) -> AsyncGenerator[Found]:
        """Yield each target with its evidence as it is done, or with why nobody answers for it.

        Cancelled or closed, it ends what its workers have begun.

        Raises:
            UsageError: the broker can't be spoken to so.
        """
        app = app_for(self.fleet)
        zones: dict[str, list[Target]] = {}
        for target in targets:
            zones.setdefault(environments[target.endpoint.environment].zone or "", []).append(target)
        leases = Leases(zones)
        listener = _Listener(app, f"nightseal.results.{self.run_id}")
        listener.start()
        loop = asyncio.get_running_loop()
        looked, patience = loop.time(), _AWAY_S
        try:
            while not leases.over:
                passed, looked = loop.time() - looked, loop.time()
                if listener.away.is_set() and patience > 0:
                    leases.wait(passed)
                    patience -= passed
                if listener.begun_anew.is_set():
                    listener.begun_anew.clear()
                    await self._give(app, leases.untaken(), environments, leases.zones)
                again = leases.neglected(loop.time())
                await self._give(app, [*again, *leases.to_give(loop.time())], environments, leases.zones)
                for payload in await asyncio.to_thread(_heard, listener.inbox):
                    for found in self._took(leases, payload, loop.time()):
                        yield found
                for loss in leases.look(loop.time()):
                    yield _lost(loss)
        finally:
            listener.end()
            if not leases.over:
                await asyncio.to_thread(self._revoke, app)
            await asyncio.to_thread(listener.join, 2.0)
            await asyncio.to_thread(self._forget, app)

    def _took(self, leases: Leases, payload: Any, now: float) -> list[Found]:
        """What of a worker's message counts."""
        try:
            things = said_in(payload)
        except MessageError as error:
            _LOG.warning("a message of a worker does not count: %s", error)
            return []
        return [found for thing in things for found in self._counted(leases, thing, now)]

    def _counted(self, leases: Leases, thing: Any, now: float) -> list[Found]:
        """What counts of one thing that a worker said."""
        try:
            told = told_from(thing)
            if told.kind in _AFTERWARDS and leases.is_done(told.lease):
                return []
            lease = leases.lease(told, now)
            return self._of(leases, lease, told)
        except MessageError as error:
            _LOG.warning("a message of a worker does not count: %s", error)
            return []

    def _of(self, leases: Leases, lease: Lease, told: Told) -> list[Found]:
        if told.kind == Kind.DONE:
            evidence = evidence_from(told.evidence)
            if not trusted_stores(evidence) <= _stores(self.settings):
                # They are opened by name afterwards: a worker does not choose which files of this machine that are.
                raise MessageError("it names a trust store that the run does not have")
            zone = dataclasses.replace(evidence, seen_from=lease.zone)
            return [(leases.answered(lease, told.target), zone)]
        if told.kind == Kind.REFUSED:
            return [_lost(loss) for loss in leases.refused(lease, told.detail)]
        if told.kind == Kind.FINISHED:
            return [_lost(loss) for loss in leases.broken_off(lease)]
        return []

    async def _give(
        self, app: Celery, leases: Sequence[Lease], environments: Mapping[str, Environment], zones: int
    ) -> None:
        for lease in leases:
            shard = self._shard(lease, environments, zones)
            try:
                await asyncio.to_thread(self._send, app, lease, shard)
            except (OperationalError, OSError) as error:
                # It stays given out: when the broker is there again, it is sent again.
                _LOG.warning("the broker does not accept a shard: %s", type(error).__name__)

    def _send(self, app: Celery, lease: Lease, shard: Shard) -> None:
        self._given.add(lease.token)
        app.send_task(
            TASK,
            kwargs={
                "lease": lease.token,
                "results": f"nightseal.results.{self.run_id}",
                "versions": version(),
                "document": shard_to_json(shard),
            },
            task_id=lease.token,
            queue=queue_of(lease.zone),
            retry=True,
            retry_policy=_SEND,
        )

    def _shard(self, lease: Lease, environments: Mapping[str, Environment], zones: int) -> Shard:
        targets = tuple(lease.missing.values())
        names = {target.endpoint.environment for target in targets}
        settings = self.settings
        if settings.total_rate_per_s is not None:
            # As many shards as may be under way share it.
            part = settings.total_rate_per_s / (IN_FLIGHT * zones)
            settings = dataclasses.replace(settings, total_rate_per_s=part)
        return Shard(
            settings,
            {name: dataclasses.replace(environments[name], endpoints=(), known_hosts=None) for name in names},
            tuple(sorted(self.hosts)),
            targets,
            self.concurrency,
            {name: Path(name).read_text("utf-8") for name in _files(settings)},
        )

    def _revoke(self, app: Celery) -> None:
        """Have what was begun ended, with the processes that do it."""
        with contextlib.suppress(OperationalError, OSError):
            app.control.revoke(sorted(self._given), terminate=True, signal="SIGKILL")

    def _forget(self, app: Celery) -> None:
        with contextlib.suppress(OperationalError, OSError), app.connection_for_write() as connection:
            results_queue(f"nightseal.results.{self.run_id}")(connection.default_channel).delete()


def _heard(inbox: queue.Queue[Any]) -> list[Any]:
    """What has come, for which a moment is waited."""
    heard = []
    with contextlib.suppress(queue.Empty):
        heard.append(inbox.get(timeout=_LOOK_S))
        while len(heard) < inbox.maxsize:
            heard.append(inbox.get_nowait())
    return heard


def _stores(settings: ProbeSettings) -> set[str]:
    by_environment = (name for names in settings.environment_trust_stores.values() for name in names)
    return {*settings.trust_stores, *by_environment}


def _files(settings: ProbeSettings) -> set[str]:
    return (_stores(settings) - {MOZILLA, SYSTEM}) | ({settings.ct_logs} if settings.ct_logs else set())


def _lost(loss: Loss) -> Found:
    return loss.target, TargetEvidence(
        datetime.now(UTC), 0.0, 0, tls=Attempt(failure=loss.failure), http=Attempt(failure=loss.failure)
    )
