"""The service as it lives: real processes, signals, sockets, a full disk."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from scanner.history import History
from scanner.lab import Lab
from scanner.state.database import OUTBOX, open_state
from scanner.state.ledger import State
from tests.build import disks
from tests.build.disks import fill
from tests.build.service import PATIENCE_S, Service, kill_tree, service, wait_for

ONCE_A_YEAR = "0 0 1 1 *"


@pytest.fixture(scope="module")
def small_lab() -> Iterator[Lab]:
    with Lab(only=("good", "expired", "silent")) as running:
        yield running


def schedule(cron: str = ONCE_A_YEAR, **keys: object) -> str:
    keys = {"reports": [], "confirm_after": "1s", **keys}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
    return f'[[schedule]]\nname = "nightly"\ncron = "{cron}"\n{lines}\n'


RECEIVER = (
    '[[notify]]\nname = "hook"\nurl = "json://127.0.0.1:9/"\non = ["run-failed", "indeterminate", "new-failure"]\n'
)


def ready(running: Service) -> None:
    known = len(running.said("next start"))
    running.start()
    wait_for(lambda: len(running.said("next start")) > known, "the service")


def ended(running: Service, state: State, number: int = 1) -> None:
    wait_for(lambda: sum(start.state is state for start in running.starts()) >= number, f"{number} {state}")


def make_overdue(folder: Path, seconds: float) -> None:
    """As if the next start had been planned so long ago."""
    with sqlite3.connect(folder / "nightseal.sqlite") as raw:
        assert raw.execute("UPDATE apscheduler_jobs SET next_run_time = ?", (time.time() - seconds,)).rowcount == 1


def messages(folder: Path) -> list[str]:
    with open_state(folder / "nightseal.sqlite").begin() as connection:
        return [f"{row.title}\n{row.text}" for row in connection.execute(select(OUTBOX)).all()]


def stop(running: Service) -> None:
    running.started[-1].send_signal(signal.SIGTERM)
    assert running.started[-1].wait(PATIENCE_S) == 0


def test_one_service_for_one_state_and_a_dead_ones_lock_is_taken_over(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
        ready(running)
        refused = running.command("daemon")
        assert refused.returncode == 2
        assert f"process {running.started[0].pid}, since 20" in refused.stderr

        running.started[0].kill()
        running.started[0].wait()
        assert (tmp_path / "nightseal.sqlite.sock").exists()
        ready(running)
        assert str(running.started[1].pid) in running.command("daemon").stderr
        stop(running)
        assert not (tmp_path / "nightseal.sqlite.sock").exists()


def test_two_services_that_begin_at_once(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
        racing = [running.start() for _ in range(3)]
        wait_for(lambda: sum(process.poll() is not None for process in racing) == 2, "two that give way")
        assert sorted(str(process.poll()) for process in racing) == ["2", "2", "None"]


def test_a_missed_start_is_made_up_for_once_and_marked_late(tmp_path: Path, small_lab: Lab) -> None:
    keys = {"notify": ["hook"], "environments": ["e"]}
    with service(tmp_path, small_lab, "good", schedule=schedule(**keys), more=RECEIVER) as running:
        ready(running)
        stop(running)
        make_overdue(tmp_path, 36 * 3600)
        ready(running)
        ended(running, State.DONE)
        (start,) = running.starts()
        assert start.late
        assert len(History.open(tmp_path / "history", create=False).runs()) == 1
        assert any("began 1 day 12 hours later" in message for message in messages(tmp_path))
        status = running.command("daemon", "--status").stdout
        assert "done, late" in status
        stop(running)


def test_a_missed_start_may_be_left_out(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule(missed="skip")) as running:
        ready(running)
        stop(running)
        make_overdue(tmp_path, 36 * 3600)
        ready(running)
        ended(running, State.SKIPPED)
        assert running.starts()[0].reason == "it was missed while the service was down"
        stop(running)


def test_stopped_in_a_run_it_records_what_was_done_and_resumes_the_rest(tmp_path: Path, small_lab: Lab) -> None:
    text = schedule("*/2 * * * * *", interrupted="resume")
    with service(tmp_path, small_lab, "good", "silent", schedule=text, daemon='grace = "20s"') as running:
        # The silent server must still be waited for when the other one is done, however long a busy machine takes.
        patient = (tmp_path / "config.toml").read_text().replace('timeout = "2s"', 'timeout = "40s"')
        patient = patient.replace('deadline = "15s"', 'deadline = "40s"')
        (tmp_path / "config.toml").write_text(patient)
        ready(running)
        spooled = tmp_path / "nightseal.sqlite.spool"
        wait_for(lambda: spooled.exists() and any(path.stat().st_size for path in spooled.iterdir()), "a target done")
        stop(running)
        history = History.open(tmp_path / "history", create=False)
        (first,) = history.runs()["run_id"].astype(str)
        cut = history.record(first)
        assert not cut.run.complete
        assert [target.host for target in cut.targets] == ["good.lab.example"]
        stopped = running.starts()[0]
        assert stopped.state is State.INCOMPLETE

        ready(running)
        ended(running, State.DONE)
        (second,) = [start for start in running.starts() if start.attempt == 2]
        assert second.due == stopped.due
        whole = history.record(str(second.run_id))
        assert whole.run.complete
        assert {target.host for target in whole.targets} == {"good.lab.example", "silent.lab.example"}
        (kept,) = [target.evidence for target in whole.targets if target.host == "good.lab.example"]
        earlier = cut.targets[0].evidence
        assert kept is not None
        assert earlier is not None
        # What the whole run asks for afterwards (revocation, trust in other stores) is added to it, and nothing else.
        assert (kept.started_at, kept.http) == (earlier.started_at, earlier.http), "what was done is not scanned again"
        assert kept.tls.value.protocols == earlier.tls.value.protocols


def test_a_run_past_its_deadline_ends_incomplete_and_is_told_and_none_is_doubled(
    tmp_path: Path, small_lab: Lab
) -> None:
    keys = {"deadline": "1h", "notify": ["hook"]}
    with service(tmp_path, small_lab, "silent", schedule=schedule("*/4 * * * * *", **keys), more=RECEIVER) as running:
        # The silent server must still be waited for when the time is over, however long a busy machine takes.
        patient = (tmp_path / "config.toml").read_text().replace('timeout = "2s"', 'timeout = "1h"')
        patient = patient.replace('deadline = "15s"', 'deadline = "1h"')
        (tmp_path / "config.toml").write_text(patient)
        ready(running)
        wait_for(lambda: running.said("scanning"), "a scan")
        ended(running, State.SKIPPED)
        skipped = [start for start in running.starts() if start.state is State.SKIPPED]
        assert skipped[0].reason == "the run before it was still in progress"

        # From now on nothing new is due, and the run in progress is past its time.
        running.started[-1].kill()
        running.started[-1].wait()
        shorter = schedule(ONCE_A_YEAR, **{**keys, "deadline": "1s"})
        written = patient.replace(schedule("*/4 * * * * *", **keys), shorter)
        assert written != patient
        (tmp_path / "config.toml").write_text(written)
        ready(running)
        ended(running, State.INCOMPLETE)
        wait_for(lambda: any("the run is incomplete" in message for message in messages(tmp_path)), "a message")
        (run,) = History.open(tmp_path / "history", create=False).runs().itertuples()
        assert not run.complete
        stop(running)


def test_a_reload_takes_a_valid_configuration_and_refuses_another(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
        ready(running)
        good = (tmp_path / "config.toml").read_text()
        (tmp_path / "config.toml").write_text(good.replace("[[environment]]", "[[environmint]]"))
        running.started[0].send_signal(signal.SIGHUP)
        about = "is refused, the old one stays: config.toml:"
        wait_for(lambda: "environmint" in [line["key"] for line in running.said(about)], "the refusal of that key")
        (refusal,) = (line for line in running.said(about) if line["key"] == "environmint")
        number = (tmp_path / "config.toml").read_text().splitlines().index("[[environmint]]") + 1
        assert (refusal["file"], refusal["line"], refusal["reason"]) == ("config.toml", number, "unknown key")
        assert refusal["hint"] == 'did you mean "environment"?'
        assert "nightseal_config_refused 1.0" in fetch(f"{running.address}/metrics")
        # Runs go on with the old one.
        done = running.command("run", "--via-daemon")
        assert done.returncode == 2, "the command reads the file itself, and it is broken"

        running.configure(schedule("*/3 * * * * *"), "good", "expired")
        running.started[0].send_signal(signal.SIGHUP)
        wait_for(lambda: running.said("is read again"), "the reload")
        ended(running, State.DONE)
        history = History.open(tmp_path / "history", create=False)
        assert len(history.record(history.latest() or "").targets) == 2


def test_runs_are_asked_for_by_a_socket_of_ones_own(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule(), daemon='socket = "control"') as running:
        nobody = running.command("run", "--via-daemon")
        assert nobody.returncode == 2
        assert "nothing listens there" in nobody.stderr
        ready(running)
        assert stat.S_IMODE((tmp_path / "control").stat().st_mode) == 0o600

        done = running.command("run", "--via-daemon", "--schedule", "nightly")
        assert done.returncode == 0, done
        assert ": 1 target in " in done.stdout
        run = History.open(tmp_path / "history", create=False).runs().iloc[0]
        assert (run["trigger"], run["schedule"]) == ("manual", "nightly")

        # Whoever takes the history away under a running service is told, and it goes on.
        shutil.rmtree(tmp_path / "history")
        again = running.command("run", "--via-daemon", "--schedule", "nightly")
        assert again.returncode == 0, again
        assert "The history holds no earlier run: it was removed, or is another one." in again.stderr

        unknown = running.command("run", "--via-daemon", "--schedule", "nightlu")
        assert unknown.returncode == 2
        assert 'did you mean "nightly"?' in unknown.stderr
        assert answer(tmp_path / "control", b'{"shedule": "nightly"}\n')["error"].startswith("shedule: unknown key")
        assert "error" in answer(tmp_path / "control", b"x" * 100_000 + b"\n")
        assert "error" in answer(tmp_path / "control", b"\xff\n")
        stop(running)


def answer(path: Path, request: bytes) -> dict[str, str]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(request)
        found: dict[str, str] = json.loads(connection.makefile("rb").readline())
    return found


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310  # loopback
        text: str = response.read().decode()
    return text


def test_it_can_be_monitored(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", "expired", schedule=schedule(notify=["hook"]), more=RECEIVER) as running:
        ready(running)
        running.command("run", "--via-daemon", "--schedule", "nightly")
        health = json.loads(fetch(f"{running.address}/healthz"))
        assert health["status"] == "ok"
        assert list(health["next_starts"]) == ["nightly"]
        text = fetch(f"{running.address}/metrics")
        families = {family.name: family for family in text_string_to_metric_families(text)}
        value = metrics(running)
        assert value["nightseal_targets", "assessed", "e", "nightly"] == 2
        assert value["nightseal_outbox_messages", "hook"] == 1
        assert value["nightseal_starts_total", "done", "nightly"] == 1
        assert abs(value["nightseal_last_success_timestamp_seconds", "nightly"] - time.time()) < 60
        assert any(name[0] == "nightseal_verdicts" and "critical" in name and "fail" in name for name in value)
        ends = [s.value for s in families["nightseal_certificate_expiry_timestamp_seconds"].samples]
        assert min(ends) < time.time() < max(ends)
        with pytest.raises(urllib.error.HTTPError) as missing:
            fetch(f"{running.address}/")
        assert missing.value.code == 404
        stop(running)
        lines = [line for line in running.lines() if line["logger"] == "nightseal.run"]
        assert lines
        assert all(line["run"] and line["schedule"] == "nightly" for line in lines)


def test_systemd_is_told(tmp_path: Path, small_lab: Lab) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(30)
        with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
            running.start(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="2000000")
            heard: list[str] = []

            def until(word: str) -> None:
                while not any(word in message for message in heard):
                    heard.append(supervisor.recv(4096).decode())

            until("READY=1")
            until("WATCHDOG=1")
            running.started[0].send_signal(signal.SIGHUP)
            until("RELOADING=1\nMONOTONIC_USEC=")
            stop(running)
            until("STOPPING=1")


class Door:
    """A TCP relay to a server, that can be shut: who comes then is turned away."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._to = (host, int(port))
        self.open = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self.open:
                client.close()
                continue
            server = socket.create_connection(self._to)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=(source, sink), daemon=True).start()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()

    def close(self) -> None:
        self._listener.close()


