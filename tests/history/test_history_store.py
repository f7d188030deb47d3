from __future__ import annotations

import dataclasses
import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from scanner.errors import HistoryError
from scanner.evidence import Failure, FailureReason
from scanner.history import History
from scanner.history.frames import frame
from scanner.history.rows import Writing, record_of
from scanner.history.schema import (
    EVIDENCE,
    FORGOTTEN,
    RUNS,
    SCHEMA_VERSION,
    TABLES,
    TARGETS,
    TEXT,
    TEXTS,
    VERDICTS,
    VERSION_KEY,
    Column,
    Table,
    describe,
)
from scanner.history.tables import Tables
from scanner.inventory import DomainKey
from scanner.standpoint import NotCovered, Uncovered, Vantage
from scanner.verdict import AbsentDomain, AppliedWaiver, RunRecord, Severity, Status
from tests.build import histories
from tests.build.records import sample_history, sample_record
from tests.build.stored_rows import tables_of

ROOT = Path(__file__).parents[2]
RUN_SETS = [None, ["20260302T020000Z-000000"]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Five nights; no test may change it."""
    history = History.open(tmp_path_factory.mktemp("history"), create=True)
    for record in sample_history():
        history.append(record)
    return history


def renamed(record: RunRecord, run_id: str, **changes: object) -> RunRecord:
    return dataclasses.replace(record, run=dataclasses.replace(record.run, id=run_id, **changes))


@pytest.mark.parametrize("record", sample_history(), ids=lambda record: record.run.id)
def test_a_run_is_read_as_it_was_appended(filled: History, record: RunRecord) -> None:
    assert filled.record(record.run.id) == record


def test_runs_that_were_written_at_once_are_the_history_of_runs_that_were_appended(
    filled: History, tmp_path: Path
) -> None:
    """Many tests ask one written at once (tests/build/histories.py); a service appends run by run."""
    history = histories.recorded(tmp_path / "at-once", sample_history())
    for table in TABLES.values():
        at_once, appended = (sorted(found.arrow(table).to_pylist(), key=repr) for found in (history, filled))
        assert at_once == appended != []
    assert history.order() == filled.order()


def test_no_text_stands_twice_in_a_dictionary_and_so_has_two_codes(filled: History) -> None:
    """The engine puts the dictionaries of batches one behind the other: here always, elsewhere by chance."""
    part = "SELECT arrow_cast(target_id, 'Dictionary(Int32, Utf8)') AS target_id FROM targets"
    answer = filled.query(f"SELECT * FROM ({part} UNION ALL {part}) ORDER BY target_id", TARGETS)  # noqa: S608  # the test's own words
    (dictionary,) = {tuple(chunk.dictionary.to_pylist()) for chunk in answer.column("target_id").chunks}
    assert len(set(dictionary)) == len(dictionary) > 1
    assert sorted(answer.column("target_id").to_pylist()) == sorted([*filled.targets()["target_id"]] * 2)
    assert list(frame(answer, TARGETS)["target_id"].cat.categories) == sorted(dictionary)


def test_a_run_without_targets_is_a_run(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    record = dataclasses.replace(renamed(sample_record(), "empty", complete=False), targets=())
    history.append(record)
    assert history.record("empty") == record


def test_domains_are_remembered_that_were_absent_or_named_no_endpoint(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    record = renamed(sample_record(), "domains")
    gone = Failure(FailureReason.UNRESOLVABLE, "no such name")
    absent = AbsentDomain("test", "tenant.platform.example", 443, DomainKey.DEFAULT, gone)
    first, *others = record.targets
    record = RunRecord(
        dataclasses.replace(record.run, absent_domains=(absent,)),
        (dataclasses.replace(first, implied_by=DomainKey.CUSTOM), *others),
    )
    history.append(record)
    assert history.record("domains") == record
    assert history.targets()["implied_by"].dropna().to_list() == ["custom_domain"]


def test_where_it_was_looked_from_and_what_was_not_covered_is_remembered(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    missing = (
        NotCovered(Uncovered.UNLISTED_NAME, "test", "a.example.com", "shop.test.example.com:443"),
        NotCovered(Uncovered.NO_CONSOLE, "test"),
    )
    place = Vantage("dmz-1", ("192.0.2.9", "2001:db8::9"), ("192.0.2.0/24",), ("192.0.2.53",), "http://proxy:3128")
    record = renamed(sample_record(), "told", vantage=place, not_covered=missing, not_covered_total=7)
    history.append(record)
    assert history.record("told") == record
    assert history.runs()["not_covered_total"].to_list() == [7]


def test_the_evidence_can_be_left_out(filled: History) -> None:
    record = sample_record(1)
    bare = dataclasses.replace(record, targets=tuple(dataclasses.replace(t, evidence=None) for t in record.targets))
    assert filled.record(record.run.id, evidence=False) == bare


HOSTILE = st.text(max_size=40)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(message=HOSTILE, environment=HOSTILE, sources=st.lists(HOSTILE, max_size=3), expires=st.none() | st.dates())
def test_any_text_survives_the_rows(message: str, environment: str, sources: list[str], expires: date | None) -> None:
    record = sample_record()
    verdict = dataclasses.replace(
        record.targets[0].verdicts[0],
        status=Status.FAIL,
        message=message,
        sources=tuple(sources),
        waiver=AppliedWaiver(message, environment, expires) if expires else None,
    )
    target = dataclasses.replace(record.targets[0], environment=environment, verdicts=(verdict, verdict))
    changed = dataclasses.replace(record, targets=(target, *record.targets[1:]))
    rows = {table.name: made for table, made in tables_of(changed, Writing("w", datetime.now(UTC)))}
    evidence = {row["target_id"]: row["evidence"] for row in rows["evidence"].to_pylist()}
    read = record_of(rows["runs"].to_pylist()[0], rows["targets"].to_pylist(), rows["verdicts"], evidence)
    assert read == changed


def test_names_that_mean_something_in_sql_mean_nothing(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    run_id = "x'; DROP TABLE runs --"
    history.append(renamed(sample_record(), run_id))
    assert history.record(run_id).run.id == run_id
    with pytest.raises(HistoryError, match="there is no run"):
        history.record("' OR '1'='1")


def test_the_same_run_is_not_appended_twice(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    history.append(sample_record())
    with pytest.raises(HistoryError, match="already in the history"):
        history.append(sample_record())
    assert len(history.runs()) == 1
    assert len(history.targets()) == len(sample_record().targets)


def test_an_append_reads_none_of_the_runs_before_it_so_that_it_takes_no_longer_after_a_year(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    history.append(renamed(sample_record(), "1"))
    history.append(renamed(sample_record(), "2"))
    files = list((tmp_path / RUNS.name).rglob("*.parquet"))
    kept = {file: file.read_bytes() for file in files}
    for file in files:
        file.unlink()

    history.append(renamed(sample_record(), "3"))

    for file, data in kept.items():
        file.write_bytes(data)
    assert history.order() == ["1", "2", "3"]
    with pytest.raises(HistoryError, match="already in the history"):
        history.append(renamed(sample_record(), "2"))


class Overtaken(Tables):
    """Tables to which another process writes the same run, between our first step and our last."""

    def append(self, table: Table, rows: pa.Table, *, once: str | None = None) -> None:
        if table is TARGETS:
            History(self.location.text).append(sample_record())
        super().append(table, rows, once=once)


def test_a_run_that_another_process_finished_meanwhile_is_refused_at_the_end(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    history.tables = Overtaken(history.location)
    with pytest.raises(HistoryError, match="already in the history"):
        history.append(sample_record())
    assert len(history.runs()) == 1
    assert history.record(sample_record().run.id) == sample_record()


def test_rows_may_be_stored_in_any_order() -> None:
    record = sample_record()
    rows = {table.name: made for table, made in tables_of(record, Writing("w", datetime.now(UTC)))}
    turned = rows["verdicts"].take(list(reversed(range(len(rows["verdicts"])))))
    evidence = {row["target_id"]: row["evidence"] for row in rows["evidence"].to_pylist()}
    assert record_of(rows["runs"].to_pylist()[0], rows["targets"].to_pylist()[::-1], turned, evidence) == record


def test_an_unknown_run_is_named(filled: History) -> None:
    with pytest.raises(HistoryError, match="there is no run nope; `nightseal history runs` lists them"):
        filled.verdicts(["nope"])


def test_latest_and_previous(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    assert history.latest() is None
    for run_id, environments, complete in [
        ("1", ("production", "test"), True),
        ("2", ("test",), True),
        ("3", ("test", "production"), False),
        ("4", ("production", "test"), True),
    ]:
        history.append(renamed(sample_record(), run_id, environments=environments, complete=complete))
    assert history.latest() == "4"
    assert history.latest("test") == "4"
    assert history.latest("elsewhere") is None
    assert history.previous("4") == "1", "the interrupted run and the one of other scope do not count"
    assert history.previous("2") is None
    with pytest.raises(HistoryError, match="no run 9"):
        history.previous("9")


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
@pytest.mark.parametrize("run_ids", RUN_SETS, ids=["all", "one"])
def test_dataframes_have_the_documented_columns_and_types(
    filled: History, table: Table, run_ids: list[str] | None
) -> None:
    frame = getattr(filled, table.name)(run_ids)
    assert tuple(frame.columns) == table.shown
    assert len(frame) > 0
    for name in table.shown:
        column = table.column(name)
        found = frame[name].dtype
        if column.categorical:
            assert isinstance(found, pd.CategoricalDtype), name
            assert found.ordered == column.ordered, name
            if column.vocabulary:
                assert list(found.categories) == [str(value) for value in column.vocabulary], name
        elif column.type == TEXTS:
            assert frame[name].map(type).eq(list).all(), name
        elif column.type == TEXT:
            assert pd.api.types.is_string_dtype(frame[name]), name
        else:
            documented = describe(table).split(f"| `{name}` | ")[1].split(" | ")[1]
            assert str(found) == documented, name


def test_dataframes_of_an_empty_history_have_their_columns_too(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    for table in TABLES.values():
        frame = getattr(history, table.name)()
        assert tuple(frame.columns) == table.shown
        assert frame.empty
    assert history.verdicts([]).empty


def test_sources_are_read_where_they_are_asked_for(filled: History) -> None:
    frame = filled.verdicts(columns=["rule", "sources"])
    assert set(frame.loc[frame["rule"] == "proto.no-tls1.0", "sources"].map(tuple)) == {("RFC 8996 section 5",)}


def test_severities_are_ordered(filled: History) -> None:
    severities = filled.verdicts(columns=["severity"])["severity"]
    assert (severities >= "high").sum() == sum(
        verdict.severity >= Severity.HIGH for record in sample_history() for verdict in record.verdicts
    )


def test_a_certificate_stands_once_per_target_and_run(filled: History) -> None:
    frame = filled.certificates()
    assert not frame.duplicated(["run_id", "target_id", "fingerprint"]).any()
    erp = frame[frame["host"] == "erp.example.internal"]
    assert set(erp["self_signed"]) == {True}
    assert set(erp["trusted"]) == {False}
    assert set(erp["key_bits"]) == {1024}
    assert frame.loc[frame["position"] == "intermediate", "trusted"].isna().all()


def test_the_counts_of_a_run_are_those_of_its_verdicts(filled: History) -> None:
    runs, verdicts = filled.runs().set_index("run_id"), filled.verdicts()
    for status, column in [("pass", "passed"), ("fail", "failed"), ("indeterminate", "indeterminate")]:
        counted = verdicts[verdicts["status"] == status].groupby("run_id", observed=True).size()
        assert counted.to_dict() == runs[column].to_dict()


def test_the_documentation_is_that_of_the_schema() -> None:
    page = (ROOT / "docs" / "history.md").read_text("utf-8")
    assert f"Version {SCHEMA_VERSION} of the schema" in page
    for table in (*TABLES.values(), FORGOTTEN):
        section = page.split(f"### `{table.name}`\n", 1)[1].split("\n### ", 1)[0]
        assert table.about in section
        assert describe(table) in section


def test_every_question_is_documented() -> None:
    from scanner.history import questions  # its names are what is looked at

    page = (ROOT / "docs" / "history.md").read_text("utf-8")
    public = {
        name
        for name, value in vars(questions).items()
        if callable(value) and not name.startswith("_") and value.__module__ == questions.__name__
    }
    assert public == {name for name in public if f"`{name}`" in page}


# What is not a history, or not ours


def test_a_file_is_no_history(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_text("notes")
    for create in (True, False):
        with pytest.raises(HistoryError, match="is a file, but the history is a folder"):
            History.open(file, create=create)
    assert file.read_text() == "notes"


@pytest.mark.parametrize("entry", ["photos/cat.jpg", "runs/marathon.gpx", "verdicts/judge.txt"])
def test_nothing_is_written_into_a_folder_of_other_things(tmp_path: Path, entry: str) -> None:
    (tmp_path / entry).parent.mkdir()
    (tmp_path / entry).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for create in (True, False):
        with pytest.raises(HistoryError, match=r"is not a history .* name an empty or new folder"):
            History.open(tmp_path, create=create)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_history_is_missed_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="there is no history here; `nightseal run` begins one"):
        History.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_an_empty_folder_and_a_mount_point_will_do(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".snapshot").mkdir()
    assert History.open(tmp_path, create=True).runs().empty


def test_people_may_put_a_note_beside_an_existing_history(tmp_path: Path) -> None:
    History.open(tmp_path, create=True).append(sample_record())
    (tmp_path / "README.txt").write_text("do not delete")
    assert History.open(tmp_path, create=True).latest() == sample_record().run.id


def test_a_beginning_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    DeltaTable.create(str(tmp_path / "targets"), TARGETS.arrow, configuration={VERSION_KEY: "1"},
                      partition_by=["run_month"], raise_if_key_not_exists=False)  # fmt: skip
    (tmp_path / "certificates").mkdir()
    with pytest.raises(HistoryError, match="no history here"):
        History.open(tmp_path, create=False)
    history = History.open(tmp_path, create=True)
    history.append(sample_record())
    assert history.record(sample_record().run.id) == sample_record()


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot be created"):
        History.open(tmp_path / "file" / "history", create=True)


def test_a_folder_without_permission_says_so_before_anything_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    History.open(tmp_path, create=True)
    locked = tmp_path / "verdicts" / "_delta_log"
    if os.geteuid() == 0:
        # Root may write anywhere: only what the system would say to others can be put in its mouth.
        monkeypatch.setattr(os, "access", lambda path, _: Path(path) != locked)
    else:
        locked.chmod(0o500)
    with pytest.raises(
        HistoryError, match=r"cannot be written: .*_delta_log.*give the user who runs this write access"
    ):
        History.open(tmp_path, create=True)
    assert History.open(tmp_path, create=False).runs().empty


def test_someone_elses_delta_table_is_refused(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "runs"), pa.table({"km": [42.195]}))
    with pytest.raises(HistoryError, match="the table runs is not Nightseal's"):
        History.open(tmp_path, create=True)


def test_a_url_of_a_folder_is_that_folder(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    history = History.open(f"file://{tmp_path}/with%20space", create=True)
    history.append(sample_record())
    assert History.open(folder, create=False).latest() == sample_record().run.id


def test_an_object_store_is_given_its_credentials_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NIGHTSEAL_NOTIFY_URL", "secret")
    location = History("s3://bucket/history/").location
    assert location.storage_options["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert "NIGHTSEAL_NOTIFY_URL" not in location.storage_options
    assert location.uri("runs") == "s3://bucket/history/runs"


def test_a_table_that_somebody_removed_is_missed(tmp_path: Path) -> None:
    History.open(tmp_path, create=True)
    shutil.rmtree(tmp_path / "verdicts")
    with pytest.raises(HistoryError, match="the table verdicts is missing; restore it from a backup"):
        History.open(tmp_path, create=True)
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(HistoryError, match="there is no history here"):
        History(tmp_path).runs()


def test_a_damaged_table_is_said_to_be_damaged(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    history.append(sample_record())
    (data,) = (tmp_path / "verdicts").rglob("*.parquet")
    data.write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(HistoryError, match="the history cannot be read"):
        history.verdicts()


# Other versions

LATER = {
    "starttls", "grade", "error_detail", "waiver_owner", "engines", "implied_by", "absent_domains", "vantage",
    "not_covered", "not_covered_total", "verdict_counts",
}  # fmt: skip
"""Columns that the hand-made older version does not have yet."""


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A history as an older version would have left it: one run, some columns unknown, an older number."""
    for table, rows in tables_of(sample_record(0), Writing("20250101T000000", datetime(2025, 1, 1, tzinfo=UTC))):
        known = rows.select([name for name in rows.column_names if name not in LATER])
        uri = str(tmp_path / table.name)
        DeltaTable.create(uri, known.schema, partition_by=list(table.partitions) or None,
                          configuration={VERSION_KEY: "0"}, raise_if_key_not_exists=False)  # fmt: skip
        write_deltalake(uri, known, mode="append")
    return tmp_path


def test_an_older_history_is_read_as_it_is(older: Path) -> None:
    before = sorted(older.rglob("*"))
    history = History.open(older, create=False)
    targets = history.targets()
    assert len(targets) == len(sample_record(0).targets)
    assert targets["grade"].isna().all()
    assert history.verdicts()["status"].value_counts()["fail"] == history.runs()["failed"].sum()
    assert sorted(older.rglob("*")) == before, "reading writes nothing"


def test_an_older_history_is_brought_up_to_date_by_the_first_append(older: Path) -> None:
    history = History.open(older, create=True)
    history.append(sample_record(1))
    assert history.record(sample_record(1).run.id) == sample_record(1)
    assert len(history.runs()) == 2
    for table in TABLES.values():
        delta = DeltaTable(str(older / table.name))
        assert delta.metadata().configuration[VERSION_KEY] == str(SCHEMA_VERSION)
        assert {field.name for field in delta.schema().fields} == {column.name for column in table.columns}
    grades = history.targets().groupby("run_id", observed=True)["grade"].count()
    assert grades[sample_record(0).run.id] == 0
    assert grades[sample_record(1).run.id] > 0


def test_a_column_of_a_later_version_holds_its_default_in_older_rows(filled: History) -> None:
    added = (
        Column("shade", TEXT, "a colour", since=SCHEMA_VERSION + 1, default="owner's grey"),
        Column("weight", pa.int64(), "kilograms", since=SCHEMA_VERSION + 1, default=7),
        Column("note", TEXT, "a note", repeated=True, since=SCHEMA_VERSION + 1),
    )
    later = structs.replace(TARGETS, columns=(*TARGETS.columns, *added))
    frame = filled.frame(later, columns=["target_id", "shade", "weight", "note"])
    assert set(frame["shade"]) == {"owner's grey"}
    assert set(frame["weight"]) == {7}
    assert frame["note"].isna().all()


@pytest.mark.parametrize("table", TABLES)
def test_a_newer_history_asks_for_an_upgrade(tmp_path: Path, table: str) -> None:
    History.open(tmp_path, create=True)
    newer = {VERSION_KEY: str(SCHEMA_VERSION + 1)}
    DeltaTable(str(tmp_path / table)).alter.set_table_properties(newer, raise_if_not_exists=False)
    with pytest.raises(HistoryError, match=f"the table {table} was written by a newer version .* upgrade Nightseal"):
        History.open(tmp_path, create=True)


def test_stored_evidence_is_json_that_other_tools_read(filled: History) -> None:
    frame = filled.evidence([sample_record().run.id])
    shop = frame[frame["target_id"] == "production/shop.example.com:443@192.0.2.10"].iloc[0]
    parsed = json.loads(shop["evidence"])
    assert parsed["tls"]["value"]["certificates"]["value"][0]["chain"][0]["subject"] == (
        "CN=shop.example.com,O=Example Ltd"
    )
    unchanged = filled.evidence([sample_record(1).run.id]).set_index("target_id")["facts_digest"]
    assert unchanged[shop["target_id"]] == shop["facts_digest"]


def test_questions_of_ones_own_see_whole_runs_alone(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    history.append(sample_record())
    broken = next(
        rows for table, rows in tables_of(sample_record(1), Writing("z", datetime.now(UTC))) if table is TARGETS
    )
    history.tables.append(TARGETS, broken)
    counted = history.query("SELECT count(*) AS targets FROM targets", TARGETS)
    assert counted.column("targets").to_pylist() == [len(sample_record().targets)]
    joined = history.query(
        "SELECT t.host, count(*) AS n FROM verdicts v JOIN targets t ON v.target_id = t.target_id GROUP BY t.host",
        VERDICTS, TARGETS, run_ids=[sample_record().run.id],
    )  # fmt: skip
    assert sum(joined.column("n").to_pylist()) == len(sample_record().verdicts)
    with pytest.raises(HistoryError, match="cannot be read"):
        history.query("SELECT nonsense FROM runs", RUNS)
    assert history.query("SELECT count(*) AS n FROM evidence", EVIDENCE).column("n").to_pylist() == [
        sum(target.evidence is not None for target in sample_record().targets)
    ]


def test_times_keep_their_microseconds_and_zone(tmp_path: Path) -> None:
    history = History.open(tmp_path, create=True)
    started = datetime(2026, 3, 1, 23, 59, 59, 123456, tzinfo=UTC)
    history.append(renamed(sample_record(), "x", started_at=started, finished_at=started + timedelta(microseconds=1)))
    assert history.record("x").run.started_at == started
    assert history.runs()["finished_at"].iloc[0].to_pydatetime() - started == timedelta(microseconds=1)
