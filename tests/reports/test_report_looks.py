"""The owner's looks: a logo that is safe to carry, templates that win, and errors that say what to mend."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from pathlib import Path

import pytest
from lxml import html
from PIL import Image

from reports.logo import MOST_BYTES, Logo, LogoError, read_logo
from reports.render import render_html
from reports.templating import TemplatesError, check_templates
from reports.view import ReportOptions, ReportView, build_view
from scanner.app.cli import run
from scanner.config.loading import Config, parse
from scanner.errors import ConfigError, OutputError
from scanner.jobs.looks import check_looks
from scanner.jobs.reporting import report_options
from tests.build.records import sample_record

SVG = (
    '<?xml version="1.0"?><?xml-stylesheet href="https://elsewhere.example/x.css"?>'
    '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 40 10">{}</svg>'
)
HARMLESS = (
    '<defs><path id="p" d="M0 0h9v9z"/><style>.a{fill:url(#g)}</style></defs>'
    '<use xlink:href="#p" class="a"/><path fill="url(#g)" d="M0 0h9"/>'
    '<image href="data:image/png;base64,iVBORw0KGgo="/>'
)


def png(width: int = 40, height: int = 10) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), "#0b5d4e").save(written, "PNG")
    return written.getvalue()


def enormous_png() -> bytes:
    """A few bytes that claim to be 50,000 pixels wide and high."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def logo_of(folder: Path, content: str | bytes) -> Logo:
    path = folder / "logo"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_logo(path)


def view_of(**more: object) -> ReportView:
    options = ReportOptions(organisation="Example Ltd", **more)  # type: ignore[arg-type]  # passed through
    return build_view(sample_record(0), rules={}, options=options)


class TestLogo:
    def test_a_png_is_carried_as_it_is(self, tmp_path: Path) -> None:
        logo = logo_of(tmp_path, png())
        assert logo == Logo("image/png", png())
        assert base64.b64decode(logo.address.removeprefix("data:image/png;base64,")) == png()

    def test_an_svg_is_carried_without_what_is_around_it(self, tmp_path: Path) -> None:
        logo = logo_of(tmp_path, SVG.format(HARMLESS))
        assert logo.media_type == "image/svg+xml"
        assert logo.content.startswith(b"<svg ")
        assert b"elsewhere" not in logo.content
        assert b"DOCTYPE" not in logo.content
        for kept in (b'href="#p"', b"fill:url(#g)", b"data:image/png"):
            assert kept in logo.content

    @pytest.mark.parametrize(
        "inside",
        [
            "<script>alert(1)</script>",
            '<script href="x.js"/>',
            '<path onload="alert(1)"/>',
            '<path OnClick="alert(1)"/>',
            "<foreignObject><p/></foreignObject>",
            '<image href="https://elsewhere.example/a.png"/>',
            '<image xlink:href="logo.png"/>',
            '<image href="data:image/svg+xml;base64,AAAA"/>',
            '<a href="javascript:alert(1)"><path/></a>',
            '<use xlink:href="other.svg#p"/>',
            '<path style="fill:url(https://elsewhere.example/f)"/>',
            "<path fill=\"url( '//elsewhere.example/f' )\"/>",
            '<path style="fill:ur\\6c(https://elsewhere.example)"/>',
            '<style>@import "https://elsewhere.example/x.css";</style>',
            "<style>@font-face{src:url(font.woff2)}</style>",
            '<set attributeName="xlink:href" to="https://elsewhere.example"/>',
        ],
    )
    def test_an_svg_that_would_run_or_fetch_something_is_refused(self, tmp_path: Path, inside: str) -> None:
        with pytest.raises(
            LogoError, match=r"logo: (holds|runs|refers|fetches|changes) .* \(export it as a self-contained SVG"
        ):
            logo_of(tmp_path, SVG.format(inside))

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "neither a PNG nor an SVG"),
            ("hello", "neither a PNG nor an SVG"),
            ("<html><body/></html>", "neither a PNG nor an SVG"),
            ("<svg viewBox='0 0 1 1'/>", "neither a PNG nor an SVG"),
            (b"\xff\xd8\xff\xe0 a JPEG", "neither a PNG nor an SVG"),
            (b"\x89PNG\r\n\x1a\n and no more", "is not a whole PNG"),
            (png(200, 200)[:-40], "is not a whole PNG"),
            (enormous_png(), "50000 × 50000 pixels"),
            (b" " * (MOST_BYTES + 1), "too large for a logo (at most 512 kB"),
            ('<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>', "defines entities"),
            ('<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>', "entities"),
        ],
        ids=range(11),
    )  # fmt: skip
    def test_what_is_no_logo_is_told(self, tmp_path: Path, content: str | bytes, said: str) -> None:
        with pytest.raises(OutputError, match=re.escape(said)) as raised:
            logo_of(tmp_path, content)
        assert str(tmp_path / "logo") in str(raised.value)

    @pytest.mark.parametrize("name", ["missing.svg", "."])
    def test_one_that_cannot_be_read_is_told(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(LogoError, match="cannot be read: "):
            read_logo(tmp_path / name)


def test_the_page_carries_it_and_asks_for_nothing(tmp_path: Path) -> None:
    page = html.document_fromstring(render_html(view_of(logo=logo_of(tmp_path, SVG.format(HARMLESS)))))
    (picture,) = page.xpath("//img")
    assert picture.get("alt") == "Logo of Example Ltd"
    assert picture.get("src").startswith("data:image/svg+xml;base64,PHN2Zy")
    (policy,) = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert "img-src data:;" in policy


class TestTemplates:
    @pytest.fixture(autouse=True)
    def without_charts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # What takes most of the time of drawing, and is not of templates.
        monkeypatch.setattr("reports.render._charts", lambda *_: {})

    def write(self, folder: Path, name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def test_files_of_the_folder_win_one_by_one(self, tmp_path: Path) -> None:
        self.write(tmp_path, "partials/waivers.html", '<p>{{ _("Waivers") }}: ask the board.</p>')
        self.write(tmp_path, "screen.css", "main { color: teal }")
        check_templates(tmp_path)
        text = render_html(view_of(templates=tmp_path, language="pt"))
        assert "<p>Dispensas: ask the board.</p>" in text
        assert "main { color: teal }" in text
        assert "O que é mais grave" in text

    def test_what_templates_written_for_an_earlier_version_ask_for_is_still_there(self, tmp_path: Path) -> None:
        self.write(tmp_path, "partials/waivers.html", "<p>{{ medium.name }} is {{ layout.name }}</p>")
        assert "<p>screen is screen</p>" in render_html(view_of(templates=tmp_path))

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            (None, "is not a directory"),
            ("reprot.html", 'did you mean "report.html"?'),
            ("notes.txt", "partials/summary.html"),
        ],
    )
    def test_a_folder_without_templates_is_told(self, tmp_path: Path, name: str | None, said: str) -> None:
        folder = tmp_path / "looks"
        if name:
            self.write(folder, name, "x")
        with pytest.raises(TemplatesError, match=re.escape(said)) as raised:
            check_templates(folder)
        assert str(folder) in str(raised.value)

    @pytest.mark.parametrize(
        ("text", "line"),
        [("<p>\n{% if %}\n</p>", 2), ("a\nb\n{{ view.run.id | no_such_filter }}", 3), ("{% for x in y %}", 1)],
    )
    def test_a_mistake_is_told_with_its_line(self, tmp_path: Path, text: str, line: int) -> None:
        path = self.write(tmp_path, "partials/waivers.html", text)
        for use in (lambda: check_templates(tmp_path), lambda: render_html(view_of(), templates=tmp_path)):
            with pytest.raises(TemplatesError, match=re.escape(f"{path}, line {line}: ")):
                use()

    @pytest.mark.parametrize(
        "text",
        [
            "\n{{ view.no_such_thing }}",
            "\n{{ view.run.id.missing.more }}",
            "\n{% include 'gone.html' %}",
            "\n{{ 1 / 0 }}",
        ],
    )
    def test_a_mistake_that_shows_only_when_it_is_drawn(self, tmp_path: Path, text: str) -> None:
        path = self.write(tmp_path, "partials/waivers.html", text)
        check_templates(tmp_path)
        with pytest.raises(OutputError, match=re.escape(f"{path}, line 2: ")):
            render_html(view_of(), templates=tmp_path)

    def test_a_defect_of_ours_is_not_blamed_on_the_owner(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.write(tmp_path, "partials/waivers.html", "<p>None.</p>")
        monkeypatch.setattr("reports.wording.counted", lambda: "a filter that takes nothing")
        with pytest.raises(TypeError):
            render_html(view_of(), templates=tmp_path)

    def test_a_file_that_is_no_text_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "report.html").write_bytes(b"\xff\xfe")
        with pytest.raises(TemplatesError, match=r"report\.html: cannot be read"):
            check_templates(tmp_path)