def test_what_got_worse_is_looked_at_again_before_anybody_is_told(tmp_path: Path, small_lab: Lab) -> None:
    keys = {"confirm_after": "2s", "notify": ["hook"]}
    with service(tmp_path, small_lab, "good", schedule=schedule(**keys), more=RECEIVER) as running:
        good = small_lab.servers["good"]
        door = Door(small_lab.connect_to[f"{good.host}:{good.port}"][0])
        config = (tmp_path / "config.toml").read_text()
        lines = [line for line in config.splitlines() if not line.startswith(f'"{good.host}:')]
        places = lines.index("[scan.connect_to]") + 1
        lines.insert(places, f'"{good.host}:{good.port}" = ["{door.address}"]')
        (tmp_path / "config.toml").write_text("\n".join(lines))
        ready(running)

        def run() -> subprocess.CompletedProcess[str]:
            return running.command("run", "--via-daemon", "--schedule", "nightly")

        run()
        before = messages(tmp_path)

        def open_again() -> None:
            wait_for(lambda: len(running.said("looking again")) == 1, "the second look")
            door.open = True

        door.open = False
        opening = threading.Thread(target=open_again)
        opening.start()
        assert run().returncode == 3, "the run itself says what it saw"
        opening.join()
        assert messages(tmp_path) == before, "it had passed by"

        door.open = False
        run()
        (told,) = [message for message in messages(tmp_path) if message not in before]
        assert "Cannot be assessed any more" in told
        door.close()
        stop(running)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small_disk(tmp_path / "disk") as place:
        yield place


