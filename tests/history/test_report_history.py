"""The chapter on a run's past, out of real histories: what is told is what happened night by night."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from reports.render import render_html
from reports.view import ReportView, build_view
from reports.view.history_model import DiffKind, HistoryView
from scanner.history import History
from scanner.jobs import history_answers
from scanner.jobs.history_answers import answers_of
from scanner.rules import all_rules
from scanner.verdict import RunRecord, Severity, Status, TargetResult
from tests.build import histories
from tests.build.judged import judged_record
from tests.build.pages import Page
from tests.build.records import FIRST_NIGHT

DAY = timedelta(days=1)


def recorded(folder: Path, records: Sequence[RunRecord]) -> History:
    return histories.recorded(folder / "history", records)


def view_of(history: History, run_id: str, only: str | None = None) -> ReportView:
    """The report of a run as `nightseal report` builds it."""
    record = history.record(run_id)
    earlier = history.previous(run_id)
    previous = history.record(earlier) if earlier else None
    if only is not None:
        record, previous = (within(item, only) for item in (record, previous))
    return build_view(record, rules=all_rules(), previous=previous, history=answers_of(history, record, previous))


def within(record: RunRecord | None, environment: str) -> RunRecord:
    assert record is not None
    targets = tuple(target for target in record.targets if target.environment == environment)
    return RunRecord(dataclasses.replace(record.run, environments=(environment,)), targets)


def past(view: ReportView) -> HistoryView:
    assert view.history is not None
    return view.history


def chapter(view: ReportView) -> str:
    """What the chapter says, without its tags."""
    text = render_html(view)
    start = text.index('<section id="history"')
    return re.sub(r"<[^>]*>", " ", text[start : text.index("</section>", start)])


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Appended one by one, as a service does it."""
    history = History.open(tmp_path_factory.mktemp("nights"), create=True)
    for night in range(5):
        history.append(judged_record(night).record)
    return history


@pytest.fixture(scope="module")
def last(nights: History) -> ReportView:
    return view_of(nights, judged_record(4).record.run.id)


@pytest.fixture(scope="module")
def text(last: ReportView) -> str:
    return render_html(last)


@pytest.fixture(scope="module")
def first(nights: History) -> ReportView:
    return view_of(nights, judged_record(0).record.run.id)


class TestOpenFailures:
    def test_since_when_and_how_long(self, last: ReportView) -> None:
        (plain,) = [item for item in past(last).open_since if "https.redirect" in item.anchor]
        assert plain.since == FIRST_NIGHT + 2 * DAY
        assert plain.lasted == 2 * DAY
        assert not plain.at_least

    def test_what_was_there_in_the_first_run_lasted_at_least_so_long(self, last: ReportView) -> None:
        (old,) = [item for item in past(last).open_since if "proto.no-tls1.0" in item.anchor]
        assert (old.since, old.lasted, old.at_least) == (FIRST_NIGHT, 4 * DAY, True)

    def test_a_cause_is_as_old_as_its_oldest_place_and_tells_of_the_youngest(self, last: ReportView) -> None:
        (hsts,) = [item for item in past(last).open_since if item.anchor.startswith("f-https.hsts-m")]
        assert (hsts.since, hsts.latest) == (FIRST_NIGHT, FIRST_NIGHT + 2 * DAY)

    def test_every_finding_is_there_the_longest_first(self, last: ReportView) -> None:
        found = past(last).open_since
        assert {item.anchor for item in found} == {cause.anchor for cause in last.causes}
        assert [item.since for item in found] == sorted(item.since for item in found)

    def test_a_finding_says_it_where_it_stands(self, last: ReportView, text: str) -> None:
        (anchor,) = [cause.anchor for cause in last.causes if cause.rule == "https.redirect"]
        start = text.index(f'id="{anchor}"')
        assert "4 March 2026, for 2 days" in text[start : text.index("</article>", start)]

    def test_deadlines_count_from_then(self, last: ReportView) -> None:
        (action,) = [
            a for a in last.actions if a.anchor and "https.redirect" in a.anchor and a.severity is Severity.HIGH
        ]
        assert action.due == (FIRST_NIGHT + 2 * DAY + timedelta(days=30)).date()


def test_time_to_fix_by_environment_and_severity(last: ReportView) -> None:
    lines = {(item.environment, item.severity): item for item in past(last).fixes}
    tls = lines["test", Severity.HIGH]
    assert (tls.fixed, tls.mean, tls.median, tls.longest) == (1, 2 * DAY, 2 * DAY, 2 * DAY)
    assert ("legacy", Severity.HIGH) not in lines
    assert Severity.INFO not in {severity for _, severity in lines}


