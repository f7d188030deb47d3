"""The HTML report in a real Chromium: what a reader does with it, and what axe says of it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec import structs
from playwright.sync_api import Browser, Page, sync_playwright

from reports import layout
from reports.deliver_message import Entry, Notification, Section, compose
from reports.message import Level
from reports.render import render_html
from reports.view import ReportOptions
from scanner.config import loading as configuration
from scanner.history import History
from scanner.jobs.output import write as write_reports
from scanner.jobs.reporting import rendering_of
from scanner.jobs.site import write_site
from scanner.verdict import RunRecord, Severity
from tests.build.hostile import hostile_record
from tests.build.judged import judged_record, judged_view
from tests.build.many import many

pytestmark = pytest.mark.xdist_group("chromium")

OPTIONS = ReportOptions(organisation="Example Ltd", classification="Internal")
QUIET = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Best practices that are no success criterion of WCAG 2.2 AA are left out.
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
# What another width or scheme of colours can change.
AXE_OF_LOOKS = {
    "runOnly": {
        "type": "rule",
        "values": ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"],
    }
}

# The page's script measures what scrolls once nothing else is to be done, which takes a while on a busy machine.
REACHABLE = """() => [...document.querySelectorAll(".scroll, pre")].every(
    (box) => box.scrollWidth <= box.clientWidth || box.tabIndex >= 0)"""


def write(folder: Path, name: str, record: RunRecord) -> str:
    view = judged_view(record, options=OPTIONS)
    path = folder / f"{name}.html"
    path.write_text(render_html(view), "utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("report"), "report", judged_record(4).record)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield launched
        launched.close()


@dataclasses.dataclass
class Opened:
    """A page with everything that it complained about or asked for."""

    page: Page
    complaints: list[str]
    requests: list[str]


@pytest.fixture
def opened(browser: Browser, report: str) -> Iterator[Opened]:
    yield from _open(browser, report)


def _open(browser: Browser, address: str, **options: object) -> Iterator[Opened]:
    context = browser.new_context(**options)  # type: ignore[arg-type]  # passed through
    page = context.new_page()
    found = Opened(page, [], [])
    page.on("console", lambda message: found.complaints.append(message.text))
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(address)
    yield found
    context.close()


def test_opens_without_complaint_and_asks_for_nothing(opened: Opened, report: str) -> None:
    opened.page.wait_for_load_state("networkidle")
    assert opened.complaints == []
    assert opened.requests == [report]


def test_is_styled_under_its_own_policy(opened: Opened) -> None:
    sign = opened.page.locator("#summary .sign.s-failed").first
    colour = sign.evaluate("element => getComputedStyle(element, '::before').backgroundColor")
    assert colour == "rgb(163, 36, 31)"


def test_filters_findings(opened: Opened) -> None:
    page = opened.page
    form = page.locator('form[data-filter="findings"]')
    shown = page.locator("article.finding:not([hidden])")
    everything = shown.count()
    form.get_by_label("Severity").select_option("high")
    some = shown.count()
    assert 0 < some < everything
    assert form.locator("output").inner_text() == f"{some} of {everything} shown"
    form.get_by_label("Filter findings").fill("tls 1.0")
    assert [item.get_attribute("id") for item in shown.all()] == ["f-proto.no-tls1.0-offered"]
    form.get_by_label("Severity").select_option("")
    form.get_by_label("Filter findings").fill("nothing is called so")
    assert shown.count() == 0


def test_filters_targets(opened: Opened) -> None:
    page = opened.page
    form = page.locator('form[data-filter="targets"]')
    form.get_by_label("Environment").select_option("legacy")
    names = page.locator("details.target-box:not([hidden]) .name").all_text_contents()
    assert names == ["erp.example.internal:443", "console.example.internal:8443"]


def test_link_to_a_target_opens_it(browser: Browser, report: str) -> None:
    anchor = "t-legacy-erp.example.internal-443-203.0.113.5"
    for opened in _open(browser, f"{report}#{anchor}"):
        box = opened.page.locator(f'[id="{anchor}"]')
        assert box.get_attribute("open") is not None
        assert box.get_by_text("The server negotiates TLS 1.0.").is_visible()


def test_link_reaches_a_finding_that_a_filter_hides(opened: Opened) -> None:
    page = opened.page
    page.get_by_label("Filter findings").fill("nothing is called so")
    page.locator(".glance").get_by_role("link", name="The server negotiates TLS 1.0.").click()
    finding = page.locator('[id="f-proto.no-tls1.0-offered"]')
    assert finding.is_visible()


def test_keyboard_reaches_the_report_and_opens_a_fix(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    summary = page.locator(".finding summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator(".finding details[open] pre").first.is_visible()


def test_reads_without_script(browser: Browser, report: str) -> None:
    for opened in _open(browser, report, java_script_enabled=False):
        page = opened.page
        assert page.get_by_role("heading", name="None of the 3 environments is compliant.").is_visible()
        assert not page.locator("form.filter").first.is_visible()
        assert page.locator("article.finding").first.is_visible()
        page.locator("details.target-box summary").first.click()
        assert page.locator("details.target-box .target-body").first.is_visible()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with every part and every state in it, over few targets: axe looks at each element, which takes long."""
    record = judged_record(4).record
    kept = tuple(
        target for target in record.targets if target.host in {"erp.example.internal", "gone.test.example.com"}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "TOO_MANY_TARGETS", 1)
        patch.setattr(layout, "PAGED_SCREEN", structs.replace(layout.PAGED_SCREEN, page=1))
        return write(tmp_path_factory.mktemp("small"), "small", RunRecord(record.run, kept))


