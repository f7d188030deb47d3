"""What a run takes of memory, by its number of targets: gathered, judged, appended to the history, and drawn.

    python bench/memory.py --targets 1000 5000               # one line each, every run in a process of its own
    python bench/memory.py --targets 1000 --reports json html

What was seen at one nginx is what is seen at every target, under another name, address and certificate; it is handed to
the run as known, so that no socket is opened: the processes that probe have nothing to do with the number of targets.
Nothing else is left out: names, authorities' stage, comparison of keys, verdicts, grades, rows. Memory is the greatest
resident size so far (VmHWM) when a step is done; `a target` is what it grew by since the targets were named.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import hashlib
import ipaddress
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.survey import start_nginx
from bench.tools.memory import most_memory
from bench.tools.scanners import HOST, address
from scanner.evidence import Certificate, TargetEvidence, from_json, to_json
from tests.build.many import renamed
from tests.build.servers import servers

_FIRST = ipaddress.IPv4Address("10.0.0.0")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", type=int, nargs="+", default=[1000])
    parser.add_argument("--reports", nargs="*", default=[])
    parser.add_argument("--evidence", type=Path, help="of one target, as JSON; without it, an nginx is scanned")
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measured_here(arguments.here, from_json(arguments.evidence.read_bytes()), arguments.reports)
        return
    print("command:", "python", *sys.argv)
    print(f"load {os.getloadavg()[0]:.1f} before\n\n| targets | step | MiB | KiB a target | CPU ms a target |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        evidence = arguments.evidence or Path(folder) / "evidence.json"
        if not arguments.evidence:
            evidence.write_bytes(to_json(asyncio.run(one_target(Path(folder)))))
        for count in arguments.targets:
            command = [sys.executable, __file__, "--here", str(count), "--evidence", str(evidence)]
            subprocess.run([*command, "--reports", *arguments.reports], check=True)


async def one_target(folder: Path) -> TargetEvidence:
    """What is seen at an nginx."""
    from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
    from scanner.pipeline import probe_targets
    from scanner.probe import ProbeSettings

    with servers(folder) as context:
        port, plain, _ = start_nginx(context, 1)
        target = Target(Endpoint("bench", HOST, port, http_port=plain), Address(address(0), port, plain))
        environments = {"bench": Environment("bench", EnvironmentKind.ON_PREMISES)}
        (found,) = [item async for item in probe_targets([target], environments, ProbeSettings(online=False))]
    return found[1]


class Seen(Mapping[str, TargetEvidence]):
    """The evidence of every target, made whenever it is asked for, so that the bench itself holds none."""

    def __init__(self, evidence: TargetEvidence, hosts: Mapping[str, str]) -> None:
        self._evidence, self._hosts = evidence, hosts

    def __getitem__(self, target: str) -> TargetEvidence:
        """The same evidence, of another host with a certificate of its own."""
        host = self._hosts[target]
        tls = self._evidence.tls.value
        if tls is None or not tls.certificates.value:
            raise RuntimeError("nothing was seen at the nginx")
        shown = tuple(
            dataclasses.replace(item, chain=(_own(item.chain[0], host), *item.chain[1:]))
            for item in tls.certificates.value
        )
        tls = dataclasses.replace(tls, certificates=dataclasses.replace(tls.certificates, value=shown))
        evidence = dataclasses.replace(self._evidence, tls=dataclasses.replace(self._evidence.tls, value=tls))
        found: TargetEvidence = renamed(evidence, HOST, host)
        # Nothing in it is shared with another target's, as if it had come from a process.
        return from_json(to_json(found))

    def __iter__(self) -> Iterator[str]:
        """The targets' ids."""
        return iter(self._hosts)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._hosts)


def _own(certificate: Certificate, host: str) -> Certificate:
    """A certificate that no other target has, of the same size."""
    der = random.Random(host).randbytes(len(certificate.der))  # noqa: S311  # no secret
    digest = hashlib.sha256(der).hexdigest()
    return dataclasses.replace(certificate, der=der, fingerprint=digest, spki=digest, serial=digest[:32])


def measured_here(count: int, evidence: TargetEvidence, formats: list[str]) -> None:
    """In the child: do the run, and print its lines."""
    from scanner import policy
    from scanner.history import History
    from scanner.inventory import Endpoint, Environment, EnvironmentKind, Inventory
    from scanner.jobs.output import Rendering, write
    from scanner.pipeline import Job, execute
    from scanner.probe import ProbeSettings

    hosts = [f"host-{number:05}.example.com" for number in range(count)]
    endpoints = tuple(Endpoint("bench", host, 443, http_port=80) for host in hosts)
    environment = Environment(
        "bench", EnvironmentKind.ON_PREMISES, endpoints, default_domain="example.com", known_hosts=frozenset(hosts)
    )
    places = {f"{host}:443": (f"{_FIRST + number}:443",) for number, host in enumerate(hosts)}
    known = Seen(evidence, {f"bench/{host}:443@{places[f'{host}:443'][0].partition(':')[0]}": host for host in hosts})
    judged_by = policy.load("https-by-default")
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            Inventory((environment,)),
            judged_by,
            {"bench": judged_by},
            ProbeSettings(online=False, connect_to=places),
            known=known,
            answers=Path(folder) / "answers",
        )
        history = History.open(Path(folder) / "history", create=True)
        steps = Steps(count)
        record = asyncio.run(execute(job))
        if len(record.targets) != count or not all(len(target.verdicts) > 50 for target in record.targets):  # noqa: PLR2004
            raise RuntimeError("not all were judged")
        steps.done("gathered and judged")
        history.append(record)
        steps.done("appended")
        for name in formats:
            rendering = Rendering(record, policies=[judged_by], environments=[environment])
            write(rendering, (name,), f"{folder}/reports/", name="report")
            steps.done(f"{name} drawn")


class Steps:
    """What each step has taken, since this was made."""

    def __init__(self, count: int) -> None:
        self._count, self._first, self._cpu = count, most_memory(), time.process_time()
        self.done("targets named")

    def done(self, what: str) -> None:
        """Print the line of a step."""
        now, cpu = most_memory(), time.process_time()
        grown, used = (now - self._first) / self._count, 1000 * (cpu - self._cpu) / self._count
        print(f"| {self._count} | {what} | {now / 1024:.0f} | {grown:.1f} | {used:.1f} |", flush=True)
        self._cpu = time.process_time()


if __name__ == "__main__":
    main()
