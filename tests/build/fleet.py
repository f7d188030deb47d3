"""A broker, workers and targets of real TLS, for tests of a fleet."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from scanner.fleet.settings import CA, CERTIFICATE, KEY, FleetSettings
from scanner.fleet.users import PASSWORD, USERS
from tests.build.ports import free_port
from tests.build.preloaded import Started
from tests.build.servers import listens
from tests.conftest import PYTHONPATH

MISSING = "redis-server is not installed (Debian: apt-get install redis-server)"


@dataclass
class Redis:
    """Debian's redis-server, as the broker. It keeps nothing when it is started anew, as one without a disk."""

    folder: Path
    certificates: Path | None = None
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        """As the coordinator has it: with its password, where the broker has users."""
        if not self.certificates:
            return f"redis://127.0.0.1:{self.port}/0"
        password = self._from_file("coordinator")
        return f"rediss://{f'coordinator:{password}@' if password else ''}127.0.0.1:{self.port}/0"

    def url_of(self, zone: str) -> str:
        """As a worker of the zone has it."""
        if not self.certificates:
            return self.url
        url = self._from_file(f"zone-{zone}") or self.url
        return url.replace("127.0.0.1:6379", f"127.0.0.1:{self.port}")

    def _from_file(self, member: str) -> str:
        file = self.certificates / member / PASSWORD if self.certificates else None
        return file.read_text("utf-8").strip().partition("=")[2] if file and file.exists() else ""

    @property
    def fleet(self) -> FleetSettings:
        """How a coordinator reaches it."""
        ours = self.certificates / "coordinator" if self.certificates else None
        return FleetSettings(self.url, ours, insecure=ours is None)

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, MISSING
        options = ["--save", "", "--dir", str(self.folder), "--bind", "127.0.0.1"]
        if self.certificates:
            own = self.certificates / "broker"
            options += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "yes"]
            options += ["--tls-ca-cert-file", str(own / CA), "--tls-cert-file", str(own / CERTIFICATE)]
            options += ["--tls-key-file", str(own / KEY)]
            options += ["--aclfile", str(own / USERS)] if (own / USERS).exists() else []
        else:
            options += ["--port", str(self.port)]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not listens(self.port):
            assert time.monotonic() < until
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextlib.contextmanager
def worker(
    redis: Redis, zone: str, folder: Path, *options: str, begun: Callable[..., Any] = Started
) -> Iterator[Started]:
    """`nightseal worker` for a zone; what it prints is in `zone.log`. `begun` begins its process, forked by default."""
    ours = ["--certificates", str(redis.certificates / f"zone-{zone}")] if redis.certificates else ["--insecure"]
    command = ["worker", "--zone", zone, "--broker", redis.url_of(zone), *ours, *options]
    (folder / f"{zone}.log").unlink(missing_ok=True)
    with (folder / f"{zone}.log").open("ab") as log:
        process = begun(command, cwd=folder, env={**os.environ, "PYTHONPATH": PYTHONPATH}, output=log)
    try:
        # A shard may be given out before there is anybody; what is measured begins when there is.
        until = time.monotonic() + 120
        while "[queues]" not in (folder / f"{zone}.log").read_text("utf-8"):
            assert process.poll() is None, (folder / f"{zone}.log").read_text("utf-8")
            assert time.monotonic() < until
            time.sleep(0.2)
        yield process
    finally:
        process.kill()
        process.wait()