def test_changes_by_what_they_come_from(last: ReportView) -> None:
    changes = past(last).changes
    fixed = [item for item in changes if item.kind is DiffKind.FIXED]
    assert [(item.text, item.cause, [ref.label for ref in item.targets]) for item in fixed] == [
        ("The certificate will not expire soon", "server", ["mail.example.com:25"])
    ]
    assert [ref.label for item in changes if item.kind is DiffKind.BACK for ref in item.targets] == [
        "console.example.internal:8443"
    ]
    assert dict(past(last).through) == {"server": sum(len(item.targets) for item in changes)}


@pytest.mark.parametrize(
    ("changes", "change_cause"),
    [
        ({"policy": "ff" * 32}, "policy"),
        ({"config_digest": "dd" * 32}, "configuration"),
        ({"tool_version": "9"}, "tool"),
    ],
)
def test_a_change_that_is_not_the_servers_says_so(tmp_path: Path, changes: dict[str, str], change_cause: str) -> None:
    before = judged_record(0).record
    at = before.run.started_at + DAY
    run = dataclasses.replace(
        before.run, id=f"{at:%Y%m%dT%H%M%SZ}-00000a", started_at=at, finished_at=at + timedelta(1)
    )
    plain = {name: value for name, value in changes.items() if name != "policy"}
    run = dataclasses.replace(run, **plain)
    after = RunRecord(run, tuple(_failing(target, changes.get("policy", "")) for target in before.targets))
    view = view_of(recorded(tmp_path, [before, after]), run.id)
    new = [item for item in past(view).changes if item.kind is DiffKind.NEW_FAILURE]
    assert {item.cause for item in new} == {change_cause}


def _failing(target: TargetResult, policy: str) -> TargetResult:
    """The target with one more failure, judged by another policy where one is given."""
    verdicts = tuple(
        dataclasses.replace(item, status=Status.FAIL, reason="not-offered")
        if item.rule == "proto.tls1.2" and item.status is Status.PASS
        else item
        for item in target.verdicts
    )
    return dataclasses.replace(
        target, verdicts=verdicts, policy=dataclasses.replace(target.policy, digest=policy or target.policy.digest)
    )


def test_times_to_fix_are_read_from_as_many_runs_as_can_be_read(
    nights: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_answers, "_MOST_VERDICTS", 900)
    found = past(view_of(nights, judged_record(4).record.run.id))
    assert found.fixes_from == FIRST_NIGHT + 3 * DAY
    assert {item.fixed for item in found.fixes} == {1}
    assert found.open_since[0].since == FIRST_NIGHT


class TestWhatDiffers:
    def test_a_key_on_several_hosts(self, last: ReportView) -> None:
        (key,) = past(last).keys
        assert key.hosts == ("api.test.example.com", "shop.example.com", "shop.test.example.com")
        assert key.environments == ("production", "test")
        assert key.certificates == 2

    def test_addresses_of_a_name(self, nights: History) -> None:
        (name,) = past(view_of(nights, judged_record(2).record.run.id)).names
        assert (name.environment, name.address, name.addresses) == ("production", "shop.example.com:443", 2)
        assert "the certificate" in name.what
        assert (name.since, name.lasted) == (FIRST_NIGHT, 2 * DAY)

    def test_they_agree_again(self, last: ReportView, text: str) -> None:
        assert past(last).names == ()
        assert "addresses answer differently" not in text

    def test_one_application_in_two_environments(self, last: ReportView) -> None:
        found = {title: item for item in past(last).compared for title in item.rules}
        hsts = found["HSTS is on"]
        assert hsts.application == "Shop"
        assert hsts.outcomes == ((Status.FAIL, ("test",)), (Status.PASS, ("production",)))
        assert all(item.outcomes[0][0] in {Status.FAIL, Status.INDETERMINATE} for item in past(last).compared)


class TestCoverage:
    def test_run_by_run(self, last: ReportView) -> None:
        found = [(point.targets, point.assessed, point.partial, point.unreachable) for point in past(last).coverage]
        assert found == [(8, 7, 0, 1), (8, 7, 0, 1), (9, 8, 0, 1), (9, 7, 0, 2), (9, 7, 1, 1)]

    def test_is_a_sentence_where_all_was_always_assessed(self, tmp_path: Path) -> None:
        records = []
        for night in range(3):
            record = within(judged_record(night).record, "production")
            records.append(record)
        view = view_of(recorded(tmp_path, records), records[-1].run.id)
        text = render_html(view)
        assert "every target was assessed in full in each, 4 targets in the first and 4 targets in this one" in text
        assert "chart-covered" not in text

    def test_last_run_of_a_day_alone(self, tmp_path: Path) -> None:
        records = []
        for hour in range(0, 20, 4):
            at = FIRST_NIGHT + timedelta(hours=hour)
            record = judged_record(0).record
            run = dataclasses.replace(
                record.run, id=f"{at:%Y%m%dT%H%M%SZ}-0000{hour:02}", started_at=at, finished_at=at
            )
            records.append(RunRecord(run, record.targets[:3]))
        view = view_of(recorded(tmp_path, records), records[-1].run.id)
        assert [point.run_id for point in past(view).coverage] == [records[-1].run.id]
        assert past(view).earlier == 4


