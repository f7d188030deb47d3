"""The HTML report: one file, safe, readable without script, sound for assistive technology."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re
from pathlib import Path

import pytest
from msgspec import structs

from reports.render import render_html
from reports.templating import templates_folder
from reports.view import ReportOptions, ReportView, build_view
from reports.view.model import TrendPoint
from scanner.ownership import Ownership
from scanner.verdict import RunRecord
from tests.build.hostile import hostile_record
from tests.build.judged import judged_record, judged_view
from tests.build.pages import Page


def view_of(record: RunRecord, **more: object) -> ReportView:
    options = ReportOptions(organisation="Example Ltd", classification="Internal")
    return judged_view(record, **({"options": options} | more))


def trend(view: ReportView) -> tuple[TrendPoint, ...]:
    return tuple(
        TrendPoint(f"r{night}", judged_record(night).record.run.started_at, item.name, night, 0, 0, 9)
        for night in range(4)
        for item in view.environments
    )


@pytest.fixture(scope="module")
def text() -> str:
    view = view_of(judged_record(4).record)
    return render_html(structs.replace(view, trend=trend(view)))


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_is_well_formed(page: Page) -> None:
    assert page.open == []


def test_asks_nothing_of_anybody(text: str, page: Page) -> None:
    assert not page.all("link", "img", "iframe", "object", "embed", "base", "source", "video", "audio")
    assert not [item for item in page.all("script") if "src" in item]
    assert "@import" not in text
    assert not re.search(r"url\((?!#|\"data:font/woff2;base64,)", text)
    assert all(attributes.get("rel") == "noreferrer" for attributes in page.all("a") if "://" in attributes["href"])


def test_content_security_policy_allows_this_style_and_script_alone(page: Page) -> None:
    (policy,) = [item["content"] for item in page.all("meta") if item.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["base-uri"] == directives["form-action"] == "'none'"
    for directive, tag in (("style-src", "style"), ("script-src", "script")):
        (content,) = page.texts[tag]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert directives[directive] == f"'sha256-{digest}'"


def test_nothing_that_the_policy_would_block(page: Page) -> None:
    for tag, attributes in page.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag


def test_ids_are_unique_and_links_lead_somewhere(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in page.all("a") if attributes["href"].startswith("#")]
    assert links
    assert {link[1:] for link in links} <= set(ids)
    labels = [attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes]
    assert {name for label in labels for name in label.split()} <= set(ids)


def test_headings_descend_one_level_at_a_time(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_landmarks_and_language(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("main")) == 1
    assert len(page.all("nav")) == 1
    first_link = page.all("a")[0]
    assert first_link == {"class": "skip", "href": "#main"}


def test_every_table_header_has_a_scope(page: Page) -> None:
    assert page.all("th")
    assert all(attributes.get("scope") in {"col", "row", "rowgroup"} for attributes in page.all("th"))


def test_every_field_has_a_label(page: Page) -> None:
    assert len(page.all("label")) == len(page.all("input", "select"))


def test_charts_have_text_for_those_who_do_not_see_them(page: Page) -> None:
    charts = page.all("svg")
    assert len(charts) == 3
    assert all(item["role"] == "img" and item["aria-labelledby"] for item in charts)
    assert len(page.all("desc")) == 3


def test_page_one_gives_the_answer(text: str) -> None:
    summary = text[text.index('id="summary"') : text.index('id="actions"')]
    for expected in (
        "None of the 3 environments is compliant.",
        "What is worst",
        "Who must do what by when",
        "What changed",
        "What could not be assessed",
        "Newly failing",
        'gone.test.example.com<span class="port">:443</span>',
    ):
        assert expected in summary


def test_findings_have_what_a_reviewer_asks(text: str) -> None:
    start = text.index(' id="f-proto.no-tls1.0-offered"')
    finding = text[start : text.index("</article>", start)]
    for expected in (
        "The server negotiates TLS 1.0.",
        'erp.example.internal<span class="port">:443</span>',
        "TLS 1.0 not negotiated",
        "RFC 8996 section 4",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "Apache httpd",
    ):
        assert expected in finding


def test_owners_their_contacts_and_labels_are_at_each_finding_and_target_and_in_what_to_do() -> None:
    record = judged_record(4).record
    erp = next(item for item in record.targets if item.host == "erp.example.internal")
    whose = Ownership("erp-team", "erp@example.com", (("tier", "2"),), ("dba",), (("dba", "ext. 4711"),))
    view = view_of(record, owners={erp.endpoint: whose})
    page = Page(render_html(view))

    assert "erp-team, dbaerp@example.com, ext. 4711" in page.texts["th"], "in what to do, one below the other"
    addresses = sum(item.endpoint == erp.endpoint for item in record.targets)
    findings = sum(any(ref.endpoint == erp.endpoint for ref in cause.targets) for cause in view.causes)
    assert findings
    assert page.texts["dd"].count("erp-team, dba · erp@example.com, ext. 4711 · tier=2") == findings + addresses


def test_same_view_gives_the_same_bytes() -> None:
    assert render_html(view_of(judged_record(4).record)) == render_html(view_of(judged_record(4).record))


def test_title_of_the_owner() -> None:
    options = ReportOptions(title="Q3 <audit>", organisation="Ex & Co", classification="Secret")
    text = render_html(view_of(judged_record(4).record, options=options))
    assert "<h1>Q3 &lt;audit&gt;</h1>" in text
    assert "Ex &amp; Co" in text


def test_templates_of_the_owner_win(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials" / "waivers.html").write_text("<p>Ask the board.</p>", "utf-8")
    text = render_html(view_of(judged_record(4).record), templates=tmp_path)
    assert "<p>Ask the board.</p>" in text
    assert "What is worst" in text


def test_templates_are_found() -> None:
    assert (templates_folder() / "report.html").is_file()


@pytest.fixture(scope="module")
def hostile() -> str:
    return render_html(view_of(hostile_record(), previous=None))


class TestHostile:
    def test_markup_is_text(self, hostile: str) -> None:
        page = Page(hostile)
        assert page.open == []
        assert len(page.all("script")) == 1
        assert not page.all("img")
        assert "<script>alert(1)</script>" in "".join(page.raw)

    def test_templates_are_not_read_out_of_text(self, hostile: str) -> None:
        assert "{{ 7 * 7 }}" in hostile

    def test_no_control_or_direction_characters(self, hostile: str) -> None:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", hostile)

    def test_long_text_is_cut_where_it_entered(self, hostile: str) -> None:
        assert "a" * 700 not in hostile


class TestOddRuns:
    def test_no_targets(self) -> None:
        record = dataclasses.replace(judged_record(4).record, targets=())
        page = Page(render_html(view_of(record, previous=None)))
        assert "Nothing was scanned, so nothing can be said." in "".join(page.raw)
        assert page.open == []

    def test_no_environments_either(self) -> None:
        run = dataclasses.replace(judged_record(4).record.run, environments=(), expected_targets=0)
        page = Page(render_html(view_of(RunRecord(run, ()), previous=None, environments={})))
        assert "Nothing was scanned" in "".join(page.raw)

    def test_interrupted(self) -> None:
        record = judged_record(4).record
        part = RunRecord(dataclasses.replace(record.run, complete=False, expected_targets=9), record.targets[:2])
        text = "".join(Page(render_html(view_of(part))).raw)
        assert "The run was interrupted: 7 targets of 9 left out." in text

    def test_only_unreachable(self) -> None:
        record = judged_record(4).record
        gone = tuple(target for target in record.targets if target.ip is None)
        text = "".join(Page(render_html(view_of(RunRecord(record.run, gone), previous=None))).raw)
        assert "not everything could be assessed" in text
        assert "No certificate was seen." in text

    def test_without_evidence(self) -> None:
        record = judged_record(4).record
        bare = tuple(dataclasses.replace(target, evidence=None) for target in record.targets)
        text = "".join(Page(render_html(view_of(RunRecord(record.run, bare)))).raw)
        assert "The server negotiates TLS 1.0." in text

    def test_rules_that_are_no_longer_there(self) -> None:
        view = build_view(judged_record(4).record, rules={})
        text = "".join(Page(render_html(view)).raw)
        assert "The server negotiates TLS 1.0." in text


def test_the_fonts_of_the_pdf_are_inside(page: Page, text: str) -> None:
    """Three of them, cut down, so that a page costs 70 kB more and no request; the policy lets no other in."""
    assert text.count('url("data:font/woff2;base64,') == 3
    assert 50_000 < sum(len(item) for item in re.findall(r"base64,([^\"]+)", text.partition("</style>")[0])) < 80_000
    (policy,) = [item["content"] for item in page.all("meta") if item.get("http-equiv") == "Content-Security-Policy"]
    assert "font-src data:;" in policy


def test_no_two_regions_have_one_name(page: Page) -> None:
    named = [attributes["aria-labelledby"] for attributes in page.all("section") if "aria-labelledby" in attributes]
    assert len(named) == len(set(named))
    assert "todo-title" not in named
    assert "unknown-title" not in named
