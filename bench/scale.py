"""How far it carries: targets a minute, processor time and memory, by targets, processes, delay and engine.

    python bench/scale.py --targets 100 1000                 # this machine's engine, by itself and with every processor
    python bench/scale.py --targets 100 --delay 50           # in a network namespace, a round trip of 50 ms
    python bench/scale.py --targets 100 --celery 1 2         # by so many workers, over a redis-server of its own
    python bench/scale.py --targets 1000 --sslyze 20         # sslyze's own API beside, on so many of the targets
    python bench/scale.py … --keep runs.jsonl                # what came out, for `python bench/growth.py runs.jsonl`

The targets are loopback addresses of one nginx (TLS 1.2 and 1.3, ECDSA, a redirect from plain HTTP), each under a name
of its own, all of one length, as the targets of an estate have names of their own. Each run is a process of its own.
Processor time is that of the run's whole process tree, without nginx, as it is sampled five times a second: what a
process did after the last look at it is missing. Memory is the greatest proportional set size of the tree, looked at
once a second: to look at thirty processes takes a tenth of the time of one processor otherwise, which the run has not.
The delay is the kernel's (`tc netem` on loopback) in a network namespace, which needs root; without
that module, it is a relay's (`tools/delay.c`, compiled for it), which takes some of the processors' time for itself.
"Busy" is how much of the machine's processors was in use meanwhile, by whomever.
What else the machine does is told by its load: where that is high, no wall clock is to be trusted.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.survey import accepted, settled, start_nginx
from bench.tools.scanners import address
from scanner.counting import counted
from tests.build.fleet import Redis, worker
from tests.build.ports import free_port
from tests.build.servers import servers

_SAMPLE_S = 0.2
_SAMPLES_OF_MEMORY = 5
"""Of so many samples, one looks at memory too."""
_PER_PROCESSOR = 12
_IN_THE_NAMESPACE = "NIGHTSEAL_BENCH_NAMESPACE"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", type=int, nargs="+", default=[100])
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds of a round trip")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--celery", type=int, nargs="+", default=[], help="by so many workers")
    parser.add_argument("--sslyze", type=int, default=0, help="sslyze beside, on so many targets")
    parser.add_argument("--keep", type=Path, help="append what came out to this file, a line of JSON each")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measured_here(json.loads(arguments.here))
    elif arguments.delay and _IN_THE_NAMESPACE not in os.environ:
        delayed(arguments.delay)
    else:
        bench(arguments)


def delayed(milliseconds: float) -> None:
    """The same again in a network of its own, where loopback is so slow if the kernel can make it so."""
    slow = f"tc qdisc add dev lo root netem delay {milliseconds / 2}ms limit 100000 2>/dev/null"
    set_up = f"ip link set lo up && if {slow}; then {_IN_THE_NAMESPACE}=netem; else {_IN_THE_NAMESPACE}=relay; fi"
    script = f'{set_up}; export {_IN_THE_NAMESPACE}; exec "$@"'
    command = ["unshare", "-n", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    sys.exit(subprocess.run(command, check=False).returncode)


@contextmanager
def relayed(folder: Path, milliseconds: float, ports: Mapping[int, int]) -> Iterator[None]:
    """Have what comes to these ports, at any local address, go to others as if they were far away."""
    source = Path(__file__).resolve().parent / "tools" / "delay.c"
    command: list[str | Path] = ["cc", "-O2", "-o", folder / "delay", source]
    subprocess.run(command, check=True)
    command = [folder / "delay", str(milliseconds), *(str(port) for pair in ports.items() for port in pair)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the relay that delays did not begin")
            yield
        finally:
            process.kill()


def bench(arguments: argparse.Namespace) -> None:
    """Run each, and print what came out."""
    print("command:", "python", *sys.argv)
    print(
        f"machine: {os.cpu_count()} processors, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f} before"
    )
    way = os.environ.get(_IN_THE_NAMESPACE)
    if arguments.delay:
        print(f"delay: {arguments.delay:g} ms of a round trip, by {'the kernel' if way == 'netem' else 'a relay'}")
    print("\n| engine | targets | a minute | s | CPU ms a target | MiB | connections a target | busy | load |")
    print("|---|---|---|---|---|---|---|---|---|")
    with ExitStack() as all_of_it:
        folder = all_of_it.enter_context(tempfile.TemporaryDirectory())
        context = all_of_it.enter_context(servers(Path(folder)))
        if way == "relay":
            late, late_plain = free_port(), free_port()
            port, plain, status = start_nginx(context, max(arguments.targets), late)
            all_of_it.enter_context(relayed(Path(folder), arguments.delay, {late: port, late_plain: plain}))
            port, plain = late, late_plain
        else:
            port, plain, status = start_nginx(context, max(arguments.targets))
        row = Row(status, arguments.delay, arguments.keep)
        for count in arguments.targets:
            job = {"count": count, "port": port, "plain": plain, "concurrency": arguments.concurrency}
            for processes in dict.fromkeys(arguments.processes):
                row(f"local, {counted(processes, 'process', 'processes')}", {**job, "processes": processes})
            for workers in arguments.celery:
                with ExitStack() as stack:
                    redis = stack.enter_context(Redis(Path(folder)))
                    homes = [Path(folder) / f"w{workers}-{number}" for number in range(workers)]
                    for home in homes:
                        home.mkdir(exist_ok=True)
                    hired = [stack.enter_context(worker(redis, "bench", home, begun=whole)) for home in homes]
                    pids = [process.pid for process in hired]
                    row(f"Celery, {counted(workers, 'worker')}", {**job, "broker": redis.url}, pids)
        if arguments.sslyze:
            job = {"count": arguments.sslyze, "port": port, "plain": plain, "sslyze": True}
            row("sslyze, all commands", job)


def whole(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Any) -> Any:
    """A command as it is started by people: with all that it loads, and with its processes below it."""
    started = [sys.executable, "-m", "scanner.app.cli", *command]
    return subprocess.Popen(started, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT)


@dataclass(frozen=True, slots=True)
class Row:
    """Makes runs, each in a process of its own, and prints a line of each."""

    status: int
    delay: float
    keep: Path | None

    def __call__(self, name: str, job: dict[str, Any], others: Sequence[int] = ()) -> None:
        """Make a run. `others` are processes that have a part in it."""
        before = accepted(self.status)
        command = [sys.executable, str(Path(__file__).resolve()), "--here", json.dumps(job)]
        psutil.cpu_percent()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            used = Used([process.pid, *others])
            said = process.communicate()[0]
        cpu, most = used.end()
        busy = psutil.cpu_percent()
        if process.returncode:
            print(f"| {name} | {job['count']} | failed |")
            return
        wall, count = json.loads(said.splitlines()[-1])["wall"], job["count"]
        found = {
            "engine": name,
            "delay": self.delay,
            "targets": count,
            "a_minute": 60 * count / wall,
            "seconds": wall,
            "cpu_ms": 1000 * cpu / count,
            "mib": most,
            "connections": (settled(self.status) - before) / count,
            "busy": busy,
            "load": os.getloadavg()[0],
        }
        print(
            f"| {name} | {count} | {found['a_minute']:,.0f} | {wall:.1f} | {found['cpu_ms']:.0f} | {most:.0f} "
            f"| {found['connections']:.0f} | {busy:.0f} % | {found['load']:.1f} |",
            flush=True,
        )
        if self.keep:
            with self.keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")


class Used(threading.Thread):
    """What some processes take, and what they have started: processor time, and the greatest memory."""

    def __init__(self, pids: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self._pids, self._most, self._over = pids, 0.0, threading.Event()
        self._first: dict[psutil.Process, float] = {}
        self._last: dict[psutil.Process, float] = {}
        for member in (member for pid in pids[1:] for member in tree(pid)):
            self._first[member] = processor_time(member) or 0.0
        self.start()

    def run(self) -> None:
        """Look again and again."""
        for number in itertools.count():
            if self._over.wait(_SAMPLE_S):
                return
            family = [member for pid in self._pids for member in tree(pid)]
            self._last |= {member: used for member in family if (used := processor_time(member)) is not None}
            if number % _SAMPLES_OF_MEMORY == 0:
                self._most = max(self._most, sum(map(share, family)) / 2**20)

    def end(self) -> tuple[float, float]:
        """Seconds, and MiB."""
        self._over.set()
        self.join()
        return sum(used - self._first.get(member, 0.0) for member, used in self._last.items()), self._most

    def of(self, pid: int) -> float:
        """Seconds that a process took itself, without what it started."""
        return next((used for member, used in self._last.items() if member.pid == pid), 0.0)


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def share(process: psutil.Process) -> int:
    """Its memory; what processes share counts once."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def processor_time(process: psutil.Process) -> float | None:
    """Seconds that a process took itself; None where it has ended."""
    try:
        return sum(process.cpu_times()[:2])
    except psutil.Error:
        return None


