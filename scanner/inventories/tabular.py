"""Tables by the names of their columns, CSV first of all; and plain lists."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from scanner.counting import counted
from scanner.errors import Problem, nearest
from scanner.inventories.source import (
    MOST_ROWS,
    Contents,
    Options,
    endpoint,
    located,
    problem,
    raise_all,
    refused,
    text_of,
)
from scanner.platform_words import KEYS

COLUMNS: Final = (
    "host", "port", "role", "starttls", "http_port", "xmpp_domain", "paths", "application", "kind", "https",
    "force_https_screens", "force_https_integrations", "environment", "owner", "contact", "labels",
)  # fmt: skip
"""The columns that a table may have, besides `label.NAME` for each label."""
_LABEL: Final = "label."
_LIST: Final = re.compile(r"[\s;,]+")
_FORMULA: Final = re.compile(r"=|[@+-][A-Za-z][A-Za-z0-9._]*\(")
"""What a spreadsheet computes: anything after an equals sign, and functions after the signs that stand for one."""
_ERROR: Final = re.compile(r"#(?:REF!|N/A|NAME\?|VALUE!|DIV/0!|NULL!|NUM!|SPILL!|CALC!)")
_HEADINGS: Final = frozenset(
    {*COLUMNS, "hosts", "hostname", "hostnames", "host name", "host_name", "fqdn", "domain", "address", "ip", "url"}
)
_QUOTED: Final = re.compile(r"'[=+\-@\t\r]")

_WITH_PATH: Final = re.compile(r"(?:(?:https|tls)://)?([^/\s]+)/(?!\d+$)[^/\s].*")
"""A host with a path; a number after the slash is the mask of a network."""

_WITH_PORT: Final = re.compile(r"((?:(?:https|tls)://)?(?:[^:/\s\[\]]+|\[[0-9A-Fa-f:.]+\])):(\d{1,5})/?")

Cells = tuple[int, Sequence[str]]
"""The number of a row, and its cells."""


def read_csv(name: str, data: bytes, options: Options) -> Contents:
    """Read CSV: commas, semicolons or tabs, as the first row tells.

    Raises:
        ConfigError: it is not CSV, or lacks a column.
    """
    return table_of(name, _csv_cells(name, text_of(name, data)), options)


def _csv_cells(name: str, text: str) -> Iterator[Cells]:
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise refused(name, f"is not CSV: {error}", reader.line_num) from error
        if cells is None:
            return
        yield begins, cells
        begins = reader.line_num + 1


def table_of(name: str, cells: Iterable[Cells], options: Options) -> Contents:
    """The rows of a table, whose first row names the columns.

    Raises:
        ConfigError: a column means nothing or is missing.
    """
    rows = iter(cells)
    head = next(((line, found) for line, found in rows if any(cell.strip() for cell in found)), None)
    if head is None:
        raise refused(name, "is empty", 1, "its first row names the columns: host, port, owner, …")
    keys = _keys(name, *head, options.columns)
    contents = Contents(name)
    problems = contents.problems
    for line, found in rows:
        if not any(cell.strip() for cell in found):
            continue
        if len(contents.rows) + len(problems) >= MOST_ROWS:
            raise refused(name, f"has more than {MOST_ROWS} rows", line, "split it, or leave out what is not scanned")
        if any(cell.strip() for cell in found[len(keys) :]):
            message = f"has {counted(len(found), 'cell')}, and there are names of {counted(len(keys), 'column')}"
            problems.append(problem("", message, place=f"{name}:{line}"))
            continue
        values = _values(dict(zip(keys, found, strict=False)), located(name, line), problems)
        if values is not None:
            contents.add(values, line)
    return contents


def _keys(name: str, line: int, cells: Sequence[str], columns: Mapping[str, str]) -> list[str | None]:
    """The key of each column; None for those that do not count."""
    given = [cell.strip() for cell in cells]
    place = located(name, line)
    problems: list[Problem] = []
    found: list[str | None] = []
    if columns:
        by_column = {column.casefold(): key for key, column in columns.items()}
        found = [by_column.get(cell.casefold()) for cell in given]
        folded = [cell.casefold() for cell in given]
        problems += (
            problem("", f'has no column "{column}"', nearest(column, given), place)
            for column in columns.values()
            if column.casefold() not in folded
        )
        problems += (
            problem("", f'"{key}" is not something that a column can hold', nearest(key, COLUMNS), place)
            for key in columns
            if key not in COLUMNS and not key.startswith(_LABEL)
        )
    else:
        for cell in given:
            key = re.sub(r"[\s-]+", "_", cell.casefold()) if not cell.casefold().startswith(_LABEL) else cell
            key = f"{_LABEL}{key[len(_LABEL) :]}" if key.casefold().startswith(_LABEL) else key
            found.append(key or None)
            if key and key not in COLUMNS and not key.startswith(_LABEL):
                guess = _guessed(cell)
                meant = f'did you mean "{guess}"?' if guess else nearest(key, COLUMNS)
                hint = f"{meant} {_mapped(given)}" if meant else f"{_KNOWN}; {_mapped(given)}"
                problems.append(problem("", f'has a column "{cell}", which means nothing', hint, place))
    if "host" not in found and not problems:
        hint = f"the first row names the columns; {_mapped(given)}"
        problems.append(problem("", 'has no column "host"', hint, place))
    problems += (
        problem("", f'has two columns for "{key}"', place=place)
        for key in dict.fromkeys(key for key in found if key and found.count(key) > 1)
    )
    raise_all(name, problems)
    return found


_KNOWN: Final = f"known: {', '.join(COLUMNS)}, label.NAME"


def _guessed(column: str) -> str | None:
    """What a column of another name holds, by the words that people use."""
    word = " ".join(re.split(r"[\s_-]+", column.casefold()))
    return next((key for key in KEYS.get(word, ()) if key in COLUMNS), None)


def _mapped(columns: Sequence[str]) -> str:
    """How the columns of a table are named: those that can be guessed, or how it is written."""
    found: dict[str, str] = {}
    for column in columns:
        key = re.sub(r"[\s-]+", "_", column.casefold())
        if meant := key if key in COLUMNS else _guessed(column):
            found.setdefault(meant, column)
    if "host" not in found or not all(map(_PLAIN.fullmatch, found.values())):
        return 'columns = { host = "…" }, or --column host=…, names your own'
    keys = ", ".join(f'{key} = "{column}"' for key, column in found.items())
    options = " ".join(f"--column {shlex.quote(f'{key}={column}')}" for key, column in found.items())
    return f"columns = {{ {keys} }}, or {options}"


_PLAIN: Final = re.compile(r"[\w .-]+")
"""A name of a column that needs no escape in TOML or a shell."""


def _values(cells: Mapping[str | None, str], place: str, problems: list[Problem]) -> dict[str, Any] | None:
    """The keys of a row; None, and what is wrong, where one of its cells cannot be used."""
    values: dict[str, Any] = {}
    labels: dict[str, str] = {}
    before = len(problems)
    for key, cell in cells.items():
        text = cell.strip()
        if not text or key is None:
            continue
        if wrong := _wrong(key, text):
            problems.append(problem(key, *wrong, place))
            continue
        text = text[1:] if _QUOTED.match(text) else text  # as spreadsheets are told that it is no formula
        if key.startswith(_LABEL) or key == "labels":
            said = [(key.removeprefix(_LABEL), text)] if key != "labels" else _labels(text, place, problems)
            for label, value in said:
                if label in labels:
                    problems.append(problem("labels", f'says "{label}" twice', "leave one out", place))
                labels[label] = value
        else:
            values[key] = [part for part in _LIST.split(text) if part] if key == "paths" else text
    if "host" not in values and len(problems) == before:
        problems.append(problem("host", "is empty", place=place))
    if labels:
        values["labels"] = labels
    return _completed(values) if len(problems) == before else None


def _wrong(key: str, text: str) -> tuple[str, str] | None:
    """What is wrong with a cell whatever its column holds, or with that of a host, and how to fix it."""
    if _FORMULA.match(text):
        return "is a formula", "paste its value instead"
    if _ERROR.fullmatch(text):
        return f"is an error of the spreadsheet, {text}", "repair it, or empty the cell"
    if key == "host" and (found := _WITH_PORT.fullmatch(text)):
        return f'"{text}" is a host with its port', f"write {found[1]} there, and {found[2]} in the column port"
    return None


def _labels(text: str, place: str, problems: list[Problem]) -> list[tuple[str, str]]:
    found = []
    for part in filter(None, re.split(r"\s*[;,]\s*", text)):
        name, sign, value = part.partition("=")
        if not sign:
            problems.append(problem("labels", f'"{part}" should be name=value; several by semicolons', place=place))
        found.append((name.strip(), value.strip()))
    return found


def _completed(values: dict[str, Any]) -> dict[str, Any]:
    """With what the port is known for, where the row does not say what is there."""
    port = str(values.get("port", ""))
    if port.isdecimal():
        values["port"] = int(port)
        if not values.keys() & {"role", "starttls", "application", "kind"}:
            known = endpoint(values["host"], int(port))
            return {**known, **values}
    return values


def read_list(name: str, data: bytes, options: Options) -> Contents:  # noqa: ARG001  # as all readers
    """Read a plain list: host, host:port or [v6]:port, one a line; what follows a # is left out.

    Raises:
        ConfigError: it is not UTF-8.
    """
    contents = Contents(name)
    problems = contents.problems
    first = True
    for line, text in enumerate(text_of(name, data).splitlines(), 1):
        words = text.partition("#")[0].split()
        if not words:
            continue
        heads, first = first and _is_heading(text.partition("#")[0]), False
        if heads:
            message = f'"{" ".join(words)}" names columns, not a host'
            hint = 'leave the line out, or read a table: --from csv, or format = "csv"'
            hint += f"; a host of that name is {words[0]}:443" if words[0].isalnum() and len(words) == 1 else ""
            problems.append(problem("", message, hint, f"{name}:{line}"))
            continue
        if len(words) > 1:
            message = f'"{" ".join(words)[:60]}" is more than a host'
            problems.append(
                problem("", message, "one a line, or name the columns of a table in the first row", f"{name}:{line}")
            )
            continue
        if found := _WITH_PATH.fullmatch(words[0]):
            hint = f"write only {found[1]}; paths are in the column paths of a table"
            problems.append(problem("", f'"{words[0]}" is more than a host', hint, f"{name}:{line}"))
            continue
        host, port = host_and_port(words[0])
        if port is not None and not 0 < port <= 65535:  # noqa: PLR2004  # the range of ports
            problems.append(
                problem("", f'"{words[0]}": the port must be a number from 1 to 65535', place=f"{name}:{line}")
            )
            continue
        contents.add(endpoint(host, port), line)
    return contents


def _is_heading(text: str) -> bool:
    """Whether the first line names columns: all of its words do."""
    return all(word.strip().casefold() in _HEADINGS for word in re.split(r"[,;\t]", text))


def host_and_port(text: str) -> tuple[str, int | None]:
    """The host and the port of `host:port`, `[v6]:port`, an address, or an https URL; the host as it is written."""
    text = re.sub(r"^(https|tls)://", "", text)
    if "://" not in text and not re.fullmatch(r"[^/]+/\d+", text):
        text = text.partition("/")[0]
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?", text)
    if bracketed:
        return bracketed[1], int(bracketed[2]) if bracketed[2] else None
    plain = re.fullmatch(r"([^:]*):(\d{1,5})", text)
    return (plain[1], int(plain[2])) if plain else (text, None)
