"""The lab as a context manager: starts the servers in a process of their own and stops them again.

They run apart from the scanner so that the two do not share an interpreter: what is measured is the scanner.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from scanner.errors import LabError
from scanner.lab.manifest import LabServer, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

START_SECONDS = 120.0
"""It takes two where nothing else runs; the bound is for what will never start."""
_STOP_SECONDS = 30.0


class Lab:
    """Real TLS servers on loopback, each named for its flaw.

    Use it as a context manager, or call `start` and `stop`. It ends with the process that started it in any case.
    """

    def __init__(self, *, directory: Path | None = None, only: tuple[str, ...] = ()) -> None:
        """Prepare a lab whose certificates go to `directory` (a temporary one by default).

        `only` names the cases to serve, which starts faster; by default all are.
        """
        self._directory = directory
        self._only = only
        self._process: subprocess.Popen[str] | None = None
        self._manifest: Manifest | None = None
        self._cleanup = contextlib.ExitStack()

    def start(self) -> Self:
        """Start the servers and wait until all of them listen; raises `LabError` where they do not."""
        if self._process is not None:
            msg = "the lab is running already"
            raise LabError(msg)
        directory = self._directory or Path(
            self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="nightseal-lab-"))
        )
        errors_file = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # closed by stop
        errors = self._cleanup.enter_context(errors_file)
        command = [sys.executable, "-m", "scanner.lab", "--directory", str(directory)]
        for name in self._only:
            command += ["--only", name]
        self._process = subprocess.Popen(  # noqa: S603  # this interpreter, with our own arguments
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8"
        )
        # Killing is what bounds the wait: the pipe then ends, and with it the reading of the line.
        timer = threading.Timer(START_SECONDS, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            self._manifest = Manifest.from_json(self._process.stdout.readline() if self._process.stdout else "")
        except (ValueError, KeyError, TypeError) as error:
            self._end_process()
            errors.seek(0)
            written = errors.read().strip()[-4000:]
            self.stop()
            msg = f"the lab did not start within {START_SECONDS:g} s: {written or 'it wrote no reason'}"
            raise LabError(msg) from error
        except BaseException:
            self.stop()
            raise
        finally:
            timer.cancel()
        return self

    def stop(self) -> None:
        """Stop the servers and remove their temporary files. Safe to call twice."""
        self._end_process()
        self._cleanup.close()

    def __enter__(self) -> Self:
        """Start the servers."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the servers."""
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of the servers."""
        if self._process is None:
            raise LabError(_NOT_RUNNING)
        return self._process.pid

    @property
    def ca_file(self) -> Path:
        """The PEM file of the root that the good servers' certificates lead to."""
        return Path(self._started.ca_file)

    @property
    def ct_logs_file(self) -> Path:
        """The list of the lab's own Certificate Transparency logs, in the form of Chrome's."""
        return Path(self._started.ct_logs_file)

    @property
    def client_certificate_file(self) -> Path:
        """A client certificate (PEM, with its chain) which the servers that ask for one accept."""
        return Path(self._started.client_certificate_file)

    @property
    def client_key_file(self) -> Path:
        """The private key of `client_certificate_file`."""
        return Path(self._started.client_key_file)

    @property
    def servers(self) -> Mapping[str, LabServer]:
        """The servers by the name of their flaw."""
        return MappingProxyType({server.name: server for server in self._started.servers})

    @property
    def connect_to(self) -> dict[str, list[str]]:
        """Where to connect for a name and nominal port: "expired.lab.example:443" to ["127.0.0.1:40123"]."""
        return {name: list(addresses) for name, addresses in self._started.connect_to.items()}

    @property
    def skipped(self) -> Mapping[str, str]:
        """What this machine could not serve: case name to the reason, with what to install."""
        return MappingProxyType(dict(self._started.skipped))

    @property
    def _started(self) -> Manifest:
        if self._manifest is None:
            raise LabError(_NOT_RUNNING)
        return self._manifest

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


_NOT_RUNNING = "the lab is not running"
