"""Writes a run in the formats that were asked for: to stdout, to a file, or into a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from msgspec import Struct, field

from reports.export.formats import exported
from reports.facts import render_facts, render_overview
from scanner.errors import OutputError, UsageError
from scanner.formats import FORMATS, Made, WriterInput, by_suffix, contradicts, load, pieces_of
from scanner.jobs.destinations import (
    Data,
    descriptor_of,
    ensure_destination,
    ensure_writable,
    put,
    refuse_closed_stdout,
    whole,
)
from scanner.jobs.keeping import spared
from scanner.loading import all_in_use
from scanner.rules import all_rules
from scanner.untrusted import unturned_utf8

if TYPE_CHECKING:
    from datetime import datetime

    from reports.signature import SigningKey
    from reports.view import ReportOptions, ReportView
    from scanner.history import History
    from scanner.inventory import Environment, Role
    from scanner.ownership import Ownership
    from scanner.policy import Policy
    from scanner.verdict import RunRecord
    from scanner.waiver import Waiver

STDOUT = "-"
OVERVIEW = "overview"
_STDOUT_DESCRIPTOR = 1
_FOR_PEOPLE = ("text",)


class Rendering(Struct, frozen=True):
    """What a report is made of: the run, what it is compared with, how it is titled, and the key that signs it."""

    record: RunRecord
    previous: RunRecord | None = None
    policies: Sequence[Policy] = ()
    environments: Sequence[Environment] | None = None
    waivers: Sequence[Waiver] = ()
    history: History | None = None
    options: ReportOptions | None = None
    key: SigningKey | None = None
    signer: str | None = None
    """Who is said to sign where there is no key: whoever signed a report that is drawn again to compare it."""
    owners: Mapping[str, Ownership] = field(default_factory=dict)
    """Who answers for each endpoint (`environment/host:port`) today, whatever the configuration was at the time."""
    roles: Mapping[str, Mapping[str, Role]] = field(default_factory=dict)
    """Of the consoles at each endpoint, by their paths, as they are configured today."""
    color: bool = False
    width: int = 100
    verbose: bool = False
    pem: bool = False
    """Whether the facts print each certificate itself."""
    show: str | None = None
    """The view of the facts that is printed instead of the verdicts: one of `scanner.formats.VIEWS`, or "overview"."""

    def beside(self, first_seen: Mapping[tuple[str, str, str], datetime] | None) -> dict[str, Any]:
        """What the writers of tables and data are given besides the run, with since when something fails."""
        return {"rules": all_rules(), "first_seen": first_seen, "owners": self.owners, "roles": self.roles}


def render(rendering: Rendering, format_name: str, view: ReportView | None = None) -> bytes:
    """Render in one format. Each renderer is loaded when it is asked for; `view` is for those who draw twice."""
    return b"".join(rendered(rendering, format_name, view))


def rendered(rendering: Rendering, format_name: str, view: ReportView | None = None) -> Iterator[bytes]:
    """The same piece by piece: of the formats for programs little more than a target is in memory besides the run."""
    with all_in_use():
        yield from _rendered(rendering, format_name, view)


def _rendered(rendering: Rendering, format_name: str, view: ReportView | None) -> Iterator[bytes]:
    wanted = FORMATS[format_name]
    made: Made
    if wanted.source is WriterInput.TERMINAL and rendering.show == OVERVIEW:
        made = render_overview(rendering.record)
    elif wanted.source is WriterInput.TERMINAL and rendering.show is not None:
        made = render_facts(rendering.record, rendering.show, width=rendering.width, pem=rendering.pem)
    elif wanted.source is WriterInput.TERMINAL:
        made = str(
            wanted.load()(
                rendering.record,
                rules=all_rules(),
                color=rendering.color,
                width=rendering.width,
                verbose=rendering.verbose,
                owners=rendering.owners,
            )
        )
        if rendering.verbose:
            seen = render_facts(rendering.record, "facts", width=rendering.width, pem=rendering.pem)
            made = f"{made}\n{seen}"
    elif wanted.source is WriterInput.RENDERING:
        made = wanted.load()(rendering)
    elif wanted.source is WriterInput.VIEW:
        made = wanted.load()(rendering, view or _view(rendering))
    else:
        tells_past = wanted.source in {WriterInput.PAST, WriterInput.PLACES} and rendering.history is not None
        first_seen = load("scanner.jobs.history_answers:first_seen_of")(rendering) if tells_past else None
        yield from exported(rendering.record, format_name, **rendering.beside(first_seen))
        return
    for piece in pieces_of(made):
        yield piece if wanted.binary else unturned_utf8(piece)


def _view(rendering: Rendering) -> ReportView:
    """What the drawn formats share. What draws them is loaded here, and pandas with it."""
    view: ReportView = load("scanner.jobs.drawing:view_of")(rendering)
    return view


class Written(Struct, frozen=True):
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
            if FORMATS[item].drawn and view is None:
                with all_in_use():
                    view = _view(rendering)
            data = rendered(rendering, item, view)
            if stdout:
                _to_stdout(data, text=item in _FOR_PEOPLE)
                continue
            file = Path(str(output))
            if _is_folder(formats, file, str(output)):
                file /= f"{name}.{FORMATS[item].suffix}"
            ensure_destination(file)
            put(file, data)
            files.append(file)
    return Written(tuple(files), tuple(troubles), nothing=0 < len(formats) == len(troubles))


def formats_of(named: Sequence[str], output: str | None, default: Sequence[str]) -> Sequence[str]:
    """The formats to write: those that are named; else what the suffix of one file says; else the usual ones.

    Raises:
        UsageError: the one that is named is not what the suffix of the file says, or several are to go into one file.
    """
    if output is None or output.endswith(os.sep) or Path(output).is_dir():
        return named or default
    name = Path(output).name
    if len(named) > 1:
        if said := by_suffix(name):
            raise UsageError(
                f"{output} is named as a file of {said.title}, and {len(named)} formats were asked for: they go into a "
                f'folder (write "{output}{os.sep}" if it is to have that name)'
            )
        return named
    if not named:
        said = by_suffix(name)
        return (said.name,) if said else default
    if other := contradicts(named[0], name):
        raise UsageError(
            f"{output} is named as a file of {other.title}, and --format {named[0]} was asked for: omit one of them"
        )
    return named


def check_output(formats: Sequence[str], output: str | None, *, outages: bool = False) -> None:
    """See, before anything is scanned, that `write` will find a place for each format; `outages` of disks may pass.

    Raises:
        UsageError: several formats, or a PDF, were to go to a terminal's stdout.
        OutputError: it cannot be written to.
    """
    if goes_to_stdout(output):
        _refuse_for_stdout(formats)
        refuse_closed_stdout()
        return
    path = Path(str(output))
    if _is_folder(formats, path, str(output)):
        ensure_writable(path, outages=outages)
    else:
        ensure_destination(path)


def goes_to_stdout(output: str | None) -> bool:
    """Whether that is stdout, by whichever of its names."""
    return output is None or output == STDOUT or descriptor_of(Path(output)) == _STDOUT_DESCRIPTOR


def _is_folder(formats: Sequence[str], path: Path, named: str) -> bool:
    return len(formats) > 1 or path.is_dir() or named.endswith(os.sep)


def _refuse_for_stdout(formats: Sequence[str]) -> None:
    if len(formats) > 1:
        raise UsageError("several formats need a directory: name one with --output")
    if FORMATS[formats[0]].binary and sys.stdout.isatty():
        raise UsageError(f"{formats[0]} is not for a terminal: name a file with --output")


def _to_stdout(data: Data, *, text: bool) -> None:
    """Write to stdout; text for people in the encoding of the terminal, where programs are told UTF-8.

    Where its reader has gone away, that is the reader's affair, and no failure.

    Raises:
        OSError: it cannot be written.
    """
    with whole(data) as file:
        _copy_to_stdout(file, text=text)


def _copy_to_stdout(file: IO[bytes], *, text: bool) -> None:
    try:
        sys.stdout.flush()
        if text:
            sys.stdout.write(file.read().decode())
            sys.stdout.flush()
        else:
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    except OSError as error:
        # What is left in the buffer is written again as Python ends, which would fail with a status of its own.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OutputError(f"stdout cannot be written to: {error.strerror}") from error
