"""The survey beside sslyze, on the same nginx, in the same run.

    python bench/survey.py                      # 1 and 10 targets, at no delay and at 50 ms round trip
    python bench/survey.py --targets 1 10 100 1000 --sslyze-up-to 10

The targets are loopback addresses of one nginx with TLS 1.2 and 1.3 and an ECDSA certificate. Each engine runs in a
process of its own and is measured after its imports: connections as nginx counts them, wall clock, processor time (of
the engine, not of nginx), peak memory. The delay is a relay's, in another process: half a round trip for each direction
of data, and a whole one before the first data of a connection, which stands for the opening of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.build.servers import HOST, Servers, free_port, listens, servers

ROUND_TRIP_S = 0.05
ENGINES = ("survey", "sslyze-suites", "sslyze-all")
EXPLAINED = {
    "survey": "scanner.probe.survey",
    "sslyze-suites": "sslyze: cipher suites and curves",
    "sslyze-all": "sslyze: all commands",
}


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--sslyze-up-to", type=int, default=10, help="sslyze is left out beyond so many targets")
    parser.add_argument("--no-delay-only", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("ENGINE", "COUNT", "PORT"), help=argparse.SUPPRESS)
    parser.add_argument("--relay", nargs=2, type=int, metavar=("PORT", "TO"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure_here(arguments.child[0], int(arguments.child[1]), int(arguments.child[2]))
    elif arguments.relay:
        asyncio.run(relay(*arguments.relay))
    else:
        bench(arguments.targets, arguments.sslyze_up_to, delayed=not arguments.no_delay_only)


def bench(counts: list[int], sslyze_up_to: int, *, delayed: bool) -> None:
    """Start the servers, run every engine on them, print what came out."""
    print("command:", "python", *sys.argv)
    print("machine:", os.cpu_count(), "cores, Python", sys.version.split()[0])
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as context:
        port, status_port = start_nginx(context, max(counts))
        for count in counts:
            engines = ENGINES if count <= sslyze_up_to else ENGINES[:1]
            table(f"{count} targets, no delay", count, [(e, measure(e, count, port, status_port)) for e in engines])
        if delayed:
            with delaying_relay(context, port) as relay_port:
                results = [(engine, measure(engine, 1, relay_port, status_port)) for engine in ENGINES]
                table(f"1 target, {ROUND_TRIP_S * 1000:.0f} ms round trip", 1, results)


def start_nginx(context: Servers, count: int) -> tuple[int, int]:
    """The reference nginx on so many addresses, and the port at which it tells how many connections it accepted."""
    status_port, port = free_port(), free_port()
    more = "".join(f"listen {address(number)}:{port} ssl;" for number in range(count))
    status = f"}} server {{ listen 127.0.0.1:{status_port}; location = /status {{ stub_status; }}"
    context.nginx(["ecdsa"], f"ssl_protocols TLSv1.2 TLSv1.3; {more} {status}", port=port)
    while not listens(status_port):  # it is bound last
        time.sleep(0.02)
    return port, status_port


def address(number: int) -> str:
    """The loopback address of a target."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


_asked = 0


def settled(status_port: int) -> int:
    """How many connections nginx accepted, these questions left out, once that stays the same for a moment."""
    last = -1
    while (now := accepted(status_port)) != last:
        last = now
        time.sleep(0.1)
    return now


def accepted(status_port: int) -> int:
    """How many connections nginx accepted so far, these questions left out."""
    global _asked  # noqa: PLW0603  # nginx counts them all, and they have to be taken off again
    _asked += 1
    with urllib.request.urlopen(f"http://127.0.0.1:{status_port}/status") as answer:
        return int(answer.read().split(b"\n")[2].split()[0]) - _asked


def measure(engine: str, count: int, port: int, status_port: int) -> dict[str, float]:
    """Run one engine in a process of its own."""
    before = settled(status_port)
    command = [sys.executable, "-W", "ignore", __file__, "--child", engine, str(count), str(port)]
    child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(child.stdout.splitlines()[-1])
    return {**result, "connections": settled(status_port) - before}


