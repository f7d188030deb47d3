"""How soon a command answers, beside its peers' commands, on one nginx and in one run.

    python bench/quickness.py
    python bench/quickness.py --rounds 15

Each command runs whole, as people start it: with the start of Python and all that it loads. The commands take turns,
and of each the median is printed, with its ratio to `nightseal scan`. Modules are compiled before. The goals are those
for an idle machine: `nightseal scan` 0.8 s, `--help` and `config check` 0.25 s; how busy it was is printed, too.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.survey import start_nginx
from tests.build.servers import servers

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
GOALS = {"nightseal scan": 0.8, "nightseal --help": 0.25, "nightseal config check": 0.25}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured")
    arguments = parser.parse_args()
    print("command:", "python", *sys.argv)
    print("machine:", os.cpu_count(), "cores, Python", sys.version.split()[0])
    print("busy before:", ", ".join(f"{load:.1f}" for load in os.getloadavg()), "processes in 1, 5, 15 minutes")
    subprocess.run([sys.executable, "-m", "compileall", "-q", "scanner", "reports"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as context:
        port, _, _ = start_nginx(context, 1)
        commands = commands_for(f"127.0.0.1:{port}")
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                measured[name].append(timed(command))
    table({name: tuple(map(statistics.median, zip(*times, strict=True))) for name, times in measured.items()})


def commands_for(address: str) -> dict[str, list[str]]:
    """What people type, here and elsewhere; what is not installed is left out and said."""
    nightseal = str(BIN / "nightseal")
    commands = {
        "nightseal scan": [nightseal, "scan", address],
        "sslyze": [str(BIN / "sslyze"), address],
        "sslscan": ["sslscan", "--no-colour", address],
        "nightseal --help": [nightseal, "--help"],
        "nightseal config check": [nightseal, "config", "check", "--config", str(ROOT / "config.toml")],
    }
    missing = [name for name, (program, *_) in commands.items() if not shutil.which(program)]
    for name in missing:
        print(f"left out: {name} is not installed")
    return {name: command for name, command in commands.items() if name not in missing}


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of wall clock and of processor until a command has ended.

    The processor time of processes that the command left to end by themselves is not in it.
    """
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    wall, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in {0, 1, 3}:
        raise SystemExit(f"{command}: status {done.returncode}: {done.stderr.decode()}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(results: dict[str, tuple[float, ...]]) -> None:
    """Print results beside each other; the ratios are to `nightseal scan`."""
    base = results["nightseal scan"][0]
    print(f"\n{'':24}{'wall s':>8}{'ratio':>8}{'CPU s':>8}{'goal s':>8}")
    for name, (wall, processor) in results.items():
        goal = f"{GOALS[name]:8.2f}" if name in GOALS else ""
        print(f"{name:24}{wall:8.2f}{wall / base:8.2f}{processor:8.2f}{goal}")


if __name__ == "__main__":
    main()
