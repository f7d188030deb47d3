"""Workbooks of Excel (XLSX), read as tables."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, Final

import openpyxl

from scanner.errors import ConfigError, nearest
from scanner.inventories.source import Contents, Options, problem, refused
from scanner.inventories.tabular import Cells, table_of

_MOST_UNPACKED: Final = 256 << 20
"""Bytes of an unpacked workbook: its parts are XML, of which a small file can hold very much."""
_MOST_EMPTY: Final = 1000
_MOST_NAMED: Final = 10


def read_xlsx(name: str, data: bytes, options: Options) -> Contents:
    """Read a sheet of a workbook; of a formula it is not known what it would give.

    Raises:
        ConfigError: it is not a workbook, lacks the sheet or a column, or a cell is none that can be used.
    """
    book = _opened(name, data, options.sheet)
    page = book[options.sheet] if options.sheet is not None else book.worksheets[0]
    try:
        return table_of(name, _cells(name, page), options)
    except ConfigError as error:
        others = [item.title for item in book.worksheets if item is not page]
        if options.sheet is not None or not others:
            raise
        hint = f'say which one is meant: --sheet, or sheet = "{others[0]}"; there are {", ".join(others[:_MOST_NAMED])}'
        told = problem("", f'the first sheet, "{page.title}", was read', hint, name)
        raise ConfigError(name, [*error.problems, told]) from error


def _opened(name: str, data: bytes, sheet: str | None) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > _MOST_UNPACKED:
            raise refused(name, f"expands to {unpacked >> 20} MiB, so it is not a list of hosts")
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, SyntaxError) as error:
        raise refused(name, "is not a workbook of Excel (XLSX)", hint="save it as XLSX or as CSV UTF-8") from error
    if sheet is not None and sheet not in book.sheetnames:
        raise refused(name, f'has no sheet "{sheet}"', hint=nearest(sheet, book.sheetnames))
    return book


def _cells(name: str, page: Any) -> Iterator[Cells]:
    empty = 0
    try:
        for number, cells in enumerate(page.iter_rows(), 1):
            values = [_cell_text(cell) for cell in cells]
            empty = 0 if any(values) else empty + 1
            if empty > _MOST_EMPTY:
                return  # a sheet may claim a million rows of which none holds anything
            yield number, values
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, SyntaxError) as error:
        raise refused(name, "is a damaged workbook", hint="save it again") from error


def _cell_text(cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()  # a day: Excel knows only moments
    if isinstance(value, date | time):
        return value.isoformat()
    if cell.data_type == "f":
        return f"={str(value).removeprefix('=')}"
    return str(value)
