"""Workers killed at random instants, and their broker: what is lost, what is probed again, what is left running.

    python bench/kills.py --kills 20             # over a redis-server of its own, with mutual TLS and users
    python bench/kills.py --kills 20 --broker 5  # and the broker is killed and started again in every fifth run
    python bench/kills.py --lease 30             # by the lease of a real run; a shorter one saves waiting

Each run is a whole one (names, probes, verdicts, history) over targets of one nginx, divided between two workers of a
zone. At an instant that is drawn (`--seed`), one of them is killed with SIGKILL, its process alone; it is replaced
before the next run. For each run it is told how often a target was given out at most, how many were given out more
than once, how long the processes lived that the killed worker had started, and whether the history has each target
once, seen whole.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.survey import start_nginx
from bench.tools.scanners import address
from scanner import policy
from scanner.fleet import leases
from scanner.fleet.certificates import make
from scanner.fleet.coordinator import FleetDispatcher
from scanner.fleet.users import make_users
from scanner.history import History
from scanner.inventory import Endpoint, Environment, EnvironmentKind, Inventory
from scanner.pipeline import Job, execute
from scanner.probe import ProbeSettings
from tests.build.fleet import Redis, worker
from tests.build.servers import servers

_ZONE = "bench"
_ORPHANS_S = 10.0


def main() -> None:
    """Kill, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--broker", type=int, default=0, metavar="N", help="kill the broker too in every Nth run")
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--lease", type=float, default=10.0, help="seconds until a silent shard is lost")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    leases.LEASE_S = arguments.lease  # type: ignore[misc]  # a shorter wait than in a real run
    print("command:", "python", *sys.argv)
    print(f"machine: {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before\n")
    print("| run | killed | after s | run s | given out at most | more than once | orphans lived s | in the history |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary, servers(Path(temporary)) as context, ExitStack() as stack:
        folder = Path(temporary)
        port, plain, _ = start_nginx(context, arguments.targets)
        for members in (make, make_users):
            members(folder / "fleet", ["127.0.0.1"], [_ZONE])
        redis = stack.enter_context(Redis(folder, folder / "fleet"))
        history = History.open(folder / "history", create=True)
        bench = Bench(arguments, folder, redis, history, inventory(arguments.targets, port, plain))
        stack.callback(bench.close)
        bench.run("none", None)
        for number in range(1, arguments.kills + 1):
            bench.run(str(number), number)
    print(f"\n{bench.summary()}")


def inventory(count: int, port: int, plain: int) -> tuple[Inventory, dict[str, tuple[str, ...]]]:
    """Hosts of one zone, and where each is."""
    hosts = [f"host-{number:05}.example.com" for number in range(count)]
    endpoints = tuple(Endpoint(_ZONE, host, port, http_port=plain) for host in hosts)
    environment = Environment(_ZONE, EnvironmentKind.ON_PREMISES, endpoints, known_hosts=frozenset(hosts), zone=_ZONE)
    places: dict[str, tuple[str, ...]] = {
        f"{host}:{number}": (f"{address(place)}:{number}",)
        for place, host in enumerate(hosts)
        for number in (port, plain)
    }
    return Inventory((environment,)), places


class Bench:
    """Two workers, and what has come of the runs so far."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        folder: Path,
        redis: Redis,
        history: History,
        estate: tuple[Inventory, dict[str, tuple[str, ...]]],
    ) -> None:
        self._arguments, self._folder, self._redis, self._history = arguments, folder, redis, history
        self._inventory, self._places = estate
        self._random = random.Random(arguments.seed)  # noqa: S311  # no secret
        self._stacks: list[ExitStack] = []
        self._workers: list[psutil.Process] = []
        self._usual = 0.0
        self._most, self._longest, self._wrong, self._kills, self._brokers = 0, 0.0, 0, 0, 0
        for number in range(2):
            self._hire(number)

    def close(self) -> None:
        """Let the workers go."""
        for stack in self._stacks:
            stack.close()

    def _hire(self, number: int) -> None:
        home = self._folder / f"worker-{number}"
        home.mkdir(exist_ok=True)
        stack = ExitStack()
        process = psutil.Process(stack.enter_context(worker(self._redis, _ZONE, home)).pid)
        if number < len(self._workers):
            self._stacks[number].close()
            self._stacks[number], self._workers[number] = stack, process
        else:
            self._stacks.append(stack)
            self._workers.append(process)

    def run(self, name: str, number: int | None) -> None:
        """One run, in which something is killed or, by None, nothing is; prints its line."""
        given: Counter[str] = Counter()
        send = FleetDispatcher._send  # what is given out is counted where it is sent

        def counted(self: FleetDispatcher, app: Any, lease: leases.Lease, shard: Any) -> None:
            given.update(target.id for target in shard.targets)
            send(self, app, lease, shard)

        every = self._arguments.broker
        with_broker = bool(number and every and number % every == 0)
        killing = Killing(self._redis if with_broker else None)
        after, victim = self._random.uniform(0.0, self._usual), self._random.randrange(2)
        if number is not None:
            killing = Killing(self._redis if with_broker else None, self._workers[victim], after)
        FleetDispatcher._send = counted  # type: ignore[method-assign]  # the same
        begun = time.monotonic()
        try:
            killing.start()
            record = asyncio.run(execute(self._job()))
        finally:
            FleetDispatcher._send = send  # type: ignore[method-assign]  # as it was
        took = time.monotonic() - begun
        killing.join()
        self._history.append(record)
        stored = self._history.record(record.run.id)
        times = Counter(target.id for target in stored.targets)
        whole = sum(target.evidence is not None and target.evidence.tls.value is not None for target in stored.targets)
        right = len(times) == self._arguments.targets and set(times.values()) == {1} and whole == len(times)
        self._most, self._longest = max(self._most, *given.values()), max(self._longest, killing.orphans_s)
        self._wrong += not right
        if number is None:
            self._usual = took
        else:
            self._kills += 1
            self._brokers += with_broker
            self._hire(victim)
        print(
            f"| {name} | {'nothing' if number is None else 'worker and broker' if with_broker else 'worker'} "
            f"| {'' if number is None else f'{after:.1f}'} | {took:.1f} | {max(given.values())} "
            f"| {sum(often > 1 for often in given.values())} | {killing.orphans_s:.2f} "
            f"| {len(times)} targets, {whole} seen whole{'' if right else ': WRONG'} |",
            flush=True,
        )

    def _job(self) -> Job:
        judged_by = policy.load("https-by-default")
        return Job(
            self._inventory,
            judged_by,
            {_ZONE: judged_by},
            ProbeSettings(online=False, connect_to=self._places),
            fleet=self._redis.fleet,
        )

    def summary(self) -> str:
        """What came of all of it."""
        return (
            f"{self._kills} kills of a worker, {self._brokers} of the broker: {self._wrong} runs that were not whole; "
            f"a target was given out {self._most} times at most; what a killed worker had started lived for "
            f"{self._longest:.2f} s at most; load {os.getloadavg()[0]:.1f} after"
        )


class Killing(threading.Thread):
    """Kills a worker after a while, and looks how long what it had started lives; then the broker."""

    def __init__(self, redis: Redis | None, victim: psutil.Process | None = None, after: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.orphans_s = 0.0
        self._redis, self._victim, self._after = redis, victim, after

    def run(self) -> None:
        """Do it."""
        if self._victim is None:
            return
        time.sleep(self._after)
        family = self._victim.children(recursive=True)
        self._victim.kill()
        killed = time.monotonic()
        while any(map(_lives, family)) and time.monotonic() < killed + _ORPHANS_S:
            self.orphans_s = time.monotonic() - killed
            time.sleep(0.01)
        if self._redis is not None:
            self._redis.stop()
            time.sleep(1.0)
            self._redis.start()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


if __name__ == "__main__":
    main()
