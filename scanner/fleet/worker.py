"""A worker in another network: it takes shards of its zone from the broker, probes them, and says what it has found.

It only connects out. Each shard runs in a process of its own that Celery forks; when the coordinator ends the run, that
process is killed, and the kernel ends with it all that it had started.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import ipaddress
import logging
import platform
import queue
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery
from celery.signals import worker_ready
from kombu.entity import Queue
from msgspec import Struct

from scanner.dispatch import WorkerProcesses
from scanner.errors import UsageError
from scanner.evidence import TargetEvidence, to_json
from scanner.fleet.broker import app_for, results_queue
from scanner.fleet.messages import TASK, TOGETHER, Kind, MessageError, Shard, shard_from_json, version
from scanner.fleet.settings import FleetSettings, member_of_zone, queue_of
from scanner.fleet.stores import stores_renamed
from scanner.inventory import Target, is_address
from scanner.probe import ProbeSettings
from scanner.probe.x509.files import read_files
from scanner.probe.x509.trust import MOZILLA, SYSTEM
from scanner.probing import ProbeContext, handshake_workers, probed

BEAT_S: Final = 5.0
"""How often a worker says that it is still at a shard; six are missed before it is taken for lost."""
_GATHER_S: Final = 0.5
"""For so long what was found waits for more that goes with it in one message."""
_ENOUGH: Final = 2**20
"""Characters of evidence with which a message is not made longer: they are bounded."""
_REST_S: Final = 30.0
"""Processes for handshakes are ended when there was no shard for so long."""
_RETRY: Final = {"max_retries": 120, "interval_start": 0.2, "interval_step": 0.5, "interval_max": 2.0}
"""A broker that is started anew is waited for."""
_LOG = logging.getLogger("nightseal.worker")


def work(settings: FleetSettings, zone: str, processes: int) -> int:
    """Be a worker until told to stop; the exit status.

    Raises:
        UsageError: the broker can't be spoken to so.
    """
    _refuse_another(settings, zone)
    app = app_for(settings, member_of_zone(zone))
    name = platform.node()
    prober = Prober()
    logging.getLogger("celery.worker").addFilter(in_words)

    @app.task(name=TASK, ignore_result=True)
    def shard(lease: str, results: str, versions: str, document: str) -> None:
        _do(Teller(app, results_queue(results), lease, f"{name}/{zone}"), versions, document, prober)

    del shard  # Celery has it by its name
    _LOG.setLevel(logging.INFO)

    def ready(**_: object) -> None:
        # Celery's banner is there before the broker has answered.
        _LOG.info('ready: the worker takes targets of zone "%s"', zone)

    worker_ready.connect(ready, weak=False)
    worker: Any = app.Worker(
        queues=[queue_of(zone)],
        hostname=f"{zone}@{name}",
        pool_cls="prefork",
        concurrency=processes,
        loglevel="WARNING",
        without_mingle=True,
        without_gossip=True,
        # Celery's heartbeats are published to everybody: a zone's user may not. Ours go to the run.
        without_heartbeat=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _refuse_another(settings: FleetSettings, zone: str) -> None:
    """See that a worker of one zone is not given the user of another, which may do nothing there.

    Raises:
        UsageError: it is.
    """
    user = urlsplit(settings.broker).username or ""
    if user.startswith(member_of_zone("")) and user != member_of_zone(zone):
        theirs = user.removeprefix(member_of_zone(""))
        raise UsageError(
            f'--zone {zone}: the broker\'s URL is that of zone "{theirs}" (take the one in broker.env of zone-{zone})'
        )


def in_words(record: logging.LogRecord) -> bool:
    """Say why a worker ends without where in which library that was noticed."""
    if record.exc_info and (error := record.exc_info[1]) is not None:
        record.msg = "the worker ends: %s"
        words = str(error) or type(error).__name__
        if "permission" in words.lower() or "access" in words.lower():
            words += " (users.acl or definitions.json, of `nightseal cluster certificates`, give it what it needs)"
        record.args, record.exc_info, record.exc_text = (words,), None, None
    return True


class Teller(threading.Thread):
    """Says what is to be said in the order in which it comes, and that the worker is still there.

    What is found within a moment is said in one message.
    """

    def __init__(self, app: Celery, results: Queue, lease: str, worker: str) -> None:
        super().__init__(name="tell", daemon=True)
        self._app = app
        self._queue = results
        self._about = {"lease": lease, "worker": worker}
        # Bounded: a broker that takes nothing makes the probes wait.
        self._to_say: queue.Queue[Mapping[str, str] | None] = queue.Queue(50)
        self._held_over: Mapping[str, str] | None = None
        self._over = False

    def say(self, kind: Kind, **more: str) -> None:
        """Say it, after what is to be said already; it waits where that is much."""
        self._to_say.put({**self._about, "kind": kind.value, **more})

    def say_no_more(self) -> None:
        """Come to an end when all has been said."""
        self._to_say.put(None)

    def end(self) -> None:
        """Wait until all has been said."""
        self.say_no_more()
        self.join()

    def run(self) -> None:
        """Say what is to be said, until all has been."""
        with self._app.connection_for_write() as connection, connection.Producer(serializer="json") as producer:
            while message := self.next():
                producer.publish(
                    message, exchange="", routing_key=self._queue.name, declare=[self._queue], retry=True,
                    retry_policy=_RETRY,
                )  # fmt: skip

    def next(self) -> list[Mapping[str, str]]:
        """What goes into the next message; empty where all has been said."""
        said: list[Mapping[str, str]] = []
        held: Mapping[str, str] | None
        length, until = 0, time.monotonic() + BEAT_S
        while not self._over and len(said) < TOGETHER:
            try:
                held, self._held_over = self._held_over, None
                thing = held or self._to_say.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return said or [{**self._about, "kind": Kind.BEAT.value}]
            if thing is None:
                self._over = True
                break
            length += len(thing.get("evidence", ""))
            if said and length > _ENOUGH:
                self._held_over = thing
                break
            if not said:
                until = time.monotonic() + _GATHER_S
            said.append(thing)
            if thing["kind"] != Kind.DONE:
                break
        return said


def _do(teller: Teller, versions: str, document: str, prober: Prober) -> None:
    teller.start()
    try:
        if versions != version():
            teller.say(Kind.REFUSED, detail=f"the worker has {version()}, the run has {versions}")
            return
        try:
            shard = shard_from_json(document)
        except MessageError as error:
            teller.say(Kind.REFUSED, detail=str(error))
            return
        teller.say(Kind.ACCEPTED)
        begun = time.monotonic()
        with _files_of(shard) as (settings, names):
            prober.probe(dataclasses.replace(shard, settings=settings), _Done(teller, names))
        teller.say(Kind.FINISHED)
        _LOG.info("%d targets in %.1f s", len(shard.targets), time.monotonic() - begun)
    finally:
        teller.end()


class Prober:
    """Probes one shard after another; what makes its handshakes is kept for the next one.

    To fork a process and to have it make its first handshake takes as long as some more of them. Where no shard comes
    for a while, those processes are ended: a worker mostly waits.
    """

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._runner = asyncio.Runner()
        self._kept: tuple[str, WorkerProcesses, contextlib.AsyncExitStack] | None = None
        self._resting: threading.Timer | None = None

    def probe(self, shard: Shard, done: _Done) -> None:
        """Probe the targets, and say what was seen of each."""
        if self._resting is not None:
            self._resting.cancel()
        with self._busy:
            self._runner.run(self._probe(shard, done))
        self._resting = threading.Timer(_REST_S, self.rest)
        self._resting.daemon = True
        self._resting.start()

    def rest(self) -> None:
        """End what is kept."""
        with self._busy:
            self._runner.run(self._end())

    async def _end(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept[2].aclose()

    async def _workers(self, settings: ProbeSettings) -> WorkerProcesses:
        """Those that are kept; others where those were for another engine, of whose handshakes each takes more."""
        if self._kept is not None and self._kept[0] != settings.engine:
            await self._end()
        if self._kept is None:
            stack = contextlib.AsyncExitStack()
            self._kept = settings.engine, await stack.enter_async_context(handshake_workers(settings)), stack
        return self._kept[1]

    async def _probe(self, shard: Shard, done: _Done) -> None:
        files = {target.endpoint.id: target for target in shard.targets if target.endpoint.is_file}
        if files:
            endpoints = [target.endpoint for target in files.values()]
            read = await asyncio.to_thread(read_files, endpoints, shard.settings.stores_for)
            for name, evidence in read.items():
                await done.say(files[name], evidence)
        shard = dataclasses.replace(shard, targets=tuple(item for item in shard.targets if not item.endpoint.is_file))
        if shard.targets:
            await _probe_ports(shard, done, await self._workers(shard.settings))


class _Done(Struct, frozen=True):
    """Says what was seen at targets. `names` are those by which the run knows files that are elsewhere here."""

    teller: Teller
    names: Mapping[str, str]

    async def say(self, target: Target, evidence: TargetEvidence) -> None:
        # In a thread: where the broker takes nothing, only this waits.
        await asyncio.to_thread(self._say, target, stores_renamed(evidence, self.names))

    def _say(self, target: Target, evidence: TargetEvidence) -> None:
        self.teller.say(Kind.DONE, target=target.id, evidence=to_json(evidence).decode())


async def _probe_ports(shard: Shard, done: _Done, kept: WorkerProcesses) -> None:
    addresses = {ipaddress.ip_address(target.ip) for target in shard.targets if target.ip and is_address(target.ip)}
    scope = ProbeContext(
        shard.settings, shard.environments, frozenset(shard.hosts), addresses, len(shard.targets),
        concurrency=shard.concurrency, kept=kept,
    )  # fmt: skip
    async with contextlib.aclosing(probed(shard.targets, scope)) as found:
        async for target, evidence in found:
            await done.say(target, evidence)


@contextlib.contextmanager
def _files_of(shard: Shard) -> Iterator[tuple[ProbeSettings, Mapping[str, str]]]:
    """The settings with the files that came with the shard in the place of the run's, and what those are called."""
    with tempfile.TemporaryDirectory(prefix="nightseal-") as folder:
        here: dict[str, str] = {}
        for name, text in shard.files.items():
            # By the digest of its name: nothing of what came decides where it is written.
            path = Path(folder) / hashlib.sha256(name.encode()).hexdigest()
            path.write_text(text, "utf-8")
            here[name] = str(path)
        settings = shard.settings
        found = dataclasses.replace(
            settings,
            trust_stores=_stores(settings.trust_stores, here),
            environment_trust_stores={
                name: _stores(stores, here) for name, stores in settings.environment_trust_stores.items()
            },
            ct_logs=here.get(settings.ct_logs) if settings.ct_logs else None,
        )
        yield found, {path: name for name, path in here.items()}


def _stores(names: tuple[str, ...], here: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name if name in {MOZILLA, SYSTEM} else here[name] for name in names)
