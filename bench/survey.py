"""Nightseal beside its peers, on the same nginx, in the same run.

    python bench/survey.py                      # 1 and 10 targets, at no delay, and 1 at 50 ms round trip
    python bench/survey.py --targets 1 10 100 1000 --peers-up-to 10
    python bench/survey.py --targets 100 --peers-up-to 100 --rounds 3 --tools nightseal sslyze-all
    python bench/survey.py --testssl            # testssl.sh too, which takes a minute or more for each target

The targets are loopback addresses of one nginx with TLS 1.2 and 1.3 and an ECDSA certificate, which redirects plain
HTTP to it. Each tool runs in a process of its own, and those in Python are measured after their imports: connections as
nginx counts them, wall clock, processor time and greatest memory of the whole process tree (proportional set size, so
that what processes share counts once). nginx itself is left out. "nightseal" is all of its probes, as `nightseal scan`
makes them; "survey" is that probe alone. What is not installed is left out and said. The delay is a relay's, in another
process: half a round trip for each direction of data, and a whole one before the first data of a connection, which
stands for the opening of it. With `--rounds` the tools take turns, and the median of each is printed: on a machine that
does other things too, what takes seconds is else measured in another moment than what takes a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.tools.scanners import PROGRAMS, address
from tests.build.ports import free_port
from tests.build.servers import Servers, listens, servers

ROUND_TRIP_S = 0.05
SAMPLE_S = 0.2
SCANNERS = Path(__file__).parent / "tools" / "scanners.py"
EXPLAINED = {
    "nightseal": "Nightseal, all probes",
    "survey": "Nightseal, the survey alone",
    "sslyze-all": "sslyze, all commands",
    "sslyze-suites": "sslyze, suites and curves",
    "sslscan": "sslscan",
    "testssl": "testssl.sh",
}
OURS = ("nightseal", "survey")


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--peers-up-to", type=int, default=10, help="peers are left out beyond so many targets")
    parser.add_argument("--testssl", action="store_true", help="testssl.sh as well, on one target without delay")
    parser.add_argument("--rounds", type=int, default=1, help="how often each table is measured; medians are printed")
    parser.add_argument("--tools", nargs="+", choices=[*EXPLAINED], help="leave out all others")
    parser.add_argument("--no-delay-only", action="store_true")
    parser.add_argument("--relay", nargs=2, type=int, metavar=("PORT", "TO"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.relay:
        asyncio.run(relay(*arguments.relay))
    else:
        bench(arguments)


def bench(arguments: argparse.Namespace) -> None:
    """Start the servers, run every tool on them, print what came out."""
    print("command:", "python", *sys.argv)
    print("machine:", os.cpu_count(), "cores, Python", sys.version.split()[0])
    peers = ["sslyze-all", "sslyze-suites", *installed("sslscan")]
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as context:
        port, plain, status_port = start_nginx(context, max(arguments.targets))
        for count in arguments.targets:
            tools = [*OURS, *peers] if count <= arguments.peers_up_to else list(OURS)
            if count == 1 and arguments.testssl:
                tools += installed("testssl")
            tools = [tool for tool in tools if not arguments.tools or tool in arguments.tools]
            results = medians(tools, arguments.rounds, count, (port, plain, status_port))
            table(f"{count} targets, no delay", count, results)
        if not arguments.no_delay_only:
            with delaying_relay(context, port) as late_port, delaying_relay(context, plain) as late_plain:
                tools = [tool for tool in (*OURS, *peers) if not arguments.tools or tool in arguments.tools]
                results = medians(tools, arguments.rounds, 1, (late_port, late_plain, status_port))
                table(f"1 target, {ROUND_TRIP_S * 1000:.0f} ms round trip", 1, results)


def installed(tool: str) -> list[str]:
    """The tool, if this machine has it."""
    if shutil.which(PROGRAMS[tool][0]):
        return [tool]
    print(f"left out: {tool} is not installed (Debian: apt-get install {EXPLAINED[tool]})")
    return []


def start_nginx(context: Servers, count: int, known_by: int | None = None) -> tuple[int, int, int]:
    """The reference nginx on so many addresses: its ports of HTTPS, plain HTTP, and its count of connections.

    `known_by` is the port to which plain HTTP is redirected, where something else stands before it.
    """
    status_port, plain, port = free_port(), free_port(), free_port()
    addresses = ["127.0.0.1", *(address(number) for number in range(count))]
    more = "".join(f"listen {at}:{port} ssl;" for at in addresses[1:])
    redirect = "".join(f"listen {at}:{plain};" for at in addresses)
    redirect = f"}} server {{ {redirect} return 301 https://$host:{known_by or port}$request_uri;"
    status = f"}} server {{ listen 127.0.0.1:{status_port}; location = /status {{ stub_status; }}"
    hsts = "add_header Strict-Transport-Security max-age=31536000;"
    context.nginx(["ecdsa"], f"ssl_protocols TLSv1.2 TLSv1.3; {hsts} {more} {redirect} {status}", port=port)
    while not listens(status_port):  # it is bound last
        time.sleep(0.02)
    return port, plain, status_port


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


def medians(
    tools: Sequence[str], rounds: int, count: int, ports: tuple[int, int, int]
) -> list[tuple[str, dict[str, float]]]:
    """Measure the tools in turn, so often, and keep the median of each figure."""
    measured: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            measured[tool].append(measure(tool, count, *ports))
    return [
        (tool, {figure: statistics.median(result[figure] for result in results) for figure in results[0]})
        for tool, results in measured.items()
    ]


def measure(tool: str, count: int, port: int, plain: int, status_port: int) -> dict[str, float]:
    """Run one tool in a process of its own, and watch how much memory it and its children hold."""
    before = settled(status_port)
    command = [sys.executable, "-W", "ignore", str(SCANNERS), tool, *map(str, (count, port, plain))]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak, ended = [0.0], threading.Event()
    watch = threading.Thread(target=watch_memory, args=(psutil.Process(child.pid), peak, ended))
    watch.start()
    output, _ = child.communicate()
    ended.set()
    watch.join()
    if child.returncode:
        raise SystemExit(f"{tool} failed")
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return {**result, "mib": peak[0], "connections": settled(status_port) - before}


def watch_memory(child: psutil.Process, peak: list[float], ended: threading.Event) -> None:
    """Keep the greatest memory of a process tree, in MiB."""
    while not ended.wait(SAMPLE_S):
        held = 0
        with contextlib.suppress(psutil.Error):
            for process in (child, *child.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    held += process.memory_full_info().pss
        peak[0] = max(peak[0], held / 2**20)


def table(title: str, count: int, results: list[tuple[str, dict[str, float]]]) -> None:
    """Print results beside each other; the ratios are to the first."""
    base = results[0][1]
    print(f"\n{title}")
    print(
        f"{'':28}{'connections':>12}{'wall s':>10}{'ratio':>8}{'CPU s':>10}{'ratio':>8}{'MiB':>7}"
        f"   per target: {'connections':>12}{'CPU ms':>9}{'a minute':>10}"
    )
    for tool, result in results:
        wall, cpu = result["wall"], result["cpu"]
        print(
            f"{EXPLAINED[tool]:28}{result['connections']:12.0f}{wall:10.3f}{wall / base['wall']:8.1f}{cpu:10.3f}"
            f"{cpu / base['cpu']:8.1f}{result['mib']:7.0f}"
            f"{result['connections'] / count:27.0f}{cpu / count * 1000:9.1f}{count / wall * 60:10.0f}",
            flush=True,
        )


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
