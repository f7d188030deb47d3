"""The documented commands that run until they are stopped: each is begun as it is documented, says that it is ready, and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from scanner.fleet.certificates import make
from tests.build.documented import elsewhere
from tests.build.fleet import Redis
from tests.build.ports import free_port
from tests.build.service import PATIENCE_S, wait_for
from tests.conftest import PYTHONPATH, Runner

CONFIGURATION = """\
[daemon]
http = "127.0.0.1:{port}"

[[environment]]
name = "production"
kind = "on-premises"

  [[environment.endpoint]]
  host = "127.0.0.1"
  port = 9
  role = "server"

[[schedule]]
name = "nightly"
cron = "0 0 1 1 *"
"""


class Running:
    """A process of a documented line, and what it has said so far."""

    def __init__(self, line: str, folder: Path, **settings: str) -> None:
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scanner.app.cli", *line.split()[1:]],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": PYTHONPATH, **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_it_says(self, text: str) -> None:
        def said() -> bool:
            found = text in self.log.read_text("utf-8")
            assert found or self.process.poll() is None, self.log.read_text("utf-8")
            return found

        wait_for(said, text)

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.log.read_text("utf-8")
        return self.log.read_text("utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def test_the_service_answers_the_questions_that_the_documents_ask_it(tmp_path: Path, nightseal: Runner) -> None:
    (tmp_path / "config.toml").write_text(CONFIGURATION.format(port=free_port()), "utf-8")
    begun, *asked = sorted(elsewhere("daemon"), key=len)
    assert begun == "nightseal daemon"
    assert asked

    with Running(begun, tmp_path) as service:
        service.wait_until_it_says("next start")
        for line in asked:
            answer = nightseal(*line.split()[1:])
            assert answer.status == 0, f"{line}: {answer.err}"
        said = service.stop()

    assert "Traceback" not in said
    assert nightseal("daemon", "--alive").status == 4


@pytest.mark.parametrize("line", elsewhere("worker"))
def test_a_worker_takes_targets_and_ends_when_it_is_told_to(line: str, tmp_path: Path) -> None:
    make(tmp_path, ["127.0.0.1"], ["dmz"])
    with Redis(tmp_path, tmp_path) as broker:
        here = line.replace("/etc/nightseal/", "")
        with Running(here, tmp_path, NIGHTSEAL_BROKER=broker.url) as worker:
            worker.wait_until_it_says('ready: the worker takes targets of zone "dmz"')
            said = worker.stop()

    assert "Traceback" not in said
