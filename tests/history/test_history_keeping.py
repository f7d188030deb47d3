"""What is taken out of a history and what is not: a wrong clock, runs that are forgotten, and how large it all is."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.config.loading import parse
from scanner.errors import ClockError, HistoryError
from scanner.history import History, questions
from scanner.history.forgetting import forget, forgotten
from scanner.history.maintenance import refuse_wrong_clock
from scanner.history.schema import EVIDENCE, TABLES
from scanner.history.size import size
from scanner.jobs.site import write_site
from scanner.service.retention import tidy
from scanner.state.database import open_state
from scanner.verdict import RunRecord
from tests.build import histories
from tests.build.records import FIRST_NIGHT, sample_record

DAY = timedelta(days=1)
NIGHT = sample_record(0)


def at(moment: datetime) -> RunRecord:
    """The sample's first night at another time."""
    run = dataclasses.replace(
        NIGHT.run, id=f"{moment:%Y%m%dT%H%M%SZ}-00000a", started_at=moment, finished_at=moment + timedelta(minutes=2)
    )
    return dataclasses.replace(NIGHT, run=run)


def recorded(folder: Path, *moments: datetime) -> History:
    return histories.recorded(folder / "history", map(at, moments))


def days(*numbers: float) -> list[datetime]:
    return [FIRST_NIGHT + number * DAY for number in numbers]


@pytest.mark.parametrize(
    ("runs", "now", "refused"),
    [
        ((0, 1, 2), 2, False),
        ((0, 1, 2), 30, False),
        # One run under a clock that is two years ahead, and its own tidying.
        ((0, 1, 2, 732), 732, True),
        ((0, 732), 732, True),
        ((0, 1, 732, 733, 734), 734, True),
        # The clock is right again: what claims to be later counts for nothing.
        ((0, 1, 2, 732, 3), 3, False),
        # The service was off for a year, and has run for a week since.
        ((0, 1, 2, *range(400, 409)), 408, False),
        # Runs are as far apart as they always are.
        ((0, 91, 182, 273), 273, False),
        # The clock is back in 1970.
        ((0, 1, 2), -20000, False),
        ((0,), 0, False),
        ((), 0, False),
    ],
)
def test_a_time_that_is_far_from_the_runs_before_is_not_believed(
    tmp_path: Path, runs: tuple[int, ...], now: int, *, refused: bool
) -> None:
    history = recorded(tmp_path, *days(*runs))
    if refused:
        with pytest.raises(ClockError, match=r"nothing is cleaned up: the time is .* history forget"):
            refuse_wrong_clock(history, FIRST_NIGHT + now * DAY)
    else:
        refuse_wrong_clock(history, FIRST_NIGHT + now * DAY)


def test_one_night_under_a_wrong_clock_takes_nothing_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    history = recorded(tmp_path, *days(0, 1, 731))
    out = tmp_path / "out"
    out.mkdir()
    reports = [out / f"{run_id}.json" for run_id in history.order()]
    for report in reports:
        report.write_text("{}")
    engine = open_state(tmp_path / "state.sqlite")
    config = parse("[nightseal]\n", source="config.toml", folder=tmp_path)
    tidy(config, engine, FIRST_NIGHT + 731 * DAY)
    engine.dispose()

    assert all(report.exists() for report in reports)
    assert len(history.evidence()) == len(history.order()) * sum(t.evidence is not None for t in NIGHT.targets)
    assert "nothing is cleaned up" in caplog.text


def test_what_is_old_by_a_clock_that_is_right_goes(tmp_path: Path) -> None:
    history = recorded(tmp_path, *days(0, *range(400, 409)))
    out = tmp_path / "out"
    out.mkdir()
    reports = [out / f"{run_id}.json" for run_id in history.order()]
    for report in reports:
        report.write_text("{}")
    engine = open_state(tmp_path / "state.sqlite")
    tidy(parse("[nightseal]\n", source="config.toml", folder=tmp_path), engine, FIRST_NIGHT + 408 * DAY)
    engine.dispose()

    assert [report.exists() for report in reports] == [False, *[True] * 9]
    assert set(history.evidence()["run_id"]) == set(history.order()[1:])


# --- Forgetting -------------------------------------------------------------------------------------------------------