def test_a_full_disk_is_told_and_the_earlier_history_is_whole(small_disk: Path, small_lab: Lab) -> None:
    folder = small_disk.parent
    text = schedule(notify=["hook"])
    with service(
        folder, small_lab, "good", schedule=text, more=f'{RECEIVER}\n[nightseal]\nhistory = "disk/history"\n'
    ) as running:
        ready(running)
        assert running.command("run", "--via-daemon", "--schedule", "nightly").returncode == 0
        filler = small_disk / "filler"
        fill(filler)
        failed = running.command("run", "--via-daemon", "--schedule", "nightly")
        assert failed.returncode == 4
        assert "No space left on device" in failed.stderr
        waiting = re.search(r"run (\S+) was done, but its results could not be kept", failed.stderr)
        assert waiting, failed.stderr
        wait_for(lambda: any("the run failed" in message for message in messages(folder)), "a message")
        history = History.open(small_disk / "history", create=False)
        (run_id,) = history.runs()["run_id"].astype(str)
        assert history.record(run_id).targets[0].evidence is not None

        # Whoever watches the service is told of each thing that is wrong, and each is a metric as well.
        wait_for(lambda: metrics(running)["nightseal_place_unwritable", "history"], "a look at the disk", 15)
        right = (folder / "config.toml").read_text("utf-8")
        (folder / "config.toml").write_text(right.replace(ONCE_A_YEAR, "0 25 * * *"), "utf-8")
        seven_hours_ago = (datetime.now(UTC) - timedelta(hours=7)).strftime("%Y-%m-%dT%H:%M:%S.%f")
        with sqlite3.connect(folder / "nightseal.sqlite") as raw:
            raw.execute("UPDATE outbox SET created_at = ? WHERE delivered_at IS NULL", (seven_hours_ago,))
        running.started[0].send_signal(signal.SIGHUP)
        wait_for(lambda: running.said("is refused, the old one stays"), "the refusal")
        status, problems = health(running)
        assert status == 503
        begins = (
            "history: ", "a message to the receiver hook waits since ", "the configuration on the disk is refused: ",
            "the last start of schedule nightly, due at ",
        )  # fmt: skip
        assert all(any(problem.startswith(begin) for problem in problems) for begin in begins), problems
        values = metrics(running)
        assert values["nightseal_last_start_failed", "nightly"] == 1
        assert values["nightseal_config_refused",] == 1
        assert values["nightseal_place_unwritable", "history"] == 1
        assert time.time() - values["nightseal_outbox_oldest_timestamp_seconds", "hook"] > 6 * 3600

        filler.unlink()
        (folder / "config.toml").write_text(right, "utf-8")
        with sqlite3.connect(folder / "nightseal.sqlite") as raw:
            raw.execute("DELETE FROM outbox")
        running.started[0].send_signal(signal.SIGHUP)
        wait_for(lambda: running.said("is read again"), "the reload")
        assert running.command("run", "--via-daemon", "--schedule", "nightly").returncode == 0
        # The run that had no room waited for the next one, which brought it in first.
        earlier, brought_in, _ = history.runs()["run_id"].astype(str)
        assert (earlier, brought_in) == (run_id, waiting[1])
        assert history.record(waiting[1]).targets[0].evidence is not None
        assert health(running) == (200, [])
        stop(running)


