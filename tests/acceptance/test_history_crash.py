"""Writers of the history that are killed, and writers that race: real processes, real signals."""

from __future__ import annotations

import dataclasses
import itertools
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from scanner.errors import HistoryError
from scanner.history import History
from scanner.history.schema import TABLES, Table
from scanner.history.tables import Tables
from scanner.verdict import RunRecord
from tests.build.records import sample_record
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.xdist_group("history-crash")

KILLS = 15
LONGEST_LIFE_S = 0.25


def numbered(number: int) -> RunRecord:
    record = sample_record(number % 5)
    return dataclasses.replace(record, run=dataclasses.replace(record.run, id=f"20260301T020000Z-{number:06}"))


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Starts processes in milliseconds: the libraries are loaded once, before any thread of theirs exists."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scanner.history", "tests.build.records"])
    return context


def keep_appending(folder: Path, first: int, done: Connection) -> None:
    history = History.open(folder, create=True)
    for number in itertools.count(first):
        history.append(numbered(number))
        done.send(number)


def received(reader: Connection) -> Iterator[int]:
    while reader.poll():
        try:
            yield reader.recv()
        except EOFError:
            return


def test_a_writer_killed_at_random_instants_loses_and_doubles_nothing(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    folder = tmp_path / "history"
    chance = random.Random(20260301)  # noqa: S311  # instants to kill at, no secret
    expected = 0
    for _ in range(KILLS):
        reader, writer = processes.Pipe(duplex=False)
        process = processes.Process(target=keep_appending, args=(folder, expected, writer))
        process.start()
        writer.close()
        # From the very first instant, the creation of the history, to several runs on.
        process.join(timeout=chance.uniform(0, LONGEST_LIFE_S))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        finished = max(received(reader), default=expected - 1)

        history = History.open(folder, create=True)
        run_ids = history.runs()["run_id"].tolist()
        # A run may have been committed in the instant before its writer could say so.
        assert run_ids == [numbered(number).run.id for number in range(len(run_ids))]
        assert len(run_ids) in {finished + 1, finished + 2}
        for number in range(max(0, len(run_ids) - 3), len(run_ids)):
            assert history.record(run_ids[number]) == numbered(number)
        expected = len(run_ids)

    history = History.open(folder, create=False)
    for number, run_id in enumerate(history.runs()["run_id"]):
        assert history.record(run_id) == numbered(number)
    assert len(history.verdicts()) == sum(len(numbered(number).verdicts) for number in range(expected))
    assert len(history.evidence()) == sum(
        target.evidence is not None for number in range(expected) for target in numbered(number).targets
    )


class KilledBefore(Tables):
    """Tables whose process dies by SIGKILL in the instant before one of them would be written."""

    fatal: str

    def append(self, table: Table, *args: object, **options: object) -> None:
        if table.name == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        super().append(table, *args, **options)


def append_until(folder: Path, number: int, fatal: str) -> None:
    history = History.open(folder, create=False)
    history.tables = KilledBefore(history.location)
    history.tables.fatal = fatal
    history.append(numbered(number))


@pytest.mark.parametrize("fatal", TABLES)
def test_a_run_that_was_half_written_is_invisible_and_can_be_written_again(
    fatal: str, tmp_path: Path, processes: ForkServerContext
) -> None:
    history = History.open(tmp_path, create=True)
    history.append(numbered(0))
    process = processes.Process(target=append_until, args=(tmp_path, 1, fatal))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL

    assert history.runs()["run_id"].tolist() == [numbered(0).run.id]
    assert set(history.verdicts()["run_id"]) == {numbered(0).run.id}
    assert history.record(numbered(0).run.id) == numbered(0)

    history.append(numbered(1))
    assert history.record(numbered(1).run.id) == numbered(1)
    assert len(history.targets([numbered(1).run.id])) == len(numbered(1).targets)


def append_some(folder: Path, numbers: range, outcome: Connection) -> None:
    history = History.open(folder, create=True)
    refused = 0
    for number in numbers:
        try:
            history.append(numbered(number))
        except HistoryError:
            refused += 1
    outcome.send(refused)


def race(processes: ForkServerContext, folder: Path, *shares: range) -> list[int]:
    readers, started = [], []
    for numbers in shares:
        reader, writer = processes.Pipe(duplex=False)
        process = processes.Process(target=append_some, args=(folder, numbers, writer))
        process.start()
        readers.append(reader)
        started.append(process)
    refused = [reader.recv() for reader in readers]
    for process in started:
        process.join()
        assert process.exitcode == 0
    return refused


def test_two_writers_that_begin_a_history_at_once_lose_nothing(tmp_path: Path, processes: ForkServerContext) -> None:
    folder = tmp_path / "history"
    assert race(processes, folder, range(8), range(8, 16)) == [0, 0]
    history = History.open(folder, create=False)
    assert sorted(history.runs()["run_id"]) == [numbered(number).run.id for number in range(16)]
    for number in range(16):
        assert history.record(numbered(number).run.id) == numbered(number)


def test_of_two_writers_of_the_same_run_one_is_refused(tmp_path: Path, processes: ForkServerContext) -> None:
    refused = race(processes, tmp_path, range(6), range(6))
    assert sum(refused) == 6
    history = History.open(tmp_path, create=False)
    assert sorted(history.runs()["run_id"]) == [numbered(number).run.id for number in range(6)]
    for number in range(6):
        assert history.record(numbered(number).run.id) == numbered(number)


def test_a_write_that_the_system_refuses_leaves_the_earlier_runs(tmp_path: Path) -> None:
    """A limit on file sizes stands for a full disk: the same error, from the same system calls."""
    History.open(tmp_path, create=True).append(sample_record(0))
    script = (
        "import resource, signal, sys\n"
        "from scanner.errors import HistoryError\n"
        "from scanner.history import History\n"
        "from tests.build.records import sample_record\n"
        f"signal.signal({int(signal.SIGXFSZ)}, signal.SIG_IGN)\n"
        f"resource.setrlimit({resource.RLIMIT_FSIZE}, (4096, 4096))\n"
        "try:\n"
        "    History(sys.argv[1]).append(sample_record(1))\n"
        "except HistoryError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=REPOSITORY, check=True
    )
    assert f"{tmp_path}: the history cannot be written" in done.stdout
    assert "earlier runs are intact" in done.stdout
    assert "\x1b" not in done.stdout
    history = History.open(tmp_path, create=False)
    assert history.runs()["run_id"].tolist() == [sample_record(0).run.id]
    assert history.record(sample_record(0).run.id) == sample_record(0)