def test_a_run_that_is_forgotten_is_in_no_answer_and_in_the_audit(tmp_path: Path) -> None:
    history = recorded(tmp_path, *days(0, 730, 1))
    wrong = at(FIRST_NIGHT + 730 * DAY).run.id
    before = {table.name: len(history.frame(table)) for table in TABLES.values()}
    now = datetime(2026, 4, 1, tzinfo=UTC)
    gone = forget(history, wrong, who="ann@host", why="the clock was ahead", now=now)
    after = {table.name: len(history.frame(table)) for table in TABLES.values()}

    assert wrong not in history.order()
    assert gone == sum(before.values()) - sum(after.values())
    assert all(after[name] == before[name] * 2 // 3 for name in before), "of three runs alike, two are left whole"
    assert questions.failing_since(history)["since"].max() == FIRST_NIGHT
    (entry,) = forgotten(history).to_dict("records")
    assert (entry["run_id"], entry["who"], entry["why"], entry["forgotten_at"]) == (
        wrong, "ann@host", "the clock was ahead", now,
    )  # fmt: skip
    assert entry["targets"] == len(NIGHT.targets)
    with pytest.raises(HistoryError, match="there is no run"):
        forget(history, wrong, who="ann@host", why="again", now=now)
    assert len(forgotten(history)) == 1
    history.append(sample_record(2))
    assert history.latest() == sample_record(2).run.id


def test_a_history_of_which_nothing_was_forgotten_has_an_empty_audit(tmp_path: Path) -> None:
    history = recorded(tmp_path, FIRST_NIGHT)
    assert forgotten(history).empty
    assert not (tmp_path / "history" / "forgotten").exists(), "looking writes nothing"


def test_how_large_it_is(tmp_path: Path) -> None:
    history = recorded(tmp_path, *days(0, 1))
    found = size(history).set_index("table")
    for table in TABLES.values():
        files = list((tmp_path / "history" / table.name).rglob("*.parquet"))
        assert found.loc[table.name, "files"] == len(files)
        assert found.loc[table.name, "bytes"] == sum(file.stat().st_size for file in files)
        assert found.loc[table.name, "rows"] == len(history.frame(table))
        assert found.loc[table.name, "on_disk"] > found.loc[table.name, "bytes"]
    forget(history, history.order()[0], who="ann", why="why", now=FIRST_NIGHT)
    smaller = size(history).set_index("table")
    assert smaller.loc[EVIDENCE.name, "rows"] == found.loc[EVIDENCE.name, "rows"] // 2


# --- The commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    recorded(tmp_path, *days(0, 1))
    (tmp_path / "config.toml").write_text('[nightseal]\nhistory = "history"\n')
    return tmp_path / "config.toml"


def test_forget_asks_unless_it_is_told_not_to(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = at(FIRST_NIGHT + DAY).run.id
    arguments = ["history", "forget", run_id, "--config", str(configured)]
    assert run(arguments) == 2, "there is no terminal to confirm on"
    assert "add --yes to remove it" in capsys.readouterr().err
    assert History.open(configured.parent / "history", create=False).latest() == run_id

    assert run([*arguments, "--why", "a wrong clock", "--yes"]) == 0
    assert f"Forgotten: Run {run_id} of 2026-03-03 02:00 UTC" in capsys.readouterr().out
    assert run(["history", "forgotten", "--config", str(configured), "--format", "json"]) == 0
    audit = capsys.readouterr().out
    assert run_id in audit
    assert "a wrong clock" in audit
    assert run([*arguments, "--yes"]) == 2
    told = capsys.readouterr().err
    assert "was forgotten already" in told
    assert "did you mean" not in told, "another run is not offered to whoever removes one"


def test_size_tells_each_table(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "size", "--config", str(configured)]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in TABLES)


def test_what_is_retired_is_marked_and_fails_no_more(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str) -> str:
        assert run([*arguments, "--config", str(configured), "--format", "json"]) == 0
        return capsys.readouterr().out

    everything = json.loads(told("history", "failing"))
    configured.write_text(
        '[nightseal]\nhistory = "history"\n[[environment]]\nname = "legacy"\nkind = "on-premises"\n'
        '[[environment.endpoint]]\nhost = "erp.example.internal"\n'
    )
    now = json.loads(told("history", "failing"))
    marked = json.loads(told("history", "failing", "--retired"))

    assert {line["endpoint"] for line in now} == {"legacy/erp.example.internal:443"}
    assert len(marked) == len(everything) > len(now)
    assert {line["endpoint"] for line in marked if not line["retired"]} == {"legacy/erp.example.internal:443"}
    assert {line["target_id"] for line in json.loads(told("history", "targets")) if not line["retired"]} == {
        "legacy/erp.example.internal:443@203.0.113.5"
    }
    assert "erp.example.internal" in told("history", "certificates")
    assert "shop.example.com" not in told("history", "certificates")


def test_whoever_asks_for_what_is_retired_is_told_where_its_past_is(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured.write_text(
        '[nightseal]\nhistory = "history"\n[[environment]]\nname = "legacy"\nkind = "on-premises"\n'
        '[[environment.endpoint]]\nhost = "erp.example.internal"\n'
    )

    def told(*arguments: str) -> str:
        assert run(["history", *arguments, "--config", str(configured)]) == 0
        return capsys.readouterr().err

    for question in ("failing", "keys", "issuers", "addresses"):
        err = told(question, "-e", "production")
        assert err.startswith('Environment "production" is retired: the configuration no longer has it. '), question
        assert "Nothing yet" not in err
        for command in re.findall(r"`nightseal history ([^`]+)`", err):
            assert run(["history", *command.split(), "--config", str(configured)]) == 0
            assert capsys.readouterr().out, "it shows something"
    assert "what the configuration no longer has; --retired shows them" in told("failing")
    assert "retired" not in told("failing", "-e", "legacy")
    assert "retired" not in told("failing", "--retired", "-e", "production")


def test_the_page_of_all_runs_shows_no_retired_environment_as_present(configured: Path) -> None:
    text = '[nightseal]\nhistory = "history"\n[[environment]]\nname = "{}"\nkind = "on-premises"\n'
    text += '[[environment.endpoint]]\nhost = "erp.example.internal"\n'
    pages = {}
    for name in ("legacy", "another"):
        config = parse(text.format(name), source="config.toml", folder=configured.parent)
        page = write_site(config, History.open(configured.parent / "history", create=False), configured.parent / name)
        pages[name] = page.read_text("utf-8")
    present = pages["legacy"][pages["legacy"].index('id="now-title"') :].partition("</section>")[0]

    assert "legacy" in present
    assert "production" not in present
    assert 'id="now-title"' not in pages["another"], "nothing of it is there any more"
    assert pages["another"].count(">Retired<") == 2, "its runs are kept, and marked"
    assert ">Retired<" not in pages["legacy"]
