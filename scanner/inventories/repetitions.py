"""Several files that speak of the same hosts, and rows that a chosen environment does not take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from scanner.errors import Problem
from scanner.inventories.source import Contents, Row, located, problem
from scanner.inventory import Role, address_of

_OF_PLACES: Final = frozenset({"host", "port", "environment", "role", "application"})
"""What tells one row from another, so that two of the same do not differ in it."""
_OWNED: Final = frozenset({"owner", "contact", "labels"})


def only_of(contents: Contents, environment: str) -> Contents:
    """A source without the rows that name another environment: each is counted, with its line."""
    rows = []
    for row in contents.rows:
        named = str(row.values.get("environment", environment))
        if named.casefold() == environment.casefold():
            rows.append(row)
        else:
            where = f"{located(contents.name, row.line, row.part)} {row.host} ({named})"
            contents.leave_out("row", f'of another environment than "{environment}"', where)
    return replace(contents, rows=rows)


def without_repetitions(found: Sequence[Contents], environment_of: Callable[[Row], str]) -> list[Contents]:
    """Several sources with each host once, where a later one says no more of it than an earlier one.

    What two files say otherwise of one host is a problem of the later one, and so is what a single file says twice,
    whether another file has that host or not.
    """
    result = []
    seen: dict[tuple[object, ...], tuple[Row, str]] = {}
    for item in found:
        rows: list[Row] = []
        problems: list[Problem] = []
        here: dict[tuple[object, ...], str] = {}
        for row in item.rows:
            key, place = _identity(row, environment_of), located(item.name, row.line, row.part)
            earlier, where = seen.get(key, (None, ""))
            if earlier is None:
                rows.append(row)  # what one file alone says twice is told where its rows are taken
            elif key in here:
                problems.append(problem("", f"{row.host} is already listed at {here[key]}", "leave one out", place))
            elif more := ", ".join(_otherwise(row, earlier)):
                problems.append(problem("", f"{row.host} is already listed at {where}, {more}", _HINT, place))
            else:
                item.leave_out("host", "named by another file, too", address_of(*row.place))
            here.setdefault(key, place)
        for row in rows:
            seen.setdefault(_identity(row, environment_of), (row, located(item.name, row.line, row.part)))
        result.append(replace(item, rows=rows, problems=[*item.problems, *problems]))
    return result


_HINT: Final = "leave one out, or name the file first that says more"


def _identity(row: Row, environment_of: Callable[[Row], str]) -> tuple[object, ...]:
    role = str(row.values.get("role", Role.APPLICATION.value))
    return (*row.place, environment_of(row), role, row.values.get("application"))


def _otherwise(row: Row, earlier: Row) -> Iterator[str]:
    """What a row says otherwise than an earlier one of the same host, or says and that one does not."""
    keys = [
        key for key, value in row.values.items() if key not in _OF_PLACES and not _says(earlier.values.get(key), value)
    ]
    if _OWNED.intersection(keys):
        yield "with another owner or other labels"
    if others := [key for key in keys if key not in _OWNED]:
        yield f"which says otherwise or nothing of its {' and '.join(others)}"


def _says(earlier: Any, value: Any) -> bool:
    """Whether what was said earlier has all of it: of labels, each that is said again."""
    if isinstance(earlier, dict) and isinstance(value, dict):
        return value.items() <= earlier.items()
    return bool(earlier == value)
