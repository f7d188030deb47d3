"""A run that the history does not take waits outside of it, and the next run takes it in."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import NoReturn

import pytest

from scanner.errors import HistoryError, NotKeptError
from scanner.history import History
from scanner.jobs import waiting_runs
from scanner.jobs.waiting_places import WAITING, WaitingPlaces
from scanner.jobs.waiting_runs import keep, take_in
from scanner.verdict import RunRecord
from tests.build.judged import judged_record

RECORD = judged_record(0).record


def no_room(*_: object) -> NoReturn:
    raise HistoryError("no room")


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History.open(tmp_path / "history", create=True)


def refuse(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Have no room for a history below these folders, as where a disk is full."""
    append = History.append

    def full(self: History, record: RunRecord) -> None:
        if any(Path(str(self.location)).is_relative_to(folder) for folder in folders):
            no_room()
        append(self, record)

    monkeypatch.setattr(History, "append", full)


def test_what_cannot_be_kept_waits_and_is_taken_in_whole(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        refuse(full, tmp_path / "history", tmp_path / "first")
        with pytest.raises(NotKeptError, match=r"no room; it waits in .*second") as lost:
            keep(history, RECORD, WaitingPlaces((tmp_path / "first", tmp_path / "second")))
        waiting = tmp_path / "second" / WAITING / RECORD.run.id
        assert str(waiting) in str(lost.value)
        assert not list((tmp_path / "first" / WAITING).iterdir()), "half of a run is left nowhere"
        assert waiting.parent.stat().st_mode & 0o077 == 0, "evidence is nobody else's"
        (told,) = take_in(history, WaitingPlaces((tmp_path / "second",)))
        assert "could not be taken into the history: no room" in told
        assert waiting.is_dir(), "it waits on"

    (told,) = take_in(history, WaitingPlaces((tmp_path / "first", tmp_path / "second")))

    assert told == f"Run {RECORD.run.id}, which could not be kept when it was done, is in the history now"
    assert not waiting.exists()
    taken, kept = history.record(RECORD.run.id), History.open(tmp_path / "other", create=True)
    kept.append(RECORD)
    assert taken == kept.record(RECORD.run.id), "as if it had been kept at once"
    assert take_in(history, WaitingPlaces((tmp_path / "second",))) == []


def test_a_run_that_another_process_took_in_is_not_taken_in_twice(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        refuse(full, tmp_path / "history")
        with pytest.raises(NotKeptError):
            keep(history, RECORD, WaitingPlaces((tmp_path,)))
    history.append(RECORD)

    take_in(history, WaitingPlaces((tmp_path,)))

    assert len(history.runs()) == 1
    assert not (tmp_path / WAITING / RECORD.run.id).exists()


def test_where_nothing_takes_it_that_is_said(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, tmp_path)

    with pytest.raises(NotKeptError, match="no room; nor anywhere else"):
        keep(history, RECORD, WaitingPlaces((tmp_path / "a", tmp_path / "b")))


def test_what_waits_and_cannot_be_read_keeps_nothing_else_from_being_taken_in(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / WAITING / "20260101T000000Z-000000").mkdir(parents=True)
    with monkeypatch.context() as full:
        refuse(full, tmp_path / "history")
        with pytest.raises(NotKeptError):
            keep(history, RECORD, WaitingPlaces((tmp_path,)))

    told = take_in(history, WaitingPlaces((tmp_path,)))

    assert [line.startswith("Run ") for line in told] == [False, True]
    assert list(history.runs()["run_id"].astype(str)) == [RECORD.run.id]


def test_what_rust_says_as_it_falls_stays_in_the_log(
    history: History, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def falling(*_: object) -> NoReturn:
        os.write(2, b"a warning of somebody else's\n")
        os.write(
            2, b"\nthread 'tokio-rt-worker' (7) panicked at object_store/src/buffered.rs:369:41:\nAlready shut down\n"
        )
        no_room()

    monkeypatch.setattr(History, "append", falling)
    with pytest.raises(NotKeptError):
        keep(history, RECORD)

    assert capfd.readouterr().err == "a warning of somebody else's"
    with waiting_runs._without_panics():
        os.write(2, b"nothing fell\n")
    assert capfd.readouterr().err == "nothing fell\n"


def test_an_incomplete_run_waits_as_well(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    incomplete = dataclasses.replace(RECORD, run=dataclasses.replace(RECORD.run, complete=False))
    with monkeypatch.context() as full:
        refuse(full, tmp_path / "history")
        with pytest.raises(NotKeptError):
            keep(history, incomplete, WaitingPlaces((tmp_path,)))

    take_in(history, WaitingPlaces((tmp_path,)))

    assert not history.record(RECORD.run.id, evidence=False).run.complete
