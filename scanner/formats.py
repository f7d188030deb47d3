"""The formats in which a run is written: one table, for commands, schedules, the schema of config.toml and the site.

What writes a format is named as `module:function` and not imported, so that the table costs nothing and each library
loads when its format is asked for. A new format is a line here, and its page in docs/reports.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Any, Final

from msgspec import Struct

Made = str | bytes | Iterable[bytes]
"""What a writer makes: the whole document, or piece by piece, each of whole characters, so that few are in memory."""


class WriterInput(Enum):
    """What a format is written from, which decides what its writer is given."""

    RECORD = auto()
    """The run alone: `writer(record)`."""
    RULES = auto()
    """The run, and the rules, which it describes: `writer(record, rules=…)`."""
    OWNERS = auto()
    """The run, and who answers: `writer(record, owners=…)`."""
    OWNED_RULES = auto()
    """The run, the rules, and who answers: `writer(record, rules=…, owners=…)`."""
    PAST = auto()
    """The same, since when failures last, and who answers: `writer(record, rules=…, first_seen=…, owners=…)`."""
    PLACES = auto()
    """The same, and the roles of consoles by path: `writer(record, rules=…, first_seen=…, owners=…, roles=…)`."""
    RENDERING = auto()
    """The run with the configuration that it was made with: `writer(rendering)`."""
    VIEW = auto()
    """The run beside its history and configuration: `writer(rendering, view)`."""
    TERMINAL = auto()
    """The run, the rules, and how wide and colourful the terminal is: `writer(record, rules=…, color=…, …)`."""


class Format(Struct, frozen=True):
    """A format: its name on the command line, the suffix of its files, and what writes it (`module:function`).

    `title` is what people call it. `syntaxes` are what its files are made of, where these are other formats': a file of
    SARIF is one of JSON too. `binary` is not for a terminal.
    """

    name: str
    title: str
    suffix: str
    writer: str
    source: WriterInput = WriterInput.RECORD
    binary: bool = False
    syntaxes: tuple[str, ...] = ()

    @property
    def drawn(self) -> bool:
        """Whether it is drawn for people from the view of a run, which tells its history too."""
        return self.source is WriterInput.VIEW

    def load(self) -> Callable[..., Made]:
        """Import what writes it."""
        return load(self.writer)


FORMATS: Final[Mapping[str, Format]] = {
    item.name: item
    for item in (
        Format("text", "Text", "txt", "reports.text:render_text", WriterInput.TERMINAL),
        Format("json", "JSON", "json", "reports.export.json.v1:json_pieces", WriterInput.PAST),
        Format("html", "HTML", "html", "scanner.jobs.drawing:html", WriterInput.VIEW),
        Format("pdf", "PDF", "pdf", "scanner.jobs.drawing:pdf", WriterInput.VIEW, binary=True),
        Format("sarif", "SARIF", "sarif", "reports.export.sarif:to_sarif", WriterInput.OWNED_RULES, syntaxes=("json",)),
        Format(
            "defectdojo",
            "DefectDojo",
            "dojo.json",
            "reports.export.defectdojo:to_defectdojo",
            WriterInput.PAST,
            syntaxes=("json",),
        ),
        Format(
            "evidence",
            "evidence",
            "evidence.json",
            "scanner.jobs.evidence_file:evidence_pieces",
            WriterInput.RENDERING,
            syntaxes=("json",),
        ),
        Format("junit", "JUnit", "junit.xml", "reports.export.junit:to_junit"),
        Format("csv", "CSV", "csv", "reports.export.csv:csv_pieces", WriterInput.PLACES, syntaxes=("text",)),
        Format(
            "csv-excel",
            "CSV for Excel",
            "excel.csv",
            "scanner.jobs.drawing:excel_csv",
            WriterInput.RENDERING,
            binary=True,
            syntaxes=("csv", "text"),
        ),
        Format("xlsx", "XLSX", "xlsx", "reports.export.xlsx:to_xlsx", WriterInput.OWNED_RULES, binary=True),
        Format(
            "openmetrics",
            "OpenMetrics",
            "om",
            "reports.export.openmetrics:to_openmetrics",
            WriterInput.OWNERS,
            syntaxes=("text", "prometheus"),
        ),
        Format(
            "prometheus",
            "Prometheus",
            "prom",
            "reports.export.openmetrics:to_prometheus",
            WriterInput.OWNERS,
            syntaxes=("text",),
        ),
        Format("cyclonedx", "CycloneDX", "cdx.json", "reports.export.cyclonedx:cyclonedx_pieces", syntaxes=("json",)),
        Format(
            "cyclonedx-1.7",
            "CycloneDX 1.7",
            "1.7.cdx.json",
            "reports.export.cyclonedx:cyclonedx_1_7_pieces",
            syntaxes=("json", "cyclonedx"),
        ),
        Format(
            "oscal", "OSCAL", "oscal.json", "reports.export.oscal:oscal_pieces", WriterInput.RULES, syntaxes=("json",)
        ),
    )
}
"""Every format by its name, in the order in which help lists them."""

VIEWS: Final = ("facts", "protocols", "ciphers", "certificate", "http", "clients")
"""What `scan --show` prints of what was seen: `facts` is all of it; `clients` is computed from it."""
DEFAULT_REPORTS: Final = ("html", "pdf")
"""What is written of a run where nobody says otherwise."""


def by_suffix(file_name: str) -> Format | None:
    """The format that the name of a file says; None where its suffix is none of the table's."""
    # The longest first: a file of OSCAL ends as one of JSON does.
    for item in sorted(FORMATS.values(), key=lambda item: -len(item.suffix)):
        if file_name.lower().endswith(f".{item.suffix}"):
            return item
    return None


def contradicts(name: str, file_name: str) -> Format | None:
    """The format that a file's suffix says where it is another than the one of that name, and cannot be meant."""
    said, meant = by_suffix(file_name), FORMATS[name]
    if said is None or said is meant or said.name in meant.syntaxes:
        return None
    return said


def pieces_of(made: Made) -> Iterator[bytes]:
    """A document in UTF-8, piece by piece."""
    if isinstance(made, str):
        yield made.encode()
    elif isinstance(made, bytes):
        yield made
    else:
        yield from made


def load(reference: str) -> Callable[..., Any]:
    """Import what `module:function` names."""
    module, _, name = reference.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
