"""The site of all runs in the output folder: written anew whenever a report is, and when old reports go."""

from __future__ import annotations

import contextlib
import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import scanner
from reports import render
from reports.view import site
from reports.view.site import ReportFile
from scanner.errors import OutputError
from scanner.formats import FORMATS
from scanner.history import questions
from scanner.history.scope import ConfiguredScope
from scanner.jobs.destinations import ensure_writable, write_whole
from scanner.jobs.reporting import report_options

if TYPE_CHECKING:
    from reports.view import ReportOptions
    from reports.view.site import SiteView
    from scanner.config.loading import Config
    from scanner.history import History

MARK: Final = '<meta name="generator" content="Nightseal'
"""What tells our own pages from others that are called so."""
_HEAD_BYTES: Final = 8192
_MONTH_PAGE: Final = re.compile(r"index-\d{4}-\d{2}\.html")
_LOG = logging.getLogger(__name__)


def update_site(config: Config, history: History, written: Sequence[Path] | None = None) -> Path | None:
    """Write the site into the output folder; return its first page, if it was written.

    With `written`, the reports that were just written, only if one of them went there. A file of the owner's that is
    called like one of the pages stays as it is, and so does the rest.

    Raises:
        HistoryError: the history cannot be read.
        OutputError: a page cannot be written.
    """
    folder = output_folder(config)
    if written is not None and folder.resolve() not in {path.parent.resolve() for path in written}:
        return None
    try:
        return write_site(config, history, folder)
    except ForeignPageError as error:
        _LOG.warning("%s", error)
        return None
    finally:
        open_reports(config)


def open_reports(config: Config) -> None:
    """Let others read reports and pages in the output folder, as far as the configuration says, no others."""
    mode, folder = config.form.nightseal.output_mode, output_folder(config)
    if mode is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        ours = REPORT_NAME.fullmatch(path.name) or path.name == "index.html" or _MONTH_PAGE.fullmatch(path.name)
        if ours and path.is_file() and not path.is_symlink():
            # One of another user's is theirs to open.
            with contextlib.suppress(PermissionError):
                path.chmod(int(mode, 8))


class ForeignPageError(OutputError):
    """A file in the folder is called like a page of the site, and is not one."""


def output_folder(config: Config) -> Path:
    """Where reports go unless the command line says otherwise."""
    return Path(config.resolve(config.form.nightseal.output))


def write_site(config: Config, history: History, folder: Path) -> Path:
    """Write all pages into a folder, each whole or not at all, the first one last; return that one.

    Raises:
        HistoryError: the history cannot be read.
        ForeignPageError: a file is there that is not ours.
        OutputError: a page cannot be written.
    """
    ensure_writable(folder)
    options = report_options(config)
    for _ in range(_ATTEMPTS):
        files = report_files(folder)
        first = _write_pages(_view(config, history, files, options), folder)
        if report_files(folder) == files:
            break
    return first


_ATTEMPTS: Final = 3
"""Runs that end together each write the pages: the last to write must have seen the reports of all."""


def _write_pages(view: SiteView, folder: Path) -> Path:
    pages = {folder / name: text.encode() for name, text in render.render_site(view).items()}
    for path in pages:
        if path.exists() and not _is_ours(path):
            raise ForeignPageError(f"{path} is not a page of Nightseal, so the site of all runs is not written there")
    for path, data in reversed(pages.items()):
        write_whole(path, data)
    for path in folder.glob("index-*.html"):
        if path not in pages and _MONTH_PAGE.fullmatch(path.name) and _is_ours(path):
            path.unlink(missing_ok=True)
    return next(iter(pages))


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return MARK.encode() in file.read(_HEAD_BYTES)


def _view(
    config: Config, history: History, files: Mapping[str, Sequence[ReportFile]], options: ReportOptions
) -> SiteView:
    runs = history.runs(columns=site.RUN_COLUMNS)
    scope = ConfiguredScope.of(config.inventory)
    counted, drawn = site.runs_to_count(runs, questions.current_of(runs).values())
    facts = site.SiteFacts(
        runs=runs,
        counts=questions.trend(history, sorted(counted)),
        coverage=questions.coverage(history, sorted(drawn)),
        expiries=questions.next_expiry(history, sorted(drawn)),
        files=files,
        late=_late_runs(config),
        configured=scope.environments if scope is not None else None,
    )
    return site.site_view(facts, options=options, tool_version=scanner.__version__)


def report_files(folder: Path) -> Mapping[str, Sequence[ReportFile]]:
    """The reports that are in a folder, by run, in the order of the formats."""
    found: dict[str, list[ReportFile]] = defaultdict(list)
    names = {path.name for path in folder.iterdir() if path.is_file()}
    for item in sorted(FORMATS.values(), key=lambda item: not item.drawn):
        for name in names:
            match = REPORT_NAME.fullmatch(name)
            # Whoever looks for the report of a run looks for that of all of it.
            if match and match["suffix"] == item.suffix and match["part"] is None:
                found[match["run"]].append(ReportFile(item.name, name))
    return found


REPORT_NAME: Final = re.compile(
    r"(?P<run>(?P<moment>\d{8}T\d{6})Z-[0-9a-f]{6})(?:\.(?P<part>(?:environment|owner|label|rules|without)-[\w-]+))?\.(?P<suffix>"
    + "|".join(re.escape(item.suffix) for item in FORMATS.values())
    + ")"
)
"""How the reports in an output folder are called: by run, the part of it that they are about, if any, and format."""


def _late_runs(config: Config) -> Mapping[str, timedelta]:
    """Which runs the service began late, and by how much, as far as it remembers."""
    state = Path(config.resolve(config.form.daemon.state))
    if not state.is_file():
        return {}
    from scanner.jobs.late_runs import late_runs  # noqa: PLC0415  # the database loads only where there is a service

    return late_runs(state)