def config_of(folder: Path, report: str) -> Config:
    path = folder / "config.toml"
    path.write_text(f'[report]\n{report}\n[[environment]]\nname = "e"\nkind = "on-premises"\n', "utf-8")
    return parse(path.read_text("utf-8"), source=str(path), folder=folder)


class TestConfiguration:
    def test_everything_is_taken_from_beside_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "logo.png").write_bytes(png())
        (tmp_path / "looks").mkdir()
        (tmp_path / "looks" / "print.css").write_text("", "utf-8")
        options = report_options(config_of(tmp_path, 'locale = "pt-PT"\nlogo = "logo.png"\ntemplates = "looks"'))
        assert options.language == "pt-PT"
        assert options.logo == Logo("image/png", png())
        assert options.templates == tmp_path / "looks"

    def test_all_problems_are_told_at_once_with_file_key_and_remedy(self, tmp_path: Path) -> None:
        config = config_of(tmp_path, 'locale = "ptt"\nlogo = "logo.svg"\ntemplates = "looks"')
        with pytest.raises(ConfigError) as raised:
            check_looks(config)
        assert str(raised.value).splitlines() == [
            f'{config.source}: report.locale: no report can be written in "ptt" (did you mean "pt"?)',
            f"{config.source}: report.logo: {tmp_path}/logo.svg cannot be read: No such file or directory "
            "(name an SVG or PNG file)",
            f"{config.source}: report.templates: {tmp_path}/looks is not a directory (name one that holds templates, or none)",
        ]

    def test_the_service_leaves_templates_to_its_runs(self, tmp_path: Path) -> None:
        check_looks(config_of(tmp_path, 'templates = "looks"'), templates=False)

    @pytest.mark.parametrize("command", [["config", "check"], ["run"]])
    def test_commands_refuse_before_they_scan(
        self, tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = '[report]\nlocale = "xx"\n[[environment]]\nname = "e"\nkind = "on-premises"\n'
        text += '[[environment.endpoint]]\nhost = "e.example"\nport = 443\nrole = "monitoring"\n'
        (tmp_path / "config.toml").write_text(text, "utf-8")
        assert run([*command, "--config", str(tmp_path / "config.toml")]) == 2
        assert 'report.locale: no report can be written in "xx" (known are en, pt)' in capsys.readouterr().err
        assert not (tmp_path / "history").exists()
