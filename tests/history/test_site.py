"""The site of all runs: none is missing, every link leads somewhere, and it can be read by everybody."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest

from reports import render
from reports.templating import web_fonts
from reports.view.site import INDEX, ON_INDEX, SiteView, runs_to_count
from reports.view.standing import Standing
from scanner.config import loading as configuration
from scanner.config.loading import Config
from scanner.history import History, questions
from scanner.jobs.history_answers import answers_of
from scanner.jobs.site import ForeignPageError, report_files, update_site, write_site
from scanner.service.retention import tidy
from scanner.state.database import open_state
from scanner.state.ledger import Ledger
from scanner.verdict import RunRecord
from tests.build import histories
from tests.build.judged import judged_record, judged_view
from tests.build.pages import Page
from tests.build.records import FIRST_NIGHT, sample_history

CONFIG = """
[report]
organisation = "Ex & <b>Co</b>"
classification = "Internal"
locale = "{language}"
[[environment]]
name = "legacy"
kind = "on-premises"
[[environment.endpoint]]
host = "erp.example.internal"
"""


def config_in(folder: Path, language: str = "en") -> Config:
    (folder / "config.toml").write_text(CONFIG.format(language=language))
    return configuration.load(folder / "config.toml")


def recorded(folder: Path, records: Sequence[RunRecord]) -> History:
    return histories.recorded(folder / "history", records)


def moved(record: RunRecord, run_id: str, at: datetime, **changes: object) -> RunRecord:
    """The same run at another time."""
    run = dataclasses.replace(record.run, id=run_id, started_at=at, finished_at=at + timedelta(minutes=2), **changes)
    return dataclasses.replace(record, run=run)


@dataclasses.dataclass
class Site:
    folder: Path
    config: Config
    history: History

    def page(self, name: str = INDEX) -> Page:
        return Page((self.folder / "out" / name).read_text("utf-8"))

    def row(self, run_id: str) -> str:
        """What the row of a run says."""
        text = (self.folder / "out" / INDEX).read_text("utf-8")
        (row,) = [part for part in re.findall(r"<tr>.*?</tr>", text, re.DOTALL) if f"<code>{run_id}</code>" in part]
        return row


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Five nights, the last of them interrupted and begun late; reports of two are in the folder, one by hand."""
    folder = tmp_path_factory.mktemp("site")
    nights = [judged_record(night).record for night in range(5)]
    last = nights[-1]
    nights[-1] = RunRecord(dataclasses.replace(last.run, complete=False, expected_targets=12), last.targets[:5])
    history = recorded(folder, nights)
    (folder / "out").mkdir()
    for name in (f"{nights[3].run.id}.html", f"{nights[3].run.id}.oscal.json", f"{nights[4].run.id}.pdf", "my.html"):
        (folder / "out" / name).write_text("a report")
    (folder / "out" / f"{nights[0].run.id}.html").mkdir()
    ledger = Ledger(open_state(folder / "nightseal.sqlite"))
    due = nights[4].run.started_at - timedelta(hours=5)
    ledger.add_due("nightly", due)
    (start,) = ledger.waiting(due)
    assert ledger.claim(start, nights[4].run.id, "", nights[4].run.started_at)
    found = Site(folder, config_in(folder), history)
    write_site(found.config, history, folder / "out")
    return found


class TestRuns:
    def test_every_run_is_there_the_newest_first(self, site: Site) -> None:
        text = "".join(site.page().raw)
        ids = site.history.runs()["run_id"].tolist()
        places = [text.index(run_id) for run_id in ids]
        assert len(ids) == 5
        assert places == sorted(places, reverse=True)

    def test_links_are_to_the_reports_that_are_there_and_to_no_others(self, site: Site) -> None:
        ids = site.history.runs()["run_id"].tolist()
        links = [link for link in (item["href"] for item in site.page().all("a")) if not link.startswith("#")]
        assert set(links) == {f"{ids[3]}.html", f"{ids[3]}.oscal.json", f"{ids[4]}.pdf"}
        assert all((site.folder / "out" / unquote(link)).is_file() for link in links)

    def test_a_run_without_reports_says_how_to_draw_them_again(self, site: Site) -> None:
        ids = site.history.runs()["run_id"].tolist()
        assert f"nightseal report --run {ids[0]}" in site.row(ids[0])
        assert "nightseal report" not in site.row(ids[3])

    def test_incomplete_and_late_runs_are_marked(self, site: Site) -> None:
        ids = site.history.runs()["run_id"].tolist()
        assert "Interrupted" in site.row(ids[4])
        assert "Late by 5 h" in site.row(ids[4])
        assert "5 of 12" in site.row(ids[4]) or "4 of 12" in site.row(ids[4])
        assert not re.search("Interrupted|Late", site.row(ids[3]))

    def test_an_environment_is_shown_by_its_latest_complete_run(self, site: Site) -> None:
        text = (site.folder / "out" / INDEX).read_text("utf-8")
        now = text[text.index('id="now"') : text.index('id="trends"')]
        assert f'href="{site.history.runs()["run_id"].iloc[3]}.html"' in now
        assert "Interrupted" not in now