def table(title: str, count: int, results: list[tuple[str, dict[str, float]]]) -> None:
    """Print results beside each other; the ratios are to the survey."""
    base = results[0][1]
    print(f"\n{title}")
    print(f"{'engine':34}{'connections':>12}{'wall s':>10}{'ratio':>8}{'CPU s':>10}{'ratio':>8}{'MiB':>7}  per target")
    for engine, result in results:
        wall, cpu = result["wall"], result["cpu"]
        print(
            f"{EXPLAINED[engine]:34}{result['connections']:12.0f}{wall:10.3f}{wall / base['wall']:8.1f}{cpu:10.3f}"
            f"{cpu / base['cpu']:8.1f}{result['mib']:7.0f}  "
            f"{result['connections'] / count:.0f} connections, {cpu / count * 1000:.1f} ms CPU"
        )


def measure_here(engine: str, count: int, port: int) -> None:
    """In the child: run the engine on `count` targets and print what it took as JSON."""
    warnings.simplefilter("ignore")
    run: Any = survey_targets if engine == "survey" else sslyze_targets
    prepared = run(engine, count, port)
    wall, cpu = time.perf_counter(), time.process_time()
    prepared()
    result = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(result))


def addresses_for(count: int, port: int) -> list[tuple[str, int]]:
    """Where the targets are; a single one at the address that the relay listens on, too."""
    return [("127.0.0.1", port)] if count == 1 else [(address(number), port) for number in range(count)]


def survey_targets(_: str, count: int, port: int) -> Any:
    """The survey with at most 50 targets in flight, as `[scan] concurrency` has it."""
    from scanner.inventory import Address, Endpoint, Target
    from scanner.probe import ProbeSettings
    from scanner.probe.survey import survey

    targets = [Target(Endpoint("bench", HOST, at[1]), Address(*at)) for at in addresses_for(count, port)]

    async def all_of_them() -> None:
        gate = asyncio.Semaphore(50)

        async def one(target: Target) -> None:
            async with gate:
                attempt, _ = await survey(target, ProbeSettings())
            if attempt.value is None or len(attempt.value.negotiated) < 2 or _failed(attempt.value):
                raise RuntimeError(f"{target.id}: {attempt}")

        await asyncio.gather(*(one(target) for target in targets))

    return lambda: asyncio.run(all_of_them())


def _failed(evidence: Any) -> bool:
    return any(attempt.value is None for attempt in evidence.protocols.values())


def sslyze_targets(engine: str, count: int, port: int) -> Any:
    """Sslyze's own scanner with its own concurrency, for the same targets."""
    from sslyze import ScanCommand, Scanner, ServerNetworkLocation, ServerScanRequest

    suites = {command for command in ScanCommand if command.endswith("_cipher_suites")} | {ScanCommand.ELLIPTIC_CURVES}
    commands = suites if engine == "sslyze-suites" else set(ScanCommand)
    requests = [
        ServerScanRequest(ServerNetworkLocation(hostname=HOST, port=at[1], ip_address=at[0]), scan_commands=commands)
        for at in addresses_for(count, port)
    ]

    def run() -> None:
        scanner = Scanner()
        scanner.queue_scans(requests)
        for result in scanner.get_results():
            if result.scan_result is None:
                raise RuntimeError(f"sslyze: {result.connectivity_error_trace}")

    return run


@contextmanager
def delaying_relay(context: Servers, port: int) -> Iterator[int]:
    """A relay in a process of its own in front of `port`."""
    relay_port = free_port()
    process = context.run([sys.executable, __file__, "--relay", str(relay_port), str(port)], relay_port)
    try:
        yield relay_port
    finally:
        process.terminate()


async def relay(port: int, onward: int) -> None:
    """Pass connections on, late."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", onward)
        opening = asyncio.get_running_loop().time() + ROUND_TRIP_S
        await asyncio.gather(late(reader, far_writer, opening), late(far_reader, writer, 0.0), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, earliest: float) -> None:
    """Hand on what comes from `reader` half a round trip after it came, but not before `earliest`."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            data = await reader.read(65_536)
        except OSError:
            data = b""
        due = max(loop.time(), earliest) + ROUND_TRIP_S / 2
        loop.call_at(due, writer.write if data else _hang_up(writer), data)
        if not data:
            return


def _hang_up(writer: asyncio.StreamWriter) -> Any:
    return lambda _: writer.close()


if __name__ == "__main__":
    main()
