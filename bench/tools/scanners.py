"""One scanner on some targets, in a process of its own, measured: what `bench/survey.py` starts for each table's line.

    python bench/tools/scanners.py SCANNER TARGETS PORT PLAIN_PORT

It imports little at its head, because a worker of Nightseal imports the program's main module, whatever that is.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

HOST = "parity.lab.example"
PROGRAMS = {
    "sslscan": ["sslscan", "--no-colour", f"--sni-name={HOST}", "{address}:{port}"],
    "testssl": ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "{address}", f"{HOST}:{{port}}"],
}


def address(number: int) -> str:
    """The loopback address of a target."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


def measure_here(tool: str, count: int, port: int, plain: int) -> None:
    """In the child: run the tool on `count` targets and print what it took as JSON."""
    prepare = {"nightseal": nightseal, "survey": survey_alone}.get(tool, program if tool in PROGRAMS else sslyze)
    prepared = prepare(tool, addresses_for(count, port), plain)
    wall, cpu = time.perf_counter(), processor_time()
    prepared()
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": processor_time() - cpu}))


def processor_time() -> float:
    """Seconds that this process took, with its children, those ended included."""
    import psutil

    here = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in (here, *here.children(recursive=True)))


def addresses_for(count: int, port: int) -> list[tuple[str, int]]:
    """Where the targets are; a single one at the address that the relay listens on, too."""
    return [("127.0.0.1", port)] if count == 1 else [(address(number), port) for number in range(count)]


def nightseal(_: str, addresses: Sequence[tuple[str, int]], plain: int) -> Callable[[], None]:
    """Every probe, by the dispatcher that `nightseal scan` and `nightseal run` use, with the defaults of `[scan]`."""
    from scanner.dispatch.workers import start_forkserver
    from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
    from scanner.pipeline import probe_targets
    from scanner.probe import ProbeSettings

    environments = {"bench": Environment("bench", EnvironmentKind.ON_PREMISES)}
    targets = [Target(Endpoint("bench", HOST, at[1], http_port=plain), Address(*at, plain)) for at in addresses]
    start_forkserver()

    async def all_of_them() -> None:
        async for target, evidence in probe_targets(targets, environments, ProbeSettings()):
            tls = evidence.tls.value
            if tls is None or _incomplete(tls) or tls.heartbleed.value is None or evidence.http.value is None:
                raise RuntimeError(f"{target.id}: {evidence}")

    return lambda: asyncio.run(all_of_them())


def survey_alone(_: str, addresses: Sequence[tuple[str, int]], _plain: int) -> Callable[[], None]:
    """The survey with at most 50 targets in flight, as `[scan] concurrency` has it."""
    from scanner.inventory import Address, Endpoint, Target
    from scanner.probe import ProbeSettings
    from scanner.probe.survey.probe import survey

    targets = [Target(Endpoint("bench", HOST, at[1]), Address(*at)) for at in addresses]

    async def all_of_them() -> None:
        gate = asyncio.Semaphore(50)

        async def one(target: Target) -> None:
            async with gate:
                attempt, _ = await survey(target, ProbeSettings())
            if attempt.value is None or _incomplete(attempt.value):
                raise RuntimeError(f"{target.id}: {attempt}")

        await asyncio.gather(*(one(target) for target in targets))

    return lambda: asyncio.run(all_of_them())


def _incomplete(evidence: Any) -> bool:
    failed = any(attempt.value is None for attempt in evidence.protocols.values())
    return failed or [str(protocol) for protocol in evidence.negotiated] != ["tls1.2", "tls1.3"]


def sslyze(tool: str, addresses: Sequence[tuple[str, int]], _plain: int) -> Callable[[], None]:
    """Sslyze's own scanner with its own concurrency, for the same targets."""
    from sslyze import ScanCommand, Scanner, ServerNetworkLocation, ServerScanRequest

    suites = {command for command in ScanCommand if command.endswith("_cipher_suites")} | {ScanCommand.ELLIPTIC_CURVES}
    commands = suites if tool == "sslyze-suites" else set(ScanCommand)
    requests = [
        ServerScanRequest(ServerNetworkLocation(hostname=HOST, port=at[1], ip_address=at[0]), scan_commands=commands)
        for at in addresses
    ]

    def run() -> None:
        scanner = Scanner()
        scanner.queue_scans(requests)
        for result in scanner.get_results():
            if result.scan_result is None:
                raise RuntimeError(f"sslyze: {result.connectivity_error_trace}")

    return run


def program(tool: str, addresses: Sequence[tuple[str, int]], _plain: int) -> Callable[[], None]:
    """A program, started for each target, as many at once as there are processors."""

    def one(at: tuple[str, int]) -> None:
        command = [part.format(address=at[0], port=at[1]) for part in PROGRAMS[tool]]
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=tool == "sslscan")

    def run() -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(os.cpu_count()) as at_once:
            list(at_once.map(one, addresses))

    return run


if __name__ == "__main__":
    measure_here(sys.argv[1], *map(int, sys.argv[2:]))
