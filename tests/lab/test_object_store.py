"""The history on an object store: safe with several writers, refused where it would not be, readable without rights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.errors import HistoryError
from scanner.history import History
from scanner.history.create_only import refuse_overwriting
from tests.build.object_stores import READER, READER_SECRET, careless, environment, in_environment, seaweedfs
from tests.conftest import REPOSITORY, Runner

BUCKET, PLACE = "histories", "s3://histories/nightseal"
WRITERS, RUNS = 4, 3
WRITER = """
import dataclasses, sys
from scanner.history import History
from tests.build.records import sample_record
history = History.open(sys.argv[1], create=True)
for number in range(int(sys.argv[3])):
    made = sample_record()
    run = dataclasses.replace(made.run, id=f"20260101T00000{number}Z-{int(sys.argv[2]):06x}")
    history.append(dataclasses.replace(made, run=run))
"""


def use(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_a_store_that_lets_writers_overwrite_each_other_is_refused_before_a_run(monkeypatch):
    with careless(heeds=True) as port:
        use(monkeypatch, environment(port))
        refuse_overwriting(PLACE)
    with careless(heeds=False) as port:
        use(monkeypatch, environment(port))
        with pytest.raises(HistoryError, match="lets a second writer overwrite what the first one wrote"):
            History.open(PLACE, create=True)


@pytest.mark.parametrize("heeds", [True, False])
def test_doctor_tells_of_such_a_store(
    quick: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, heeds: bool
) -> None:
    (tmp_path / "config.toml").write_text(f'[nightseal]\nhistory = "{PLACE}"\n', "utf-8")
    with careless(heeds=heeds) as port:
        use(monkeypatch, environment(port))
        done = quick("doctor")
    if heeds:
        assert f"ok    history {PLACE}\n" in done.out
    else:
        assert f"LACK  history {PLACE}: {PLACE}: this store silently lets a second writer overwrite" in done.out
        assert done.status == 4


def test_a_store_that_is_not_there_is_told_as_such(monkeypatch):
    use(monkeypatch, environment(1))
    with pytest.raises(HistoryError, match="cannot be written"):
        refuse_overwriting(PLACE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with seaweedfs(tmp_path_factory.mktemp("weed"), BUCKET) as port:
        yield port


@pytest.mark.servers
def test_writers_at_once_lose_nothing_and_a_reader_needs_no_rights(
    store: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, PLACE, str(number), str(RUNS)],
            cwd=REPOSITORY,
            env=in_environment(environment(store)),
            stderr=(tmp_path / f"{number}.err").open("wb"),
        )
        for number in range(WRITERS)
    ]
    ended = [writer.wait() for writer in writers]
    assert ended == [0] * WRITERS, [(tmp_path / f"{number}.err").read_text() for number in range(WRITERS)]

    use(monkeypatch, environment(store, READER, READER_SECRET))
    history = History.open(PLACE, create=False)
    runs = sorted(history.runs()["run_id"].astype(str))
    assert len(set(runs)) == WRITERS * RUNS
    record = history.record(runs[0])
    assert record.targets
    with pytest.raises(HistoryError):
        History.open(PLACE, create=True)
