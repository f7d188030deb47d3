"""What reports over 10, 100, 1,000 and 10,000 targets take: time, memory, size, and how that grows.

    python bench/reports.py [--targets 10 100 1000 10000] [--formats html pdf …] [--edition management] [--keep FOLDER]

The bundled lab is scanned once. The larger runs are made of what its servers really answered, under other names and
addresses and with certificates of their own, and are judged by the rules (`tests/build/many.py`). Each format is
written in a process of its own by what `nightseal report` calls, compared with a run before, and with the data
attached to the PDF. "MiB" is the greatest memory of that process; the run that it reads, which is in memory before,
counts in it, and is the first line of each size. "apart" is that of the process that lays the PDF out, whose processor
time is in "CPU s". The HTML is then opened in Chromium: "opens" is from the navigation
to the first frame after its load, "filters" from a word being typed into the filter of the targets to the next frame,
the slower of a word that fits few and of one that fits all. "×" is the growth since the size before, when the number
of targets grew by 10.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reports.view.options import Edition
from scanner.config import loading as configuration
from scanner.formats import FORMATS
from scanner.history import History
from scanner.jobs.destinations import put
from scanner.jobs.output import Rendering, rendered
from scanner.jobs.reporting import policies_of, report_options
from tests.build.judged import Judged
from tests.build.late_iris import load_iris_late
from tests.build.many import many

REPOSITORY = Path(__file__).resolve().parent.parent
RUN = "the run itself"
LAB = "lab.pickle"
COLUMNS = ("wall s", "×", "CPU s", "MiB", "×", "apart", "MB", "×", "pages", "opens s", "filters s")


@dataclass
class Measured:
    """What writing one format took, and what came of it; 0 where a thing has none."""

    what: str
    wall_s: float
    cpu_s: float
    peak_mib: float
    size: int = 0
    apart_mib: float = 0.0
    pages: int = 0
    opens_s: float = 0.0
    filters_s: float = 0.0


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--formats", nargs="+", choices=tuple(FORMATS), default=tuple(FORMATS))
    parser.add_argument("--edition", choices=tuple(Edition), default=Edition.FULL, type=Edition)
    parser.add_argument("--keep", type=Path, help="a folder for the reports; without it they are thrown away")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # An installation has not what only development brings along, and what takes long to load.
    load_iris_late()
    if arguments.one:
        measure_here(arguments.keep, arguments.one, arguments.formats, arguments.edition)
        return
    print("command:", "python", *sys.argv)
    print("machine:", os.cpu_count(), "cores, Python", sys.version.split()[0], flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        scan_the_lab(folder)
        before: dict[str, Measured] = {}
        print(f"\n{'targets':>8} {'format':<14}" + "".join(f"{name:>10}" for name in COLUMNS))
        for count in arguments.targets:
            command = [sys.executable, __file__, "--one", str(count), "--keep", str(folder)]
            command += ["--edition", arguments.edition, "--formats"]
            with subprocess.Popen([*command, *arguments.formats], stdout=subprocess.PIPE, text=True) as child:
                for line in child.stdout or ():
                    found = Measured(**json.loads(line))
                    if found.what == "html":
                        found.opens_s, found.filters_s = in_chromium(report_file(folder, count, "html"))
                    print_line(count, found, before.get(found.what))
                    before[found.what] = found
            if child.returncode:
                raise SystemExit(f"{count} targets: the process ended with {child.returncode}")


def scan_the_lab(folder: Path) -> None:
    """Keep one scan of the lab in the folder, with everything that it was judged by."""
    shutil.copy(REPOSITORY / "config.toml", folder)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "scanner.app.cli", "demo", "--config", "config.toml", "--quiet"]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    config = configuration.load(folder / "config.toml")
    history = History.open(config.resolve(config.form.nightseal.history), create=False)
    record = history.record(history.latest() or "")
    policies = {policy.id: policy for policy in policies_of(config, record)}
    environments = {item.name: item for item in config.inventory.environments}
    shutil.rmtree(folder / config.form.nightseal.history)
    used = {name: policies[record.run.policies.get(name, record.run.policy).id] for name in environments}
    (folder / LAB).write_bytes(pickle.dumps((Judged(record, environments, used), report_options(config))))


def measure_here(folder: Path, count: int, formats: tuple[str, ...], edition: Edition) -> None:
    """In a process of its own: make the run, then write each format in a fork, and print what it took as JSON."""
    before = time.perf_counter(), time.process_time()
    real, options = pickle.loads((folder / LAB).read_bytes())  # noqa: S301  # our own file of just before
    judged = many(real, count)
    rendering = Rendering(
        judged.record,
        previous=judged.record,
        policies=tuple(judged.policies.values()),
        environments=tuple(judged.environments.values()),
        options=structs.replace(options, edition=edition),
    )
    say(Measured(RUN, time.perf_counter() - before[0], time.process_time() - before[1], peak_mib()))
    for name in formats:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            say(written(rendering, name, report_file(folder, count, name)))
            sys.stdout.flush()
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit(f"{name} failed")


def written(rendering: Rendering, name: str, path: Path) -> Measured:
    """Write one format."""
    wall, cpu = time.perf_counter(), time.process_time()
    peaks = dict[int, float]()
    threading.Thread(target=watch_children, args=(peaks,), daemon=True).start()
    put(path, rendered(rendering, name))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    apart = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu += apart.ru_utime + apart.ru_stime
    found = Measured(name, wall, cpu, peak_mib(), path.stat().st_size, max(peaks.values(), default=0.0))
    found.pages = pages(path) if name == "pdf" else 0
    return found


def watch_children(peaks: dict[int, float]) -> None:
    """Note the greatest memory of each process that this one starts.

    What the kernel counts for a parent begins with that of the parent itself, of which the child is a copy at first.
    """
    while True:
        for listed in Path("/proc/self/task").glob("*/children"):
            with contextlib.suppress(OSError, StopIteration):
                for child in map(int, listed.read_text("ascii").split()):
                    lines = Path(f"/proc/{child}/status").read_text("utf-8").splitlines()
                    peaks[child] = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
        time.sleep(0.2)


def say(found: Measured) -> None:
    """Tell the parent."""
    print(json.dumps(asdict(found)), flush=True)


def report_file(folder: Path, count: int, name: str) -> Path:
    """Where a report is kept."""
    return folder / f"{count}.{FORMATS[name].suffix}"


def peak_mib() -> float:
    """The greatest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pages(path: Path) -> int:
    """How many pages a PDF has."""
    import pikepdf

    with pikepdf.open(path) as pdf:
        return len(pdf.pages)