@pytest.mark.parametrize(
    ("scheme", "width", "options", "rules"),
    [("light", 320, AXE, 16), ("light", 1280, AXE_OF_LOOKS, 2), ("dark", 1280, AXE_OF_LOOKS, 2)],
)
def test_axe_finds_nothing(  # noqa: PLR0913, PLR0917  # a page as it is looked at, and what is looked for
    browser: Browser, small: str, scheme: str, width: int, options: dict[str, object], rules: int
) -> None:
    viewport = {"width": width, "height": 900}
    for opened in _open(browser, small, color_scheme=scheme, viewport=viewport, bypass_csp=True):
        page = opened.page
        # What is far from the window is not laid out, and axe looks at everything at once.
        page.add_style_tag(content="* { content-visibility: visible !important }")
        page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true })")
        page.wait_for_function(REACHABLE)
        result = Axe().run(page, options=options)
        assert len(result.response["passes"]) >= rules
        assert result.violations_count == 0, result.generate_report()


COUNT = 23
PAGE = 5


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report over so many targets that they come a page at a time; here, few are many already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "TOO_MANY_TARGETS", COUNT - 1)
        patch.setattr(layout, "PAGED_SCREEN", structs.replace(layout.PAGED_SCREEN, page=PAGE))
        return write(tmp_path_factory.mktemp("paged"), "paged", many(judged_record(4), COUNT).record)


def test_turns_the_pages_of_targets(browser: Browser, paged: str) -> None:
    for opened in _open(browser, paged):
        page = opened.page
        pager = page.get_by_role("navigation", name="Pages of targets")
        names = page.locator("details.target-box .name")
        first = names.all_text_contents()
        assert len(first) == PAGE
        assert pager.locator("output").inner_text() == "1 to 5 of 23"
        assert pager.get_by_role("button", name="Previous").is_disabled()
        seen = [*first]
        for _ in range(4):
            pager.get_by_role("button", name="Next").press("Enter")
            seen += names.all_text_contents()
        assert len(set(seen)) == len(seen) == COUNT, "each once"
        assert pager.locator("output").inner_text() == "21 to 23 of 23"
        assert pager.get_by_role("button", name="Next").is_disabled()
        pager.get_by_role("button", name="Previous").click()
        assert names.all_text_contents() == seen[15:20]
        page.locator("details.target-box summary").first.click()
        assert page.locator("details.target-box .target-body").first.is_visible()
        assert opened.complaints == []
        assert opened.requests == [paged]


def test_filters_targets_on_all_pages(browser: Browser, paged: str) -> None:
    for opened in _open(browser, paged):
        page = opened.page
        form = page.locator('form[data-filter="targets"]')
        form.get_by_label("Filter targets").fill("erp-000 tls 1.0")
        names = page.locator("details.target-box .name").all_text_contents()
        assert names == [f"erp-{number:05}.example.internal:443" for number in (6, 14, 22)]
        assert form.locator("output").inner_text() == "3 of 23 shown"
        assert page.get_by_role("navigation", name="Pages of targets").locator("output").inner_text() == "1 to 3 of 3"
        form.get_by_label("Filter targets").fill("<span")
        assert page.locator("details.target-box").count() == 0, "what is looked for is text"
        form.get_by_label("Filter targets").fill("")
        form.get_by_label("Environment").select_option("legacy")
        assert form.locator("output").inner_text() == "5 of 23 shown"


def test_link_reaches_a_target_of_another_page(browser: Browser, paged: str) -> None:
    anchor = "t-legacy-erp-00022.example.internal-443-10.0.0.22"
    for opened in _open(browser, f"{paged}#{anchor}"):
        box = opened.page.locator(f'[id="{anchor}"]')
        assert box.get_attribute("open") is not None
        assert box.get_by_text("The server negotiates TLS 1.0.").is_visible()
        assert opened.page.locator("nav.pages output").inner_text() == "21 to 23 of 23"


def test_paged_report_says_without_script_where_the_rest_is(browser: Browser, paged: str) -> None:
    for opened in _open(browser, paged, java_script_enabled=False):
        page = opened.page
        assert page.get_by_role("heading", name="None of the 3 environments is compliant.").is_visible()
        assert page.locator("details.target-box").count() == PAGE
        assert page.get_by_text("Without script, the first 5 of 23 targets are listed.").is_visible()
        assert not page.get_by_role("button", name="Next").is_visible()


