"""Processes that are forked for a scan: they need nothing of whoever scans, and end when that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scanner.lab import Lab
from tests.build.service import wait_for
from tests.conftest import PYTHONPATH, REPOSITORY, reach

SCRIPT = """
import pathlib
from scanner import api
record = api.scan({host!r}, ca_file={ca!r}, connect_to={where!r})
found = record.targets[0].evidence.tls.value
print(found.heartbleed.value is not None, found.robot.value)
"""
WORKER = """
import asyncio, sys
from scanner import forkserver, inherited
if sys.argv[1] == "program":
    inherited.note()
    forkserver.begin(first=True)
from tests.lab.test_budget_remote import hang_holding, target
from scanner.dispatch import WorkerProcesses
async def main():
    async with WorkerProcesses.running(3, tasks_each=5) as processes:
        tasks = [asyncio.ensure_future(processes.run(hang_holding, budget=target(deadline_s=600.0))) for _ in range(3)]
        while len(processes._all) < 3:
            await asyncio.sleep(0.05)
        print("hanging", flush=True)
        await asyncio.gather(*tasks)
asyncio.run(main())
"""


def test_a_script_without_a_main_guard_scans_as_any_other(lab: Lab, tmp_path: Path) -> None:
    server = lab.servers["good"]
    where = {source: list(addresses) for source, addresses in lab.connect_to.items() if source.startswith(server.host)}
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(host=server.host, ca=str(lab.ca_file), where=where), "utf-8")

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)

    assert done.stdout.splitlines() == ["True rsa-not-offered"], "and it ran once"
    assert done.stderr == ""


def test_nothing_of_the_folder_in_which_it_is_started_is_loaded(lab: Lab, tmp_path: Path) -> None:
    for name in ("socket", "json", "pickle", "sslyze"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken over')", "utf-8")
    main = "import sys; from scanner.app.cli import main; sys.exit(main())"

    done = subprocess.run(
        [sys.executable, "-P", "-c", main, "scan", "good.lab.example", "--format", "json", *reach(lab, "good")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert json.loads(done.stdout)["targets"][0]["status"] == "assessed", done.stderr


def below(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def left_of(family: list[psutil.Process]) -> list[psutil.Process]:
    """What still runs of them."""
    return [member for member in family if member.is_running() and member.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("started", ["script", "program"])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSEGV])
def test_after_a_scan_is_killed_nothing_of_it_is_left(sent: signal.Signals, started: str) -> None:
    """Its workers hang, and would heed nobody: what ends them is the kernel."""
    command = [sys.executable, "-c", WORKER, started]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        # What is forked is the server's child, which is the scan's; nobody waits until it has been forked.
        scan = psutil.Process(process.pid)
        wait_for(lambda: len(below(scan)) == 4, "the server and three workers")
        family = below(scan)
        os.kill(process.pid, sent)
        process.wait()

    # They hang for much longer than that.
    wait_for(lambda: left_of(family) == [], "the end of all that it started", 30)


@pytest.mark.parametrize("own", ["", "inherited.note(); "])
def test_killed_while_the_server_loads_it_leaves_nothing(own: str) -> None:
    script = (
        f"from scanner import forkserver, inherited; {own}forkserver.begin(first=True); "
        "print('begun', flush=True); import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (server,) = below(psutil.Process(process.pid))
        # It has begun to run, and has not loaded yet: that takes a second.
        time.sleep(0.3)
        assert server.is_running()
        process.kill()
        process.wait()

        wait_for(lambda: left_of([server]) == [], "the end of the server", 30)


PROGRAM = """
import os, sys
from pathlib import Path
from scanner import forkserver, inherited
inherited.note()
forkserver.begin(first=True)
server = forkserver.running()
print(Path(f"/proc/{server}/cmdline").read_text() == Path("/proc/self/cmdline").read_text(), flush=True)
from scanner.dispatch.workers import start_forkserver
start_forkserver()
assert forkserver.running() == server
child = forkserver.spawn("tests.build.forks:have_one_forked", handing_on=True)
print(child.channel.recv(16).decode(), flush=True)
os.close(int(sys.argv[1]))
sys.stdin.read()
child.end()
"""


def test_the_server_of_a_program_is_forked_from_it_and_keeps_nothing_of_what_it_has_open() -> None:
    """Whoever reads what the program writes is told of the end when the program closes it."""
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(write)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=(write,),
        cwd=REPOSITORY,
    ) as process:
        os.close(write)
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "True\n", "it is no program of its own"
        assert process.stdout.readline() == "forked\n", "what is forked may have others forked, too"
        with os.fdopen(read, "rb") as ends:
            assert ends.read() == b""
        family = below(psutil.Process(process.pid))
        process.stdin.close()
        process.wait()

    assert process.returncode == 0
    wait_for(lambda: left_of(family) == [], "the end of all that it started", 30)


def test_the_server_of_a_process_with_threads_is_a_program_of_its_own() -> None:
    script = (
        "import threading, time\n"
        "from pathlib import Path\n"
        "from scanner import forkserver, inherited\n"
        "inherited.note()\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "forkserver.begin(first=True)\n"
        "read = lambda process: Path(f'/proc/{process}/cmdline').read_bytes()\n"
        "print(read(forkserver.running()) != read('self'))\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)

    assert done.stdout == "True\n"
