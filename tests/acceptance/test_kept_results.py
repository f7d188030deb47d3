"""What a run comes out as when something goes wrong after it: only results that are lost change its status."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import Engine, select

import reports.render
from scanner import pipeline
from scanner.app.cli import run
from scanner.config import loading as configuration
from scanner.errors import HistoryError
from scanner.history import History, questions
from scanner.jobs import exit_status, session
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.output import Written
from scanner.jobs.site import REPORT_NAME
from scanner.jobs.waiting_places import WAITING
from scanner.notify import routing
from scanner.notify.service_problems import notify_failed_runs
from scanner.service import loop, retention
from scanner.service.attempt import RunAttempt, StopRequests
from scanner.service.loop import Service
from scanner.service.report_process import ReportProcess
from scanner.service.report_worker import draw
from scanner.service.setup import load
from scanner.service.systemd import Supervisor
from scanner.state.database import OUTBOX, open_state
from scanner.state.ledger import Ledger, Start, State
from scanner.verdict import RunRecord, Severity, Trigger
from tests.build.disks import fill, read_only, small_disk
from tests.build.judged import judged_record

NOW = datetime(2026, 3, 7, 2, tzinfo=UTC)
CONFIG = """
[[environment]]
name = "legacy"
kind = "on-premises"
[[environment.endpoint]]
host = "erp.example.internal"
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
reports = ["html", "json"]
notify = ["a"]
confirm_after = "1s"
[[notify]]
name = "a"
url = "json://127.0.0.1/"
on = ["new-failure", "run-failed"]
"""
RECORD = judged_record(0).record


def _no_room_but_waiting(append: Callable[[History, RunRecord], None]) -> Callable[[History, RunRecord], None]:
    def full(history: History, record: RunRecord) -> None:
        if WAITING not in str(history.location):
            _no_room()
        append(history, record)

    return full


def break_down(*_: object, **__: object) -> NoReturn:
    raise ValueError("cannot reindex")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose every scan gives the same run."""
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "run_with_progress", lambda *_, **__: RECORD)
    monkeypatch.setattr(pipeline, "run", lambda *_: RECORD)
    return tmp_path


def written(folder: Path) -> set[str]:
    """The suffixes of the reports in the output folder."""
    return {match["suffix"] for path in (folder / "out").iterdir() if (match := REPORT_NAME.fullmatch(path.name))}


JUDGED = exit_status.of(RECORD, Severity.MEDIUM)
assert JUDGED is ExitStatus.FAILED, "so that no status of a mistake is taken for it"


