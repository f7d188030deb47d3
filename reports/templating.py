"""The templates that reports are drawn from: those that ship, and the owner's, whose files win over them.

Autoescaping is always on: whatever a host says arrives as text.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import re
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup, escape

from reports import language, wording
from reports.layout import as_data
from reports.view.clause_model import CLAUSE_OUTCOMES, ClauseOutcome
from reports.view.model import ChangeKind
from reports.view.part import part_in_words
from reports.view.standing import STANDINGS, Standing
from scanner.errors import OutputError, nearest
from scanner.evidence import title_of_store
from scanner.verdict import Goal, Severity, Status, TargetStatus

_PACKAGE: Final = Path(__file__).parent

_PORT: Final = re.compile(r":[0-9]{1,5}(?=$|[/ @])")
"""The port of an address: nothing of an IPv6 literal, which stands in brackets, or behind an at."""


def templates_folder() -> Path:
    """Where the templates are: beside this module in an installed package, at the top of a checkout."""
    packaged = _PACKAGE / "templates"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "templates"


class TemplatesError(OutputError):
    """A folder of the owner's templates cannot be used. `problem` says why, with file and line; `hint` how to fix it.

    The text of an error in a template is Jinja's.
    """

    def __init__(self, problem: str, hint: str) -> None:
        self.problem, self.hint = problem, hint
        super().__init__(f"{problem} ({hint})")


_FIX_TEMPLATE: Final = (
    "docs/reports.md describes what templates receive; without [report] templates, the built-in ones are used"
)


_TEMPLATE_SUFFIXES: Final = frozenset({".html", ".css", ".js"})


def check_templates(folder: Path) -> None:
    """See that a folder of the owner's holds templates, and that they can be compiled.

    Raises:
        TemplatesError: it does not, or one cannot; names file and line.
    """
    if not folder.is_dir():
        raise TemplatesError(f"{folder} is not a directory", "name one that holds templates, or none")
    shipped = {
        path.relative_to(templates_folder()).as_posix()
        for path in templates_folder().rglob("*.*")
        if path.suffix in {*_TEMPLATE_SUFFIXES, ".woff2"}
    }
    if not any((folder / name).is_file() for name in shipped):
        known = (
            "the files in it must have the names of the built-in ones: report.html, print.css, partials/summary.html, …"
        )
        raise TemplatesError(
            f"{folder} holds no file that would replace a built-in one", _meant(folder, shipped) or known
        )
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    environment = environment_of(folder)
    with blaming(folder):
        for name, path in found.items():
            if path.suffix in _TEMPLATE_SUFFIXES:
                try:
                    source = path.read_text("utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    raise TemplatesError(f"{path}: cannot be read: {error}", "save it as UTF-8") from error
                if path.suffix == ".html":
                    environment.compile(source, name, str(path))


def _meant(folder: Path, shipped: Collection[str]) -> str | None:
    """Which file of the owner's is called almost as one that ships. A folder of other things is not gone through."""
    beside = (folder, *(folder / name for name in sorted({Path(name).parent.as_posix() for name in shipped} - {"."})))
    for place in beside:
        for path in sorted(place.iterdir()) if place.is_dir() else ():
            name = path.relative_to(folder).as_posix()
            if path.suffix in _TEMPLATE_SUFFIXES and (hint := nearest(name, shipped)):
                return f"{name}: {hint}"
    return None


@contextlib.contextmanager
def blaming(folder: Path | None) -> Iterator[None]:
    """Tell an error in a template of the owner's with its file and line; one in ours is a defect and stays as it is."""
    try:
        yield
    except TemplatesError:
        raise
    except jinja2.TemplateSyntaxError as error:
        if folder is None or error.filename is None or not Path(error.filename).is_relative_to(folder):
            raise
        raise TemplatesError(f"{error.filename}, line {error.lineno}: {error.message}", _FIX_TEMPLATE) from error
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_in(frame.filename, folder)]
        if not frames:
            raise
        where = f"{frames[-1].filename}, line {frames[-1].lineno}"
        raise TemplatesError(f"{where}: {error or type(error).__name__}", _FIX_TEMPLATE) from error


def _is_in(filename: str, folder: Path | None) -> bool:
    return folder is not None and Path(filename).is_relative_to(folder)


def source_of(environment: jinja2.Environment, *names: str) -> str:
    """Style sheets or a script as they are."""
    if environment.loader is None:  # pragma: no cover  # environment_of sets one
        raise AssertionError
    return "\n".join(environment.loader.get_source(environment, name)[0] for name in names)


_WEB_FONTS: Final = (
    ("Inter", 400, "Inter-Regular"),
    ("Inter", 600, "Inter-SemiBold"),
    ("JetBrains Mono", 400, "JetBrainsMono-Regular"),
)


@functools.cache
def web_fonts() -> str:
    """The style that carries the fonts of the PDF, cut down to Latin letters and signs: a page asks no one for them."""
    folder = templates_folder() / "fonts" / "web"
    return "\n".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; src: url("data:font/woff2;base64,'
        f'{base64.b64encode((folder / f"{name}.woff2").read_bytes()).decode()}") format("woff2"); }}'
        for family, weight, name in _WEB_FONTS
    )


def folders_of(templates: Path | None) -> list[Path]:
    """Where files are looked for: the owner's folder, where there is one, wins."""
    return [folder for folder in (templates, templates_folder()) if folder is not None]


@functools.lru_cache(maxsize=4)
def environment_of(templates: Path | None) -> jinja2.Environment:
    """What templates are rendered in: their filters and words, and where they are looked for.

    One for each folder, so that a template is compiled once in a process, and again only where its file has changed.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders_of(templates)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension brings it
        language.gettext, language.ngettext, newstyle=True, pgettext=language.pgettext
    )
    environment.filters |= {
        **language.FORMATS,
        "counted": wording.counted,
        "span": wording.span,
        "capital": _capital,
        "store_title": title_of_store,
        "data": as_data,
        "part": part_in_words,
        "lang": lang_attribute,
        "whole_port": whole_port,
        "port_beside_link": port_beside_link,
    }
    environment.globals |= {
        "words": wording,
        "standings": STANDINGS,
        "words_of_clauses": CLAUSE_OUTCOMES,
        **{item.__name__: item for item in (Standing, Status, Goal, Severity, TargetStatus, ChangeKind, ClauseOutcome)},
    }
    return environment


def hash_of(text: str) -> str:
    """What a Content-Security-Policy wants of an inline style or script, line feeds as the browser normalises them."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def whole_port(text: str) -> Markup:
    """An address whose port stays on one line, however narrow the column: half a port reads as another one."""
    return Markup(_PORT.sub(r'<span class="port">\g<0></span>', str(escape(text))))  # noqa: S704  # escaped


def port_beside_link(text: str, anchor: str) -> Markup:
    """The same as a link on paper: in PDF an element inside of a link would be a second one, which PDF/UA forbids."""
    port = _PORT.search(text)
    linked, rest = (text[: port.start()], text[port.start() :]) if port else (text, "")
    return Markup('<a class="target" href="#{}">{}</a>{}').format(anchor, linked, whole_port(rest))


def lang_attribute(text: str) -> Markup:
    """The attribute that tells that an element's text is English on a page in another language (WCAG 3.1.2)."""
    foreign = isinstance(text, language.English) and not language.current().is_source
    return Markup(' lang="en"') if foreign else Markup()


def _capital(text: str) -> str:
    capital = text[:1].upper() + text[1:]
    return language.English(capital) if isinstance(text, language.English) else capital