def name(number: int) -> str:
    """The name of a target."""
    return f"h{number:05}.lab.example"


def measured_here(job: dict[str, Any]) -> None:
    """In the child: do the run, and print what it took."""
    begun = time.perf_counter()
    seen = sslyze(job) if job.get("sslyze") else asyncio.run(nightseal(job))
    wall = time.perf_counter() - begun
    if seen != job["count"]:
        raise RuntimeError(f"{seen} of {job['count']} targets were seen")
    print(json.dumps({"wall": wall}))


async def nightseal(job: dict[str, Any]) -> int:
    """Probe the targets by what the job says; how many distinct ones were seen whole."""
    from scanner.fleet.coordinator import FleetDispatcher
    from scanner.fleet.settings import FleetSettings
    from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
    from scanner.pipeline import probe_targets
    from scanner.probe import ProbeSettings

    zone = "bench" if "broker" in job else None
    environments = {"bench": Environment("bench", EnvironmentKind.ON_PREMISES, zone=zone)}
    targets = [
        Target(
            Endpoint("bench", name(n), job["port"], http_port=job["plain"]),
            Address(address(n), job["port"], job["plain"]),
        )
        for n in range(job["count"])
    ]
    settings, concurrency = ProbeSettings(online=False), job["concurrency"]
    if "broker" in job:
        fleet = FleetSettings(job["broker"], insecure=True)
        found = FleetDispatcher(fleet, settings, frozenset(), "bench", concurrency).dispatch(targets, environments)
    else:
        workers = _PER_PROCESSOR * job["processes"]
        found = probe_targets(targets, environments, settings, concurrency=concurrency, workers=workers)
    whole = set()
    async for target, evidence in found:
        tls = evidence.tls.value
        if tls is not None and tls.heartbleed.value is not None and evidence.http.value is not None:
            whole.add(target.id)
    return len(whole)


def sslyze(job: dict[str, Any]) -> int:
    """All of sslyze's commands, by its own API."""
    from sslyze import Scanner, ServerNetworkLocation, ServerScanRequest

    scanner = Scanner()
    scanner.queue_scans(
        ServerScanRequest(ServerNetworkLocation(name(number), job["port"], address(number)))
        for number in range(job["count"])
    )
    return sum(1 for _ in scanner.get_results())


if __name__ == "__main__":
    main()
