"""The service as it lives: real processes, signals and kills, and the starts that it makes up for."""

from __future__ import annotations

from pathlib import Path

from scanner.history import History
from scanner.lab import Lab
from scanner.state.ledger import State
from tests.build.daemon import (
    ONCE_A_YEAR,
    RECEIVER,
    ended,
    make_overdue,
    messages,
    ready,
    schedule,
    stop,
)
from tests.build.service import kill_tree, service, wait_for


def test_one_service_for_one_state_and_a_dead_ones_lock_is_taken_over(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
        ready(running)
        refused = running.command("daemon")
        assert refused.returncode == 2
        assert f"process {running.started[0].pid}, since 20" in refused.stderr

        running.started[0].kill()
        running.started[0].wait()
        assert (tmp_path / "nightseal.sqlite.sock").exists()
        ready(running)
        assert str(running.started[1].pid) in running.command("daemon").stderr
        stop(running)
        assert not (tmp_path / "nightseal.sqlite.sock").exists()


def test_two_services_that_begin_at_once(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule()) as running:
        racing = [running.start() for _ in range(3)]
        wait_for(lambda: sum(process.poll() is not None for process in racing) == 2, "two that give way")
        assert sorted(str(process.poll()) for process in racing) == ["2", "2", "None"]


def test_a_missed_start_is_made_up_for_once_and_marked_late(tmp_path: Path, small_lab: Lab) -> None:
    keys = {"notify": ["hook"], "environments": ["e"]}
    with service(tmp_path, small_lab, "good", schedule=schedule(**keys), more=RECEIVER) as running:
        ready(running)
        stop(running)
        make_overdue(tmp_path, 36 * 3600)
        ready(running)
        ended(running, State.DONE)
        (start,) = running.starts()
        assert start.late
        assert len(History.open(tmp_path / "history", create=False).runs()) == 1
        assert any("began 1 day 12 hours later" in message for message in messages(tmp_path))
        status = running.command("daemon", "--status").stdout
        assert "done, late" in status
        stop(running)


def test_a_missed_start_may_be_left_out(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", schedule=schedule(missed="skip")) as running:
        ready(running)
        stop(running)
        make_overdue(tmp_path, 36 * 3600)
        ready(running)
        ended(running, State.SKIPPED)
        assert running.starts()[0].reason == "it was missed while the service was down"
        stop(running)


def test_stopped_in_a_run_it_records_what_was_done_and_resumes_the_rest(tmp_path: Path, small_lab: Lab) -> None:
    text = schedule("*/2 * * * * *", interrupted="resume")
    with service(tmp_path, small_lab, "good", "silent", schedule=text, daemon='grace = "20s"') as running:
        # The silent server must still be waited for when the other one is done, however long a busy machine takes.
        patient = (tmp_path / "config.toml").read_text().replace('timeout = "2s"', 'timeout = "40s"')
        patient = patient.replace('deadline = "15s"', 'deadline = "40s"')
        (tmp_path / "config.toml").write_text(patient)
        ready(running)
        spooled = tmp_path / "nightseal.sqlite.spool"
        wait_for(lambda: spooled.exists() and any(path.stat().st_size for path in spooled.iterdir()), "a target done")
        stop(running)
        history = History.open(tmp_path / "history", create=False)
        (first,) = history.runs()["run_id"].astype(str)
        cut = history.record(first)
        assert not cut.run.complete
        assert [target.host for target in cut.targets] == ["good.lab.example"]
        stopped = running.starts()[0]
        assert stopped.state is State.INCOMPLETE

        ready(running)
        ended(running, State.DONE)
        (second,) = [start for start in running.starts() if start.attempt == 2]
        assert second.due == stopped.due
        whole = history.record(str(second.run_id))
        assert whole.run.complete
        assert {target.host for target in whole.targets} == {"good.lab.example", "silent.lab.example"}
        (kept,) = [target.evidence for target in whole.targets if target.host == "good.lab.example"]
        earlier = cut.targets[0].evidence
        assert kept is not None
        assert earlier is not None
        # What the whole run asks for afterwards (revocation, trust in other stores) is added to it, and nothing else.
        assert (kept.started_at, kept.http) == (earlier.started_at, earlier.http), "what was done is not scanned again"
        assert kept.tls.value.protocols == earlier.tls.value.protocols


def test_a_run_past_its_deadline_ends_incomplete_and_is_told_and_none_is_doubled(
    tmp_path: Path, small_lab: Lab
) -> None:
    keys = {"deadline": "1h", "notify": ["hook"]}
    with service(tmp_path, small_lab, "silent", schedule=schedule("*/4 * * * * *", **keys), more=RECEIVER) as running:
        running.real_runs = True  # the next service knows them by their command lines
        # The silent server must still be waited for when the time is over, however long a busy machine takes.
        patient = (tmp_path / "config.toml").read_text().replace('timeout = "2s"', 'timeout = "1h"')
        patient = patient.replace('deadline = "15s"', 'deadline = "1h"')
        (tmp_path / "config.toml").write_text(patient)
        ready(running)
        wait_for(lambda: running.said("scanning"), "a scan")
        ended(running, State.SKIPPED)
        skipped = [start for start in running.starts() if start.state is State.SKIPPED]
        assert skipped[0].reason == "the run before it was still in progress"

        # From now on nothing new is due, and the run in progress is past its time.
        running.started[-1].kill()
        running.started[-1].wait()
        shorter = schedule(ONCE_A_YEAR, **{**keys, "deadline": "1s"})
        written = patient.replace(schedule("*/4 * * * * *", **keys), shorter)
        assert written != patient
        (tmp_path / "config.toml").write_text(written)
        ready(running)
        ended(running, State.INCOMPLETE)
        wait_for(lambda: any("the run is incomplete" in message for message in messages(tmp_path)), "a message")
        (run,) = History.open(tmp_path / "history", create=False).runs().itertuples()
        assert not run.complete
        stop(running)


def test_an_orphaned_run_is_taken_care_of(tmp_path: Path, small_lab: Lab) -> None:
    with service(tmp_path, small_lab, "good", "silent", schedule=schedule("*/2 * * * * *")) as running:
        running.real_runs = True  # the next service knows them by their command lines
        ready(running)
        wait_for(lambda: running.said("scanning"), "a scan")
        running.started[-1].kill()
        running.started[-1].wait()
        ready(running)
        assert running.said("still in progress")
        ended(running, State.DONE)
        orphan = running.starts()[0]
        assert (orphan.attempt, orphan.state) == (1, State.DONE)
        runs = History.open(tmp_path / "history", create=False).runs()["run_id"].astype(str).tolist()
        assert runs.count(str(orphan.run_id)) == 1


def test_a_run_that_is_killed_each_time_is_given_up_and_told(tmp_path: Path, small_lab: Lab) -> None:
    keys = {"attempts": 1, "notify": ["hook"]}
    # Starts that are left out meanwhile are listed too: few enough that the list still holds the first one.
    with service(tmp_path, small_lab, "silent", schedule=schedule("*/15 * * * * *", **keys), more=RECEIVER) as running:
        ready(running)
        wait_for(lambda: running.said("scanning"), "a scan")
        kill_tree(running.starts()[0].pid or 0)
        ended(running, State.INTERRUPTED)
        wait_for(lambda: any("the run failed" in message for message in messages(tmp_path)), "a message")
        assert "interrupted" in running.command("daemon", "--status").stdout
