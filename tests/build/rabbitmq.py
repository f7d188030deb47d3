"""Debian's rabbitmq-server as the broker of a fleet, with the users that `nightseal cluster certificates` gives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from scanner.fleet.settings import CA, CERTIFICATE, KEY, FleetSettings
from scanner.fleet.users import DEFINITIONS, PASSWORD
from tests.build.ports import free_port
from tests.build.servers import listens

# The one in /usr/sbin gives up root, and writes to /var/log.
PROGRAM, NAMES = Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), Path("/usr/bin/epmd")
MISSING = "rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)"


@dataclass
class RabbitMQ:
    """It listens with mutual TLS alone, and keeps nothing when it is started anew."""

    folder: Path
    certificates: Path
    port: int = field(default_factory=free_port)
    _names_port: int = field(default_factory=free_port)
    _own_port: int = field(default_factory=free_port)
    _begun: int = 0
    _processes: list[subprocess.Popen] = field(default_factory=list)

    @property
    def url(self) -> str:
        """As the coordinator has it."""
        return self._url("coordinator", self._from_file("coordinator"))

    @property
    def fleet(self) -> FleetSettings:
        """How a coordinator reaches it."""
        return FleetSettings(self.url, self.certificates / "coordinator")

    def url_of(self, zone: str) -> str:
        """As a worker of the zone has it."""
        password = self._from_file(f"zone-{zone}").partition("@")[0].rpartition(":")[2]
        return self._url(f"zone-{zone}", password)

    def _url(self, user: str, password: str) -> str:
        return f"amqps://{user}:{password}@127.0.0.1:{self.port}//"

    def _from_file(self, member: str) -> str:
        return (self.certificates / member / PASSWORD).read_text("utf-8").strip().partition("=")[2]

    def start(self) -> None:
        assert PROGRAM.exists(), MISSING
        self._begun += 1
        home = self.folder / f"rabbitmq-{self._begun}"
        home.mkdir()
        own = self.certificates / "broker"
        settings = {
            "listeners.tcp": "none", "listeners.ssl.1": f"127.0.0.1:{self.port}",
            "ssl_options.cacertfile": own / CA, "ssl_options.certfile": own / CERTIFICATE,
            "ssl_options.keyfile": own / KEY, "ssl_options.verify": "verify_peer",
            "ssl_options.fail_if_no_peer_cert": "true", "load_definitions": own / DEFINITIONS,
        }  # fmt: skip
        (home / "rabbitmq.conf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()), "utf-8")
        environment = {
            **os.environ, "HOME": str(home), "RABBITMQ_NODENAME": f"nightseal{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(home), "RABBITMQ_LOG_BASE": str(home), "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"), "RABBITMQ_DIST_PORT": str(self._own_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }  # fmt: skip
        with (home / "out.log").open("wb") as log:
            # Erlang's server of names would be left behind, if the broker had to start it.
            for command, ready in (([NAMES], self._names_port), ([PROGRAM], self.port)):
                process = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
                )
                self._processes.append(process)
                until = time.monotonic() + 300
                while not listens(ready):
                    assert process.poll() is None, (home / "out.log").read_text("utf-8")
                    assert time.monotonic() < until, (home / "out.log").read_text("utf-8")
                    time.sleep(0.2)

    def stop(self) -> None:
        """Kill it: it has no time to tell anybody."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
