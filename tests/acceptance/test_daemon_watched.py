"""The service as it is watched and asked: reloads, its socket, monitoring, systemd, and a second look."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scanner.history import History
from scanner.lab import Lab
from scanner.state.ledger import State
from tests.build.daemon import (
    RECEIVER,
    ended,
    fetch,
    messages,
    metrics,
    ready,
    schedule,
    stop,
)
from tests.build.service import service, wait_for


def test_a_reload_takes_a_valid_configuration_and_refuses_another(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
        ready(running)
        good = (tmp_path / "config.toml").read_text()
        (tmp_path / "config.toml").write_text(good.replace("[[environment]]", "[[environmint]]"))
        running.started[0].send_signal(signal.SIGHUP)
        about = "is refused, and the previous one stays in force: config.toml:"
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
            running.start(as_users_do=True, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="2000000")
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


def test_an_address_that_is_in_use_is_an_outage(tmp_path: Path, small_lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
            config = tmp_path / "config.toml"
            config.write_text(config.read_text().replace("127.0.0.1:0", address).replace('log = "json"', ""))
            refused = running.command("daemon")
            assert refused.returncode == 4, "which a supervisor tries again"
            assert f"{address}: cannot listen there: Address already in use ([daemon] http)" in refused.stderr
