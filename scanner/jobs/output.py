"""Writes a run in the formats that were asked for: to stdout, to a file, or into a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.errors import OutputError, UsageError
from scanner.jobs.keeping import spared
from scanner.jobs.places import descriptor_of, ensure_place, ensure_writable, put

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
_STDOUT_DESCRIPTOR = 1


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

    `output` is "-" or None for stdout (one format only), a folder (which is made), or, for one format, a file or
    whatever else can be written into.

    Raises:
        UsageError: several formats, or a PDF, were to go to a terminal's stdout.
    """
    stdout = goes_to_stdout(output)
    if stdout:
        _refuse_for_stdout(formats)
    files, troubles = list[Path](), list[str]()
    view: ReportView | None = None
    for item in formats:
        with spared(f"The {item} report was not written", troubles):
            if item in _DRAWN and view is None:
                view = _view(rendering)
            data = render(rendering, item, view)
            if stdout:
                _to_stdout(data)
                continue
            file = Path(str(output))
            if _is_folder(formats, file, str(output)):
                file /= f"{name}.{SUFFIXES[item]}"
            ensure_place(file)
            put(file, data)
            files.append(file)
    return Written(tuple(files), tuple(troubles), nothing=0 < len(formats) == len(troubles))


def formats_of(named: Sequence[str], output: str | None, default: Sequence[str]) -> Sequence[str]:
    """The formats to write: those that are named; else what the suffix of one file says; else the usual ones."""
    if named or output is None or output.endswith(os.sep) or Path(output).is_dir():
        return named or default
    # The longest first: a file of OSCAL ends as one of JSON does.
    for item, suffix in sorted(SUFFIXES.items(), key=lambda pair: -len(pair[1])):
        if Path(output).name.lower().endswith(f".{suffix}"):
            return (item,)
    return default


def check_output(formats: Sequence[str], output: str | None) -> None:
    """See, before anything is scanned, that `write` will find a place for each format.

    Raises:
        UsageError: several formats, or a PDF, were to go to a terminal's stdout.
        OutputError: it cannot be written to.
    """
    if goes_to_stdout(output):
        _refuse_for_stdout(formats)
        return
    path = Path(str(output))
    if _is_folder(formats, path, str(output)):
        ensure_writable(path)
    else:
        ensure_place(path)


def goes_to_stdout(output: str | None) -> bool:
    """Whether that is stdout, by whichever of its names."""
    return output is None or output == STDOUT or descriptor_of(Path(output)) == _STDOUT_DESCRIPTOR


def _is_folder(formats: Sequence[str], path: Path, named: str) -> bool:
    return len(formats) > 1 or path.is_dir() or named.endswith(os.sep)


def _refuse_for_stdout(formats: Sequence[str]) -> None:
    if len(formats) > 1:
        raise UsageError("several formats need a folder: give one by --output")
    for item in _BINARY.intersection(formats):
        if sys.stdout.isatty():
            raise UsageError(f"{item} is not for a terminal: give a file by --output")


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
