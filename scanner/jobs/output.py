"""Writes a run in the formats that were asked for: to stdout, to a file, or into a folder, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.errors import OutputError, UsageError
from scanner.jobs.keeping import spared

if TYPE_CHECKING:
    from reports.signature import SigningKey
    from reports.view import ReportOptions, ReportView
    from reports.view.history import HistoryAnswers
    from scanner.history import History
    from scanner.inventory import Environment
    from scanner.policy import Policy
    from scanner.verdict import RunRecord
    from scanner.waiver import Waiver

SUFFIXES = {
    "text": "txt",
    "json": "json",
    "html": "html",
    "pdf": "pdf",
    "sarif": "sarif",
    "junit": "junit.xml",
    "csv": "csv",
    "xlsx": "xlsx",
    "openmetrics": "prom",
    "cyclonedx": "cdx.json",
    "oscal": "oscal.json",
}
_DRAWN = frozenset({"html", "pdf"})
_BINARY = frozenset({"pdf", "xlsx"})
FORMATS = tuple(SUFFIXES)
STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a report is made of: the run, what it is compared with, how it is titled, and the key that signs it."""

    record: RunRecord
    previous: RunRecord | None = None
    policies: Sequence[Policy] = ()
    environments: Sequence[Environment] | None = None
    waivers: Sequence[Waiver] = ()
    history: History | None = None
    options: ReportOptions | None = None
    key: SigningKey | None = None
    color: bool = False
    width: int = 100
    verbose: bool = False


def render(rendering: Rendering, format_name: str, view: ReportView | None = None) -> bytes:
    """Render in one format. Each renderer is loaded when it is asked for; `view` is for those who draw twice."""
    from scanner.rules import all_rules  # noqa: PLC0415  # what a format needs loads with it

    if format_name == "text":
        from reports.text import render_text  # noqa: PLC0415  # the same

        return render_text(
            rendering.record,
            rules=all_rules(),
            color=rendering.color,
            width=rendering.width,
            verbose=rendering.verbose,
        ).encode()
    from reports.export.formats import export  # noqa: PLC0415  # the same

    if format_name not in _DRAWN:
        return export(rendering.record, format_name, rules=all_rules())
    from reports import render as drawing  # noqa: PLC0415  # the same

    view = view or _view(rendering)
    if format_name == "html":
        return drawing.render_html(view).encode()
    # The paper carries its evidence.
    run_id = rendering.record.run.id
    data = export(rendering.record, "json", rules=all_rules())
    table = export(rendering.record, "csv", rules=all_rules())
    pdf = drawing.render_pdf(
        view,
        attachments=[
            drawing.Attachment(f"{run_id}.json", data, "The run, as data"),
            drawing.Attachment(f"{run_id}.csv", table, "The verdicts, as a table"),
        ],
    )
    if rendering.key is None:
        return pdf
    from reports.signature import reason_for, sign_pdf  # noqa: PLC0415  # the same

    return sign_pdf(pdf, rendering.key, reason=reason_for(run_id, hashlib.sha256(data).hexdigest()))


def _view(rendering: Rendering) -> ReportView:
    from reports.view import ReportOptions, build_view  # noqa: PLC0415  # pandas loads with it
    from scanner.rules import all_rules  # noqa: PLC0415  # the same

    answers: HistoryAnswers | None = None
    if rendering.history is not None:
        from scanner.jobs.history_answers import answers_of  # noqa: PLC0415  # Delta loads with it

        answers = answers_of(rendering.history, rendering.record, rendering.previous)
    environments = rendering.environments
    return build_view(
        rendering.record,
        rules=all_rules(),
        environments={item.name: item for item in environments} if environments is not None else None,
        policies={policy.id: policy for policy in rendering.policies},
        waivers=rendering.waivers,
        previous=rendering.previous,
        history=answers,
        options=rendering.options or ReportOptions(),
    )


@dataclass(frozen=True, slots=True)
class Written:
    """What became of each format: the files that were written (none for stdout), and why others were not."""

    files: tuple[Path, ...] = ()
    troubles: tuple[str, ...] = ()
    nothing: bool = False
    """Not one of the formats was written."""


def write(rendering: Rendering, formats: Sequence[str], output: str | None, *, name: str) -> Written:
    """Write each format. One that cannot be drawn or written keeps no other from it.

    `output` is "-" or None for stdout (one format only), a folder (which is made), or, for one format, a file.

    Raises:
        UsageError: several formats, or a PDF, were to go to a terminal's stdout.
    """
    if output in {None, STDOUT}:
        if len(formats) > 1:
            raise UsageError("several formats need a folder: give one by --output")
        refuse_terminal(formats[0])
    folder_wanted = len(formats) > 1 or Path(str(output)).is_dir() or str(output).endswith(os.sep)
    files, troubles = list[Path](), list[str]()
    view: ReportView | None = None
    for item in formats:
        with spared(f"The {item} report was not written", troubles):
            if item in _DRAWN and view is None:
                view = _view(rendering)
            data = render(rendering, item, view)
            if output in {None, STDOUT}:
                _to_stdout(data)
                continue
            file = Path(str(output))
            file = file / f"{name}.{SUFFIXES[item]}" if folder_wanted else file
            ensure_writable(file.parent)
            write_whole(file, data)
            files.append(file)
    return Written(tuple(files), tuple(troubles), nothing=0 < len(formats) == len(troubles))


def refuse_terminal(format_name: str) -> None:
    """Refuse to write to a terminal what would only upset it.

    Raises:
        UsageError: stdout is one, and the format is not text.
    """
    if format_name in _BINARY and sys.stdout.isatty():
        raise UsageError(f"{format_name} is not for a terminal: give a file by --output")


def _to_stdout(data: bytes) -> None:
    """Write to stdout. Where its reader has gone away, that is the reader's affair, and no failure.

    Raises:
        OSError: it cannot be written.
    """
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        # What is left in the buffer is written again as Python ends, which would fail with a status of its own.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"stdout cannot be written to: {error.strerror}") from error


def ensure_writable(folder: Path) -> None:
    """Make a folder if it is not there, and see that files can be made in it.

    Raises:
        OutputError: neither can be had.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{folder} is not a folder: name another by --output or [nightseal] output") from error
    except OSError as error:
        hint = "name another folder by --output or [nightseal] output"
        raise OutputError(f"{folder} cannot be written to: {error.strerror} ({hint})") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
