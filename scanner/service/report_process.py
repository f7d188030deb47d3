"""The process that draws a run's reports, as the run's own process sees it: meanwhile that finds out what is told.

It is given back with all that drawing took of memory, and where it crashes, what receivers are told is in the outbox.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from scanner.errors import OutputError
from scanner.formats import FORMATS
from scanner.jobs.output import Written
from scanner.state.ledger import Start

_WORKER: Final = "scanner.service.report_worker"


class ReportProcess:
    """One such process: it begins at once, and ends with this object."""

    def __init__(self, state: Path, config_path: Path, start: Start, formats: Sequence[str]) -> None:
        """Begin it.

        Raises:
            OutputError: it cannot be started.
        """
        command = [sys.executable, "-m", _WORKER, "--state", str(state), "--config", str(config_path)]
        command += ["--start", str(start.id), *(f"--format={name}" for name in formats)]
        try:
            # It ends when nobody has the other end of its stdin open any more.
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # this interpreter, our own module
        except OSError as error:
            raise OutputError(f"the process that draws them cannot be started: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            if self._process.poll() is None:
                self._process.kill()

    def written(self) -> Written:
        """Wait for its end: what it has written, and what went wrong, which it has logged.

        Raises:
            OutputError: it crashed.
        """
        assert self._process.stdout is not None  # noqa: S101  # it is a pipe
        said = self._process.stdout.read()
        status = self._process.wait()
        if status < 0:
            name = signal.Signals(-status).name
            raise OutputError(
                f"the process that draws them was ended by {name}, as the kernel does where memory is short"
            )
        if status:
            raise OutputError(f"the process that draws them ended with {status}; the log says why")
        found = json.loads(said)
        return Written(tuple(map(Path, found["files"])), tuple(found["troubles"]))


def report_paths(folder: Path, run_id: str, formats: Sequence[str]) -> list[Path]:
    """Where the reports of a run will be."""
    return [folder.absolute() / f"{run_id}.{FORMATS[name].suffix}" for name in formats]