class TestFirstRun:
    def test_says_that_it_is_the_first_and_nothing_empty(self, first: ReportView) -> None:
        text = chapter(first)
        assert "This is the first complete run of this scope that the history has." in text
        for absent in (
            "What changed",
            "How long failures have",
            "until a failure is fixed",
            "could be assessed",
            "0.0 s",
        ):
            assert absent not in text

    def test_what_is_so_now_is_told_all_the_same(self, first: ReportView) -> None:
        assert past(first).keys
        assert "One private key on several hosts" in chapter(first)


def test_without_a_history_there_is_no_chapter() -> None:
    text = render_html(build_view(judged_record(4).record, rules=all_rules()))
    assert "#history" not in text
    assert 'id="history"' not in text


def test_runs_that_ended_later_change_nothing(nights: History, tmp_path: Path) -> None:
    """A report is the same whenever it is drawn, also where a long run that began before it ended after it."""
    records = [judged_record(night).record for night in range(5)]
    long = dataclasses.replace(
        records[1].run, id=f"{FIRST_NIGHT + 2.5 * DAY:%Y%m%dT%H%M%SZ}-00abcd", started_at=FIRST_NIGHT + 2.5 * DAY,
        finished_at=FIRST_NIGHT + 3.5 * DAY,
    )  # fmt: skip
    later = recorded(tmp_path, [*records, RunRecord(long, records[0].targets)])
    run_id = records[3].run.id
    assert view_of(nights, run_id) == view_of(later, run_id)


def test_one_environment_alone_tells_nothing_of_the_others(nights: History) -> None:
    known = repr(view_of(nights, judged_record(4).record.run.id, only="legacy"))
    assert "erp.example.internal" in known
    for other in ("shop.example.com", "mail.example.com", "api.test", "'production'"):
        assert other not in known


class TestPage:
    def test_is_sound(self, text: str) -> None:
        page = Page(text)
        assert page.open == []
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert {item["href"][1:] for item in page.all("a") if item["href"].startswith("#")} <= set(ids)
        assert "#history" in {item["href"] for item in page.all("a")}

    def test_targets_that_are_gone_are_named_and_not_linked(self, tmp_path: Path) -> None:
        records = [judged_record(4).record, within(judged_record(3).record, "production")]
        at = records[0].run.started_at + DAY
        run = dataclasses.replace(
            records[0].run, id=f"{at:%Y%m%dT%H%M%SZ}-00000b", started_at=at, finished_at=at, expected_targets=4
        )
        view = view_of(recorded(tmp_path, [records[0], RunRecord(run, records[1].targets)]), run.id)
        gone = [item for item in past(view).changes if item.kind is DiffKind.GONE]
        assert "erp.example.internal:443" in [ref.label for item in gone for ref in item.targets]
        page = Page(render_html(view))
        ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
        assert {item["href"][1:] for item in page.all("a") if item["href"].startswith("#")} <= ids

    def test_lists_are_bounded_and_name_the_command_for_the_rest(self, last: ReportView) -> None:
        many = structs.replace(
            past(last),
            open_since=past(last).open_since * 20,
            keys=past(last).keys * 100,
            compared=past(last).compared * 50,
            changes=past(last).changes * 30,
        )
        text = chapter(structs.replace(last, history=many))
        assert len(text) < 40_000
        for command in ("history failing", "history keys", "history environments", "diff 2026"):
            assert f"nightseal {command}" in text

    def test_hostile_words_are_text(self, last: ReportView) -> None:
        hostile = '<script>alert(1)</script>{{ 7 * 7 }}"'
        poisoned = structs.replace(
            past(last),
            keys=tuple(structs.replace(key, hosts=(hostile,) * 3, environments=(hostile,)) for key in past(last).keys),
            compared=tuple(
                structs.replace(item, application=hostile, rules=(hostile,)) for item in past(last).compared
            ),
        )
        page = Page(render_html(structs.replace(last, history=poisoned)))
        assert page.open == []
        assert len(page.all("script")) == 1
        assert hostile in "".join(page.raw)


def test_trend_is_of_ninety_days(tmp_path: Path) -> None:
    records = []
    for night in (0, 50, 120, 139):
        at = datetime(2026, 1, 1, 2, tzinfo=UTC) + night * DAY
        record = judged_record(0).record
        run = dataclasses.replace(record.run, id=f"{at:%Y%m%dT%H%M%SZ}-00{night:04}", started_at=at, finished_at=at)
        records.append(RunRecord(run, record.targets[:3]))
    view = view_of(recorded(tmp_path, records), records[-1].run.id)
    assert list(dict.fromkeys(point.run_id for point in view.trend)) == [item.run.id for item in records[1:]]