def health(running: Service) -> tuple[int, list[str]]:
    """What /healthz says: its status, and what keeps the service from its work."""
    try:
        return 200, list(json.loads(fetch(f"{running.address}/healthz"))["problems"])
    except urllib.error.HTTPError as error:
        return error.code, list(json.loads(error.read())["problems"])


def metrics(running: Service) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and labels."""
    families = text_string_to_metric_families(fetch(f"{running.address}/metrics"))
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_on_a_full_disk_the_service_does_not_start_and_is_started_again(small_disk: Path, small_lab: Lab) -> None:
    """Whatever supervises it must not take it for a wrong configuration, with which it is never started again."""
    with service(
        small_disk.parent, small_lab, "good", schedule=schedule(), daemon='state = "disk/s.sqlite"'
    ) as running:
        fill(small_disk / "filler")
        refused = running.command("daemon")
        assert refused.returncode == 4
        assert "disk/s.sqlite cannot be used: database or disk is full (make room;" in refused.stderr
        assert "itself failed" not in refused.stderr


def test_an_address_that_is_in_use_is_an_outage(tmp_path: Path, small_lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
            config = tmp_path / "config.toml"
            config.write_text(config.read_text().replace("127.0.0.1:0", address).replace('log = "json"', ""))
            refused = running.command("daemon")
            assert refused.returncode == 4, "which a supervisor tries again"
            assert f"{address}: cannot listen there: Address already in use ([daemon] http)" in refused.stderr


def test_the_service_begins_on_a_history_that_became_read_only(small_disk: Path, small_lab: Lab) -> None:
    folder = small_disk.parent
    with service(
        folder, small_lab, "good", schedule=schedule(), more='[nightseal]\nhistory = "disk/history"'
    ) as running:
        History.open(small_disk / "history", create=True)
        with disks.read_only(small_disk):
            ready(running)
            status, problems = wait_for(lambda: health(running) if health(running)[1] else None, "a problem")
            assert status == 503
            assert problems == [f"history: {small_disk}/history cannot be written to: Read-only file system"]
        stop(running)


def test_a_full_disk_under_the_state_file_stops_nothing_for_ever(small_disk: Path, small_lab: Lab) -> None:
    folder = small_disk.parent
    text = schedule("*/2 * * * * *")
    with service(folder, small_lab, "good", schedule=text, daemon='state = "disk/s.sqlite"') as running:
        ready(running)
        filler = small_disk / "filler"
        fill(filler)
        wait_for(lambda: [line for line in running.lines() if "full" in line["event"]], "a line about it")
        assert running.started[0].poll() is None
        filler.unlink()
        number = len(running.said("begun"))
        wait_for(lambda: len(running.said("begun")) > number, "another run")


def test_an_orphaned_run_is_taken_care_of(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", "silent", schedule=schedule("*/2 * * * * *")) as running:
        ready(running)
        wait_for(lambda: running.said("scanning"), "a scan")
        running.started[-1].kill()
        running.started[-1].wait()
        ready(running)
        assert running.said("still in progress")
        ended(running, State.DONE)
        orphan = running.starts()[0]
        assert (orphan.attempt, orphan.state) == (1, State.DONE)
        runs = History.open(tmp_path / "history", create=False).runs()["run_id"].astype(str).tolist()
        assert runs.count(str(orphan.run_id)) == 1


def test_a_run_that_is_killed_each_time_is_given_up_and_told(tmp_path: Path, small_lab: Lab) -> None:
    keys = {"attempts": 1, "notify": ["hook"]}
    with service(tmp_path, small_lab, "silent", schedule=schedule("*/2 * * * * *", **keys), more=RECEIVER) as running:
        ready(running)
        wait_for(lambda: running.said("scanning"), "a scan")
        kill_tree(running.starts()[0].pid or 0)
        ended(running, State.INTERRUPTED)
        wait_for(lambda: any("the run failed" in message for message in messages(tmp_path)), "a message")
        assert "interrupted" in running.command("daemon", "--status").stdout
