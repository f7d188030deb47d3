"""Bringing a run into the history, and what becomes of it where the history does not take it.

A run that was done is not lost because a disk is full: it waits outside of the history, and the next run takes it in.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import scanner.history
from scanner.errors import HistoryError, HistoryFullError, NotKeptError
from scanner.jobs.keeping import Trouble, spared
from scanner.jobs.stopping import held
from scanner.jobs.waiting_places import WAITING, WaitingPlaces

if TYPE_CHECKING:
    from scanner.history import History
    from scanner.verdict import RunRecord

NOWHERE: Final = WaitingPlaces()
"""Where no run can wait."""
_STDERR: Final = 2
_PANIC: Final = re.compile(r"\s*^thread '[^']*'[^\n]* panicked at ", re.MULTILINE)
_LOG = logging.getLogger("nightseal.run")


def begin(place: str, places: WaitingPlaces) -> tuple[History, list[str]]:
    """The history that a run is to be kept in, and what there is to tell of it before the scan.

    Runs that waited are taken in. Where there is no room to begin a history, it is begun when there is a run to keep,
    if there is room by then: a full disk keeps no host from being scanned.

    Raises:
        HistoryError: no history can be there, whatever room there is.
    """
    places.remember()
    try:
        history = scanner.history.History.open(place, create=True)
    except HistoryFullError as error:
        from scanner.jobs.unbegun_history import UnbegunHistory  # noqa: PLC0415  # pandas and Delta load with it

        told = f"{error}; what is scanned now may have to wait outside of it"
        return UnbegunHistory(place), [Trouble(told, error)]
    return history, take_in(history, places)


def keep(history: History, record: RunRecord, places: WaitingPlaces = NOWHERE) -> None:
    """Bring a run into the history. Whoever tells the process to end meanwhile waits until it is there.

    Where it can't be, it waits in the first of the folders that takes it, until the next run takes it in (`take_in`).

    Raises:
        NotKeptError: the history cannot be written, after all was scanned; says where the run is now.
    """
    with held():
        try:
            _append(history, record)
        except HistoryError as error:
            where = _left_waiting(record, places)
            then = f"it waits in {where}, and the next run takes it in" if where else "nor anywhere else"
            message = f"run {record.run.id} was done, but its results could not be kept: {error}; {then}"
            raise NotKeptError(message) from error


def take_in(history: History, places: WaitingPlaces) -> list[str]:
    """Bring into the history what could not be kept there when it was scanned; say so in a line for each run."""
    told = list[str]()
    for waiting in places.runs():
        with spared(f"{waiting} could not be taken into the history", told), held():
            record = scanner.history.History.open(waiting, create=False).record(waiting.name)
            if waiting.name not in set(history.runs(columns=["run_id"])["run_id"].astype(str)):
                _append(history, record)
            shutil.rmtree(waiting)
            told.append(f"Run {waiting.name}, which could not be kept when it was done, is in the history now")
    return told


def _left_waiting(record: RunRecord, places: WaitingPlaces) -> Path | None:
    """Put a run into the first folder that takes it, as a small history of its own."""
    for folder in places.folders:
        waiting = folder / WAITING / record.run.id
        try:
            waiting.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _append(scanner.history.History.open(waiting, create=True), record)
        except (HistoryError, OSError):
            _LOG.debug("%s cannot hold the run", waiting, exc_info=True)
            shutil.rmtree(waiting, ignore_errors=True)
        else:
            places.claim(waiting)
            return waiting
    return None


def _append(history: History, record: RunRecord) -> None:
    """Append a run; where Delta's engine falls over a full disk, its message is the error alone."""
    with _without_panics():
        history.append(record)


@contextmanager
def _without_panics() -> Iterator[None]:
    """Keep from stderr what Rust writes when a thread of a library panics. The error that it leads to says it better.

    The text goes straight to the descriptor, so that is where it is caught; what was written before it is passed on.
    """
    caught = os.memfd_create("stderr")
    sys.stderr.flush()
    stderr = os.dup(_STDERR)
    os.dup2(caught, _STDERR)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, _STDERR)
        os.close(stderr)
        with os.fdopen(caught, "rb") as file:
            file.seek(0)
            text = file.read().decode(errors="replace")
        panic = _PANIC.search(text)
        os.write(_STDERR, text[: panic.start() if panic else None].encode())
        if panic:
            _LOG.debug("%s", text[panic.start() :].strip())