class TestRun:
    def test_page_of_all_runs(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(questions, "trend", break_down)
        assert run(["run", "-q", "-f", "json", "-o", "out/"]) == JUDGED
        assert written(folder) == {"json"}
        told = capsys.readouterr().err
        assert "nightseal: warning: The page of all runs was not written: ValueError: cannot reindex\n" in told

    def test_one_format_keeps_no_other_from_being_written(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(reports.render, "render_pdf", break_down)
        assert run(["run", "-f", "pdf", "-f", "json"]) == JUDGED
        assert written(folder) == {"json"}
        told = capsys.readouterr()
        assert "warning: The pdf report was not written: ValueError" in told.err
        assert ".json" in told.out

    def test_the_run_before_cannot_be_read(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(History, "previous", break_down)
        assert run(["run", "-q"]) == JUDGED
        assert "warning: No report was written: ValueError" in capsys.readouterr().err
        assert len(History.open(folder / "history", create=False).runs()) == 1

    @pytest.mark.usefixtures("folder")
    def test_results_that_are_not_kept_are_the_tools_own_failure(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(History, "append", _no_room)
        assert run(["run", "-q"]) == ExitStatus.INTERNAL
        told = capsys.readouterr().err
        assert f"run {RECORD.run.id} was done, but its results could not be kept: no room" in told


class TestOutputMode:
    """Reports are for a web server, though the service's umask keeps all it writes to itself."""

    @pytest.fixture
    def closed(self, folder: Path) -> Iterator[Path]:
        (folder / "config.toml").write_text(f'{CONFIG}\n[nightseal]\noutput_mode = "0640"\n')
        (folder / "out").mkdir()
        (folder / "out" / "notes.html").write_text("somebody's own")
        (folder / "out" / "notes.html").chmod(0o600)
        before = os.umask(0o077)
        yield folder
        os.umask(before)

    def modes(self, folder: Path) -> dict[str, int]:
        files = (folder / "out").glob("*.*")
        return {path.name.removeprefix(RECORD.run.id): path.stat().st_mode & 0o777 for path in files if path.is_file()}

    def test_of_a_run(self, closed: Path) -> None:
        assert run(["run", "-q", "-f", "json,html"]) == JUDGED
        assert self.modes(closed) == {".json": 0o640, ".html": 0o640, "index.html": 0o640, "notes.html": 0o600}
        assert not [path for path in (closed / "history").rglob("*") if path.stat().st_mode & 0o077]

    def test_of_a_run_that_the_history_does_not_take(self, closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(History, "append", _no_room_but_waiting(History.append))
        assert run(["run", "-q", "-f", "json"]) == ExitStatus.INTERNAL
        assert self.modes(closed) == {".json": 0o640, "notes.html": 0o600}
        waiting = closed / "out" / WAITING
        assert not [path for path in (waiting, *waiting.rglob("*")) if path.stat().st_mode & 0o077]


FULL = f'{CONFIG}\n[nightseal]\nhistory = "disk/history"\n'


class TestFullDiskWithoutHistory:
    """A history that does not exist yet, on a disk that is full, keeps no host from being scanned."""

    def test_run(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "config.toml").write_text(FULL)
        with small_disk(folder / "disk") as disk:
            fill(disk / "filler")
            assert run(["config", "check"]) == ExitStatus.OK
            assert "warning: nightseal.history: " in (warned := capsys.readouterr().err)
            assert "/disk is on a disk that is full: No space left on device (make room" in warned

            assert run(["run", "-q", "-f", "json"]) == ExitStatus.INTERNAL
            told = capsys.readouterr().err
            waiting = folder / "out" / WAITING / RECORD.run.id
            assert "disk is full: make room on it" in told
            assert f"run {RECORD.run.id} was done, but its results could not be kept: " in told
            assert f"it waits in {folder / 'out' / WAITING / RECORD.run.id}, and the next run takes it in" in told
            assert written(folder) == {"json"}
            assert History.open(waiting, create=False).record(RECORD.run.id).targets == RECORD.targets

            (disk / "filler").unlink()
            monkeypatch.setattr(session, "run_with_progress", lambda *_, **__: moved(RECORD))
            assert run(["run", "-q", "-f", "json"]) == JUDGED
            history = History.open(disk / "history", create=False)
            assert history.order() == [RECORD.run.id, moved(RECORD).run.id]
            assert history.record(RECORD.run.id) == RECORD
            assert not waiting.exists()

    def test_a_history_half_begun(self, folder: Path) -> None:
        (folder / "config.toml").write_text(FULL)
        with small_disk(folder / "disk") as disk:
            History.open(disk / "history", create=True)
            shutil.rmtree(disk / "history" / "runs")
            fill(disk / "filler")
            assert run(["run", "-q", "-f", "json"]) == ExitStatus.INTERNAL
            assert written(folder) == {"json"}

    def test_room_that_is_made_during_the_scan_is_used(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "config.toml").write_text(FULL)
        with small_disk(folder / "disk") as disk:
            fill(disk / "filler")

            def scan(*_: object, **__: object) -> RunRecord:
                (disk / "filler").unlink()
                return RECORD

            monkeypatch.setattr(session, "run_with_progress", scan)
            assert run(["run", "-q", "-f", "json"]) == JUDGED
            assert History.open(disk / "history", create=False).record(RECORD.run.id) == RECORD

    def test_reports_on_a_full_disk_keep_no_run_out_of_the_history(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "config.toml").write_text(f'{CONFIG}\n[nightseal]\noutput = "disk/out"\n')
        with small_disk(folder / "disk") as disk:
            fill(disk / "filler")
            assert run(["run", "-q", "-f", "json"]) == JUDGED
            assert "warning: The json report was not written: " in capsys.readouterr().err
            assert History.open(folder / "history", create=False).order() == [RECORD.run.id]

    def test_a_disk_that_became_read_only_is_an_outage_too(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "config.toml").write_text(FULL)
        with small_disk(folder / "disk") as disk:
            assert run(["run", "-q", "-f", "json"]) == JUDGED
            scanned = iter([moved(RECORD), moved(RECORD, 2)])
            monkeypatch.setattr(session, "run_with_progress", lambda *_, **__: next(scanned))
            capsys.readouterr()
            with read_only(disk):
                assert run(["config", "check"]) == ExitStatus.OK
                assert (
                    "/disk/history cannot be written to: Read-only file system (check the disk"
                    in capsys.readouterr().err
                )
                assert run(["run", "-q", "-f", "json"]) == ExitStatus.INTERNAL
                assert f"it waits in {folder / 'out' / WAITING / moved(RECORD).run.id}, and" in capsys.readouterr().err
            assert run(["run", "-q", "-f", "json"]) == JUDGED
            history = History.open(disk / "history", create=False)
            assert history.order() == [RECORD.run.id, moved(RECORD).run.id, moved(RECORD, 2).run.id]

    def test_reports_on_a_disk_that_became_read_only(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "config.toml").write_text(f'{CONFIG}\n[nightseal]\noutput = "disk/out"\n')
        with small_disk(folder / "disk") as disk:
            (disk / "out").mkdir()
            with read_only(disk):
                assert run(["run", "-q", "-f", "json"]) == JUDGED
                assert "warning: The json report was not written: " in capsys.readouterr().err
                assert run(["run", "-q", "-f", "json", "-o", "disk/out/"]) == ExitStatus.USAGE, "it was asked for"
            assert History.open(folder / "history", create=False).order() == [RECORD.run.id]

    def test_scan_that_is_recorded(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "config.toml").write_text(FULL)
        with small_disk(folder / "disk") as disk:
            fill(disk / "filler")
            assert run(["scan", "a.example", "--record", "-q", "-f", "json"]) == ExitStatus.INTERNAL
            told = capsys.readouterr()
            assert RECORD.run.id in told.out
            assert "could not be kept" in told.err
            assert (folder / "out" / WAITING / RECORD.run.id).is_dir()


def _no_room(*_: object) -> NoReturn:
    raise HistoryError("no room")


@pytest.mark.usefixtures("folder")
class TestScan:
    def test_one_format_of_two(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(reports.render, "render_html", break_down)
        assert run(["scan", "a.example", "-f", "html", "-f", "json", "-o", "out/"]) == JUDGED
        assert "warning: The html report was not written" in capsys.readouterr().err

    def test_without_any_there_is_no_result(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(reports.render, "render_html", break_down)
        assert run(["scan", "a.example", "-f", "html"]) == ExitStatus.INTERNAL
        assert "could not be written anywhere" in capsys.readouterr().err
        assert run(["scan", "a.example", "-f", "html", "--record"]) == JUDGED, "the history has it"

    def test_what_the_history_does_not_take_is_printed(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(History, "append", _no_room)
        assert run(["scan", "a.example", "--record"]) == ExitStatus.INTERNAL
        assert "erp.example.internal" in capsys.readouterr().out


class TestReport:
    def test_page_of_all_runs(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        History.open(folder / "history", create=True).append(RECORD)
        monkeypatch.setattr(reports.render, "render_site", break_down)
        assert run(["report", "-f", "json"]) == ExitStatus.OK
        assert written(folder) == {"json"}
        assert "warning: The page of all runs was not written" in capsys.readouterr().err

    def test_a_report_that_was_asked_for_is_missed(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        History.open(folder / "history", create=True).append(RECORD)
        monkeypatch.setattr(reports.render, "render_pdf", break_down)
        assert run(["report", "-f", "pdf", "-f", "json", "-o", "out/"]) == ExitStatus.INTERNAL
        assert written(folder) == {"json"}


# --- The service ------------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    state = open_state(folder / "nightseal.sqlite")
    yield state
    state.dispose()


@pytest.fixture
def attempt(folder: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Start]]:
    """Make the attempt at a start whose scan gives this run, and return what the ledger has of it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ledger = Ledger(engine)

    def make(record: RunRecord = RECORD, *, status: ExitStatus = JUDGED) -> Start:
        config = configuration.load(folder / "config.toml")
        due = record.run.started_at
        # The process that draws reads it from there.
        ledger.keep_configuration(config.digest, config.text, due)
        ledger.add_due("nightly", due)
        (start,) = ledger.waiting(due)
        ledger.claim(start, record.run.id, config.digest, due)
        claimed = ledger.get(start.id)
        monkeypatch.setattr(pipeline, "run", lambda *_: record)
        made = RunAttempt(engine, folder / "nightseal.sqlite", claimed, config, StopRequests())
        assert made.run(recover=False) == status
        return ledger.get(start.id)

    yield make
    for number, handler in handlers.items():
        signal.signal(number, handler)


def break_template(folder: Path, name: str) -> None:
    """Have the process that draws break down at it."""
    (folder / "own").mkdir()
    (folder / "own" / name).write_text("{{ 1 // 0 }}")
    config = folder / "config.toml"
    config.write_text(f'{config.read_text()}\n[report]\ntemplates = "own"\n')


def letters(engine: Engine) -> list[str]:
    with engine.begin() as connection:
        return [f"{row.title}\n{row.text}" for row in connection.execute(select(OUTBOX)).all()]


class TestService:
    def test_all_is_well(self, engine: Engine, attempt: Callable[..., Start]) -> None:
        done = attempt()
        assert (done.state, done.exit_status, done.reason) == (State.DONE, JUDGED, "")
        assert len(letters(engine)) == 1

    def test_no_room_for_the_history(
        self, folder: Path, engine: Engine, attempt: Callable[..., Start], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Reports are written where they can be, and the next run takes in what waits."""
        with monkeypatch.context() as full:
            full.setattr(History, "append", _no_room_but_waiting(History.append))
            done = attempt(status=ExitStatus.INTERNAL)
        assert (done.state, done.exit_status) == (State.FAILED, ExitStatus.INTERNAL)
        assert "could not be kept: no room; it waits in " in done.reason
        assert done.run_id == RECORD.run.id
        assert written(folder) == {"html", "json"}
        assert (folder / "out" / WAITING / RECORD.run.id).is_dir()
        assert letters(engine) == [], "what changed is told after the next run"
        config = configuration.load(folder / "config.toml")
        notify_failed_runs(engine, config, datetime.now(UTC))
        (told,) = letters(engine)
        assert f"was scanned, but has failed: run {RECORD.run.id} was done, but" in told

        attempt(moved(RECORD))
        history = History.open(folder / "history", create=False)
        assert history.order() == [RECORD.run.id, moved(RECORD).run.id]

    def test_what_the_history_did_not_take_is_told_before_it_is_drawn(
        self, folder: Path, engine: Engine, attempt: Callable[..., Start], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        break_template(folder, "report.html")
        states = list[State]()

        def seen(*order: Any) -> Written:
            states.extend(start.state for start in Ledger(engine).recent(1))
            return draw(*order)

        monkeypatch.setattr(History, "append", _no_room_but_waiting(History.append))
        monkeypatch.setattr("scanner.service.attempt.draw", seen)
        assert attempt(status=ExitStatus.INTERNAL).state is State.FAILED
        assert states == [State.FAILED], "the service can tell of it"
        assert written(folder) == {"json"}
        (missing,) = letters(engine)
        assert "reports are missing" in missing
        assert "The html report was not written: " in missing

    def test_no_process_that_draws(
        self, folder: Path, engine: Engine, attempt: Callable[..., Start], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: object, **__: object) -> NoReturn:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        monkeypatch.setattr("scanner.service.report_process.subprocess.Popen", refused)
        done = attempt()
        assert (done.state, done.exit_status) == (State.DONE, JUDGED)
        assert "No report was written: the process that draws them cannot be started: Resource temp" in done.reason
        assert written(folder) == set()
        (told,) = letters(engine)
        assert "cannot be started" in told
        with engine.begin() as connection:
            row = connection.execute(select(OUTBOX)).one()
        assert (row.files, row.held_until) == ([], None), "it waits for nothing"

    def test_the_process_that_draws_cannot_read_the_run(self, folder: Path, attempt: Callable[..., Start]) -> None:
        start = attempt()
        shutil.rmtree(folder / "history")
        process = ReportProcess(folder / "nightseal.sqlite", folder / "config.toml", start, ("json",))
        with process:
            drawn = process.written()
        assert drawn.files == ()
        assert len(drawn.troubles) == 1
        assert drawn.troubles[0].startswith("No report was written: ")

    def test_page_of_all_runs(self, folder: Path, engine: Engine, attempt: Callable[..., Start]) -> None:
        break_template(folder, "site.html")
        done = attempt()
        assert (done.state, done.exit_status) == (State.DONE, JUDGED)
        assert "The page of all runs was not written: " in done.reason
        assert written(folder) == {"html", "json"}
        told, missing = letters(engine)
        assert "The page of all runs was not written" not in told
        assert "The page of all runs was not written" in missing

    def test_a_format(self, folder: Path, attempt: Callable[..., Start]) -> None:
        break_template(folder, "report.html")
        done = attempt()
        assert (done.state, done.exit_status) == (State.DONE, JUDGED)
        assert "The html report was not written: " in done.reason
        assert written(folder) == {"json"}

    def test_messages(self, engine: Engine, attempt: Callable[..., Start], monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(routing, "compose", break_down)
            done = attempt()
        assert (done.state, done.exit_status) == (State.DONE, JUDGED)
        assert "No receiver was notified of it: ValueError" in done.reason
        assert letters(engine) == []

        attempt(moved(RECORD))
        assert "new failures" in letters(engine)[0], "what was not told is told after the next run"

    def test_second_look(self, engine: Engine, attempt: Callable[..., Start], monkeypatch: pytest.MonkeyPatch) -> None:
        attempt(judged_record(1).record)
        monkeypatch.setattr("scanner.service.attempt._gentler", break_down)
        done = attempt(judged_record(2).record)
        assert (done.state, done.exit_status) == (State.DONE, JUDGED)
        assert "Endpoints that got worse were not scanned again: ValueError" in done.reason
        assert "new failure" in letters(engine)[-1], "it is told as it was seen"

    def test_tidying(
        self,
        folder: Path,
        attempt: Callable[..., Start],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for name in ("maintain", "rotate_reports"):
            monkeypatch.setattr(retention, name, break_down)
        monkeypatch.setattr(Ledger, "forget", break_down)
        (folder / "nightseal.sqlite.spool").write_text("no folder")
        done = attempt()
        assert (done.state, done.exit_status, done.reason) == (State.DONE, JUDGED, "")
        for words in ("old reports not removed", "history not tidied", "the state file not tidied"):
            assert f"{words}: ValueError: cannot reindex" in caplog.text
        assert "cannot be removed" in caplog.text

    def test_news_of_a_failed_start_keep_no_start_from_beginning(
        self, folder: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(loop, "notify_failed_runs", break_down)
        serving = Service(folder / "config.toml", load(folder / "config.toml"), engine, Supervisor())
        for _ in range(3):
            serving._guarded_tick()
        assert caplog.text.count("receivers could not be notified") == 1, "once, and not every second"


def moved(record: RunRecord, weeks: int = 1) -> RunRecord:
    """The same run some weeks later."""
    at = record.run.started_at + timedelta(weeks=weeks)
    run = dataclasses.replace(
        record.run,
        id=f"{at:%Y%m%dT%H%M%SZ}-0b0b0b",
        started_at=at,
        finished_at=at + timedelta(minutes=1),
        trigger=Trigger.SCHEDULE,
    )
    return dataclasses.replace(record, run=run)


# --- Streams ----------------------------------------------------------------------------------------------------------

PRINT = """
import sys
from scanner.jobs import session
from scanner.app.cli import run
from tests.build.judged import judged_record
session.run_with_progress = lambda *_, **__: judged_record(0).record
sys.exit(run(["scan", "a.example", "-f", "json"]))
"""


def test_a_full_disk_behind_stdout_is_status_4() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", PRINT], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == ExitStatus.INTERNAL, done
    assert "stdout cannot be written to: No space left on device" in done.stderr


def test_a_reader_that_goes_away_changes_no_status() -> None:
    with subprocess.Popen([sys.executable, "-c", PRINT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate()
    assert process.returncode == JUDGED, err
    assert [line for line in err.splitlines() if not line.startswith(b"Hint: ")] == []