@pytest.mark.parametrize("name", ["sample", "hostile"])
def test_page_never_scrolls_sideways(browser: Browser, tmp_path: Path, name: str) -> None:
    address = write(tmp_path, name, {"sample": judged_record(4).record, "hostile": hostile_record()}[name])
    for opened in _open(browser, address):
        page = opened.page
        page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true })")
        for width in (320, 480, 768, 1024, 1280, 2560):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_column_breaks_inside_a_port(browser: Browser, report: str) -> None:
    """Half a port reads as another one. Nothing but the port itself is kept together: a long name may break."""
    for opened in _open(browser, report):
        page = opened.page
        page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true })")
        for width in (320, 480, 768, 1024, 1280, 2560):
            page.set_viewport_size({"width": width, "height": 900})
            lines = page.evaluate("[...document.querySelectorAll('.port')].map(port => port.getClientRects().length)")
            assert len(lines) > 20
            assert max(lines) == 1, width


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_a_message_is_as_wide_as_the_telephone(browser: Browser, width: int) -> None:
    """However long the names in it are: a message that scrolls sideways is not read."""
    place = f"production/{'a-very-long-name-' * 4}.lab.example:443"
    entry = Entry("x" * 90, Severity.HIGH, (place,), "o" * 80, "Renew it.", "cert.trusted")
    section = Section("new-failure", Level.FAILURE, "New failures", "1 new failure", (entry,))
    told = Notification("nightly", "20261130T082322Z-b5c586", datetime.now(UTC), sections=(section,))
    message = compose(told, on={"new-failure"}, severity=Severity.LOW, attach=False)
    assert message is not None
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_content(message.html)
    assert place in page.inner_text("body")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_hostile_text_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    dialogs: list[str] = []
    address = write(tmp_path, "hostile", hostile_record())
    for opened in _open(browser, address):
        opened.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        opened.page.wait_for_load_state("networkidle")
        assert dialogs == []
        assert opened.complaints == []
        assert opened.requests == [address]


def test_prints_everything(opened: Opened) -> None:
    page = opened.page
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.locator("nav.contents").is_visible()
    assert page.locator("details.target-box .target-body").first.is_visible()
    assert page.pdf().startswith(b"%PDF")


CONFIG = (
    '[[environment]]\nname = "legacy"\nkind = "on-premises"\n[[environment.endpoint]]\nhost = "erp.example.internal"\n'
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four nights, of which the last has its report in the folder."""
    folder = tmp_path_factory.mktemp("runs")
    history = History.open(folder / "history", create=True)
    for night in (0, 1, 2, 4):
        history.append(judged_record(night).record)
    (folder / "config.toml").write_text(CONFIG)
    config = configuration.load(folder / "config.toml")
    record = judged_record(4).record
    write_reports(rendering_of(config, history, record), ["html"], f"{folder / 'out'}/", name=record.run.id)
    return write_site(config, history, folder / "out")


def test_runs_open_without_complaint_and_lead_to_the_report(browser: Browser, index: Path) -> None:
    for opened in _open(browser, index.as_uri()):
        opened.page.wait_for_load_state("networkidle")
        assert opened.complaints == []
        assert opened.requests == [index.as_uri()]
        opened.page.locator("#runs").get_by_role("link", name="HTML").click()
        opened.page.get_by_role("heading", name="History", exact=False).first.wait_for()  # a report takes a while
        assert opened.complaints == []


def test_months_fold_by_keyboard(browser: Browser, index: Path) -> None:
    for opened in _open(browser, index.as_uri(), java_script_enabled=False):
        page = opened.page
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "Skip to the runs"
        table = page.locator("details.month table").first
        assert table.is_visible()
        page.locator("details.month summary").first.focus()
        page.keyboard.press("Enter")
        assert not table.is_visible()


@pytest.mark.parametrize(("scheme", "width", "options"), [("light", 320, AXE), ("dark", 1280, AXE_OF_LOOKS)])
def test_axe_finds_nothing_in_the_runs(
    browser: Browser, index: Path, scheme: str, width: int, options: dict[str, object]
) -> None:
    for opened in _open(browser, index.as_uri(), color_scheme=scheme, viewport={"width": width, "height": 900}):
        opened.page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true })")
        result = Axe().run(opened.page, options=options)
        assert len(result.response["passes"]) >= (10 if options is AXE else 2)
        assert result.violations_count == 0, result.generate_report()


def test_axe_finds_nothing_in_the_history(browser: Browser, index: Path) -> None:
    (report,) = index.parent.glob("2*.html")
    for opened in _open(browser, report.as_uri(), viewport={"width": 1280, "height": 900}):
        result = Axe().run(opened.page, context={"include": [["#history"]]}, options=AXE)
        assert len(result.response["passes"]) > 5
        assert result.violations_count == 0, result.generate_report()


def test_runs_never_scroll_sideways(browser: Browser, index: Path) -> None:
    for opened in _open(browser, index.as_uri()):
        opened.page.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true })")
        for width in (320, 480, 768, 1024, 1280, 2560):
            opened.page.set_viewport_size({"width": width, "height": 900})
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