class TestPage:
    def test_is_well_formed_and_links_lead_somewhere(self, site: Site) -> None:
        page = site.page()
        assert page.open == []
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        links = {item["href"][1:] for item in page.all("a") if item["href"].startswith("#")}
        assert links
        assert links <= set(ids)
        labels = {name for _, attributes in page.elements for name in attributes.get("aria-labelledby", "").split()}
        assert labels <= set(ids)

    def test_asks_nothing_of_anybody_and_runs_nothing(self, site: Site) -> None:
        page = site.page()
        assert not page.all("script", "link", "img", "iframe", "form", "base", "object")
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        assert not [tag for tag, attributes in page.elements if "style" in attributes]
        (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "://" not in "".join(item["href"] for item in page.all("a"))

    def test_what_the_configuration_says_is_text(self, site: Site) -> None:
        page = site.page()
        assert not page.all("b")
        assert "Ex & <b>Co</b>" in "".join(page.raw)

    def test_four_charts_with_text_for_those_who_do_not_see_them(self, site: Site) -> None:
        charts = site.page().all("svg")
        assert len(charts) == len(site.page().all("desc")) == 4
        assert all(item["role"] == "img" for item in charts)

    def test_the_same_history_and_folder_give_the_same_bytes(self, site: Site) -> None:
        path = site.folder / "out" / INDEX
        before = path.read_bytes()
        write_site(site.config, site.history, site.folder / "out")
        assert path.read_bytes() == before
        assert not [item for item in path.parent.iterdir() if item.name.startswith(".")]

    def test_speaks_the_language_of_the_reports(self, site: Site, tmp_path: Path) -> None:
        write_site(config_in(tmp_path, "pt"), site.history, tmp_path)
        page = Page((tmp_path / INDEX).read_text("utf-8"))
        assert page.all("html") == [{"lang": "pt-PT"}]
        assert "março de 2026" in "".join(page.raw)
        assert "Late by" not in "".join(page.raw)


class TestFolder:
    def test_only_reports_in_the_configured_folder_renew_it(self, site: Site, tmp_path: Path) -> None:
        index = site.folder / "out" / INDEX
        assert update_site(site.config, site.history, [tmp_path / "report.pdf"]) is None
        assert not (tmp_path / INDEX).exists()
        assert update_site(site.config, site.history, [index.parent / "any.pdf"]) == index

    def test_a_page_of_the_owners_stays(self, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        config = config_in(tmp_path)
        (folder / INDEX).write_text("<title>Welcome</title>")
        with pytest.raises(ForeignPageError, match=r"index\.html is not a page of Nightseal"):
            write_site(config, site.history, folder)
        assert update_site(config, site.history) is None
        assert "is not a page of Nightseal" in caplog.text
        assert (folder / INDEX).read_text() == "<title>Welcome</title>"

    def test_a_link_that_is_called_like_the_page_is_not_followed(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_text('<meta name="generator" content="Nightseal 1">')
        (tmp_path / INDEX).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ForeignPageError):
            write_site(site.config, site.history, tmp_path)

    def test_after_old_reports_went_no_link_leads_to_them(self, tmp_path: Path) -> None:
        config = config_in(tmp_path)
        now = FIRST_NIGHT + config.form.history.keep_reports + timedelta(days=1)
        # By runs of a whole week the time is believed.
        nights = [now - timedelta(days=back) for back in range(8, -1, -1)]
        since = [moved(judged_record(4).record, f"{at:%Y%m%dT%H%M%SZ}-00000a", at) for at in nights]
        history = recorded(tmp_path, [judged_record(0).record, *since])
        old, *_, new = history.runs()["run_id"]
        (tmp_path / "out").mkdir()
        for name in (f"{old}.html", f"{old}.sarif", f"{new}.html", "thesis.pdf"):
            (tmp_path / "out" / name).write_text("a report")
        write_site(config, history, tmp_path / "out")

        tidy(config, open_state(tmp_path / "nightseal.sqlite"), now)

        assert {path.name for path in (tmp_path / "out").iterdir()} == {INDEX, f"{new}.html", "thesis.pdf"}
        links = {item["href"] for item in Page((tmp_path / "out" / INDEX).read_text("utf-8")).all("a")}
        assert {link for link in links if not link.startswith("#")} == {f"{new}.html"}

    def test_files_of_others_are_no_reports(self, tmp_path: Path) -> None:
        for name in ("report.html", "20260302T020000Z-abcdef.html.bak", "x20260302T020000Z-abcdef.html"):
            (tmp_path / name).touch()
        assert report_files(tmp_path) == {}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A thousand nights, written in the form that many nights have after they were put together."""
    folder = tmp_path_factory.mktemp("many")
    small = judged_record(0).record
    target = dataclasses.replace(small.targets[-2], evidence=None, verdicts=small.targets[-2].verdicts[:20])
    small = RunRecord(dataclasses.replace(small.run, environments=("legacy",)), (target,))
    start = datetime(2023, 1, 5, 2, tzinfo=UTC)
    history = recorded(
        folder,
        [
            moved(small, f"{at:%Y%m%dT%H%M%SZ}-{night:06x}", at)
            for night, at in ((night, start + timedelta(days=night)) for night in range(1000))
        ],
    )
    (folder / "out").mkdir()
    (folder / "out" / "index-2020-01.html").write_text('<meta name="generator" content="Nightseal 0.1.0">')
    (folder / "out" / "index-2020-02.html").write_text("My own.")
    found = Site(folder, config_in(folder), history)
    write_site(found.config, history, folder / "out")
    return found


class TestManyRuns:
    def test_none_is_missing_and_none_is_twice(self, many: Site) -> None:
        pages = [path for path in (many.folder / "out").glob("index*.html") if path.name != "index-2020-02.html"]
        listed = [
            run_id
            for path in pages
            for run_id in re.findall(
                r'<th scope="row">[^<]*<span class="meaning"><code>([^<]*)', path.read_text("utf-8")
            )
        ]
        assert len(listed) == 1000
        assert set(listed) == set(many.history.runs()["run_id"])

    def test_each_page_stays_small(self, many: Site) -> None:
        sizes = {
            path.name: path.stat().st_size - len(web_fonts()) for path in (many.folder / "out").glob("index*.html")
        }
        assert sizes[INDEX] < 450_000
        assert max(size for name, size in sizes.items() if name != INDEX) < 60_000
        assert many.page().all("th").count({"scope": "row"}) < 2 * ON_INDEX

    def test_months_are_linked_and_lead_back(self, many: Site) -> None:
        for name in (INDEX, "index-2023-01.html"):
            links = {item["href"].partition("#")[0] for item in many.page(name).all("a")} - {""}
            assert links
            assert all((many.folder / "out" / link).is_file() for link in links)
        assert "index-2023-01.html" in {item["href"].partition("#")[0] for item in many.page().all("a")}

    def test_pages_of_months_that_are_no_more_go_and_those_of_others_stay(self, many: Site) -> None:
        assert not (many.folder / "out" / "index-2020-01.html").exists()
        assert (many.folder / "out" / "index-2020-02.html").read_text() == "My own."

    def test_charts_show_ninety_days_alone(self, many: Site) -> None:
        text = (many.folder / "out" / INDEX).read_text("utf-8")
        assert text.count("<path") < 800
        assert "2025-07-02" in text or "2025-07-03" in text

    def test_how_much_is_read_does_not_grow_with_the_history(self, many: Site) -> None:
        runs = many.history.runs()
        huge = runs.assign(passed=runs["passed"] * 100_000)
        counted, drawn = runs_to_count(huge, [runs["run_id"].iloc[5]])
        assert counted == drawn
        assert len(drawn) == 92
        assert runs["run_id"].iloc[5] in drawn
        assert len(runs_to_count(runs, [])[0]) == 1000


def overlapping(nights: int = 2) -> list[RunRecord]:
    """Two runs over three environments each night, of which the one whose id sorts first began a moment later.

    Their ids differ in their random part alone, so half of all runs that begin within a second are in this order.
    """
    records = []
    for night in range(nights):
        record = judged_record(night).record
        at = record.run.started_at
        assert len(record.run.environments) > 1
        for name, moment in (("0a0a0a", at + timedelta(milliseconds=200)), ("f0f0f0", at)):
            records.append(moved(record, f"{at:%Y%m%dT%H%M%SZ}-{name}", moment))
    return records


class TestOverlappingRuns:
    def test_harm_no_page(self, tmp_path: Path) -> None:
        history = recorded(tmp_path, overlapping())
        page = write_site(config_in(tmp_path), history, tmp_path / "out").read_text("utf-8")
        assert all(f"<code>{run_id}</code>" in page for run_id in history.runs()["run_id"])

    def test_last_of_a_day_is_the_one_that_was_written_last(self, tmp_path: Path) -> None:
        runs = recorded(tmp_path, overlapping()).runs()
        _, drawn = runs_to_count(runs, [])
        assert {run_id[-6:] for run_id in drawn} == {"f0f0f0"}
        assert len(drawn) == 2
        assert runs_to_count(runs.iloc[::-1], [])[1] == drawn, "in whatever order they are read"
        assert runs_to_count(runs.set_axis([0] * len(runs)), [])[1] == drawn, "and whatever their labels are"

    def test_harm_no_report_and_no_question(self, tmp_path: Path) -> None:
        records = overlapping()
        history = recorded(tmp_path, records)
        for record in records:
            earlier = history.previous(record.run.id)
            answers = answers_of(history, record, history.record(earlier) if earlier else None)
            assert set(answers.begun) == set(record.run.environments)
            assert len(answers.failing_since)
            judged_view(record, history=answers)
        current = questions.current_runs(history)
        assert set(current.values()) == {records[-1].run.id}, "the one that was written last is the present"
        for question in (
            questions.episodes,
            questions.mean_time_to_fix,
            questions.differing_addresses,
            questions.environments_compared,
            questions.certificates_by_expiry,
        ):
            question(history)


class TestOddHistories:
    def test_none_yet(self, tmp_path: Path) -> None:
        write_site(config_in(tmp_path), recorded(tmp_path, []), tmp_path / "out")
        page = Page((tmp_path / "out" / INDEX).read_text("utf-8"))
        assert "The history has no run yet" in "".join(page.raw)
        assert page.open == []

    def test_one_run(self, tmp_path: Path) -> None:
        write_site(config_in(tmp_path), recorded(tmp_path, [judged_record(4).record]), tmp_path / "out")
        page = Page((tmp_path / "out" / INDEX).read_text("utf-8"))
        assert page.open == []
        assert not page.all("svg")

    def test_nothing_scanned(self, tmp_path: Path) -> None:
        record = judged_record(0).record
        history = recorded(tmp_path, [dataclasses.replace(record, targets=())])
        write_site(config_in(tmp_path), history, tmp_path / "out")
        assert "Nothing judged" in (tmp_path / "out" / INDEX).read_text("utf-8")

    def test_names_that_would_break_a_page(self, tmp_path: Path) -> None:
        hostile = "<script>alert(1)</script>\"' {{ 7 * 7 }} %s " + "w" * 300
        records = []
        for record in sample_history(2):
            targets = tuple(dataclasses.replace(item, environment=hostile) for item in record.targets[:3])
            run = dataclasses.replace(record.run, environments=(hostile,), schedule=hostile, policies={})
            records.append(RunRecord(run, targets))
        write_site(config_in(tmp_path), recorded(tmp_path, records), tmp_path / "out")
        page = Page((tmp_path / "out" / INDEX).read_text("utf-8"))
        assert page.open == []
        assert not page.all("script")
        assert hostile in "".join(page.raw)

    def test_a_state_file_that_cannot_be_read_costs_the_marks_alone(self, tmp_path: Path) -> None:
        (tmp_path / "nightseal.sqlite").write_text("not a database")
        page = write_site(config_in(tmp_path), recorded(tmp_path, [judged_record(0).record]), tmp_path / "out")
        assert page.is_file()


def test_an_interrupted_run_is_never_compliant(tmp_path: Path) -> None:
    record = judged_record(0).record
    good = tuple(
        dataclasses.replace(target, verdicts=tuple(v for v in target.verdicts if v.status == "pass"))
        for target in record.targets
    )
    cut = RunRecord(dataclasses.replace(record.run, complete=False), good)
    write_site(config_in(tmp_path), recorded(tmp_path, [cut]), tmp_path / "out")
    text = (tmp_path / "out" / INDEX).read_text("utf-8")
    assert f"s-{Standing.UNKNOWN}" in text
    assert f"sign s-{Standing.COMPLIANT}" not in text[text.index('id="runs"') :]


def test_a_report_that_came_while_the_page_was_written_is_on_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that end together: whichever writes the page last has the reports of both."""
    other = f"{site.history.runs()['run_id'].iloc[0]}.pdf"
    draw = render.render_site

    def drawn(view: SiteView) -> dict[str, str]:
        pages = draw(view)
        (tmp_path / other).touch()
        return pages

    monkeypatch.setattr(render, "render_site", drawn)
    text = write_site(site.config, site.history, tmp_path).read_text("utf-8")
    assert f'href="{other}"' in text
