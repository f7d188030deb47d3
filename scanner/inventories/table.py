"""The forms of sources that can be read: one table, by name and by what files are called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from scanner.inventories.source import Contents, Options, refused

Reader = Callable[[str, bytes, Options], Contents]


@dataclass(frozen=True, slots=True)
class Source:
    """A form of sources: what people call it, the suffixes of its files, and what reads it (`module:function`)."""

    name: str
    title: str
    reader: str
    suffixes: tuple[str, ...] = ()

    def load(self) -> Reader:
        """Import what reads it; each parser loads when it is needed."""
        module, _, function = self.reader.partition(":")
        found: Reader = getattr(importlib.import_module(f"scanner.inventories.{module}"), function)
        return found


SOURCES: Final[Mapping[str, Source]] = {
    item.name: item
    for item in (
        Source("csv", "CSV", "tabular:read_csv", ("csv", "tsv")),
        Source("xlsx", "Excel workbook", "tabular:read_xlsx", ("xlsx", "xlsm")),
        Source("list", "plain list", "tabular:read_list", ("txt", "lst", "list")),
    )
}
"""Every form by its name."""


def read(name: str, data: bytes, options: Options, form: str | None = None) -> Contents:
    """Read a source.

    Args:
        name: of the file, for messages, and to tell its form by.
        data: its bytes.
        options: how it is read.
        form: its form, where it is not to be told by name and contents.

    Raises:
        ConfigError: its form cannot be told, or it is not of it.
    """
    chosen = form or form_of(name, data)
    if chosen is None:
        raise refused(name, "is of no known form", hint=f"say which by format: {', '.join(SOURCES)}")
    return SOURCES[chosen].load()(name, data, options)


def form_of(name: str, data: bytes) -> str | None:  # noqa: ARG001
    """The form of a file by its suffix; None where nothing tells."""
    suffix = PurePath(name).suffix[1:].lower()
    return next((item.name for item in SOURCES.values() if suffix in item.suffixes), None)