FRAME = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
FILTER = f"""async word => {{
  const field = document.querySelector('form[data-filter="targets"] input[name="text"]');
  const before = performance.now();
  field.value = word;
  field.dispatchEvent(new Event("input", {{ bubbles: true }}));
  await {FRAME};
  return (performance.now() - before) / 1000;
}}"""


def in_chromium(path: Path) -> tuple[float, float]:
    """How long the page takes to open, and to filter its targets."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is not installed (Debian: apt-get install chromium)")
        return 0.0, 0.0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page: Any = browser.new_page()
        page.goto(path.absolute().as_uri(), timeout=300_000)
        opens = page.evaluate(f"{FRAME}.then(() => performance.now() / 1000)")
        filters = max(page.evaluate(FILTER, word) for word in ("00007", "lab", "nothing is called so", ""))
        browser.close()
    return opens, filters


def print_line(count: int, found: Measured, before: Measured | None) -> None:
    """One line of the table."""

    def grown(now: float, then: float | None) -> str:
        return f"{now / then:.1f}" if then else ""

    cells = (
        f"{found.wall_s:.2f}",
        grown(found.wall_s, before and before.wall_s),
        f"{found.cpu_s:.2f}",
        f"{found.peak_mib:.0f}",
        grown(found.peak_mib, before and before.peak_mib),
        f"{found.apart_mib:.0f}" if found.apart_mib else "",
        f"{found.size / 1e6:.2f}" if found.size else "",
        grown(found.size, before and before.size),
        str(found.pages or ""),
        f"{found.opens_s:.2f}" if found.opens_s else "",
        f"{found.filters_s:.3f}" if found.filters_s else "",
    )
    print(f"{count:>8} {found.what:<14}" + "".join(f"{cell:>10}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
