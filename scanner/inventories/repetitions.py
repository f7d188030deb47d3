"""Several files that speak of the same hosts, and rows that a chosen environment does not take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct, field, structs

from scanner.errors import Problem
from scanner.inventories.source import Contents, Mention, Row, located, problem
from scanner.inventory import Role, address_of

_OF_PLACES: Final = frozenset({"host", "port", "environment"})
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
    return structs.replace(contents, rows=rows)


def joined(
    found: Sequence[Contents], environment_of: Callable[[Row], str], *, usual: int | None = None, apart: bool = False
) -> list[Contents]:
    """Several sources with each host once, of which each says what all of them say together.

    A row that says no more than where a host is, and whose, is of all that others say is there; where such rows stay
    `apart`, whoever takes them gives what they say to all that has nothing of its own. What two files say otherwise of
    one thing is a problem of the later one, and so is what a single file says twice, whether another file has that
    host or not. What names no port is at the `usual` one.
    """
    by_place: dict[tuple[str, int], list[_Taken]] = {}
    results = []
    for item in found:
        taken: list[_Taken] = []
        problems: list[Problem] = []
        here: dict[tuple[object, ...], str] = {}
        for row in item.rows:
            there = row.place_at(usual)
            key, place = (environment_of(row), *there, *_identity(row)), located(item.name, row.line, row.part)
            known = [other for other in by_place.get(there, ()) if _in_one(other.row, row, environment_of)]
            if apart:
                known = [other for other in known if is_bare(other.row) == is_bare(row)]
            meant = _meant(row, known)
            if key in here and known:
                problems.append(problem("", f"{row.host} is already listed at {here[key]}", "leave one out", place))
            elif all(is_bare(other.row) for other in meant) and not is_bare(row):
                # What is there is said here; what was said of the host alone is said of it, too.
                mine = _Taken(item, row)
                for other in meant:
                    problems += mine.join(other.source.name, other.row)
                    other.give_up()
                taken.append(mine)
            elif meant:
                said = [wrong for other in meant for wrong in other.join(item.name, row)]
                problems += said
                item.leave_out("host", "named by another file, too", address_of(*row.place))
            else:
                taken.append(_Taken(item, row))
            here.setdefault(key, place)
        for mine in taken:
            by_place.setdefault(mine.row.place_at(usual), []).append(mine)
        results.append((item, taken, problems))
    return [
        structs.replace(item, rows=[mine.row for mine in taken if not mine.gone], problems=[*item.problems, *problems])
        for item, taken, problems in results
    ]


class _Taken(Struct):
    """A row with what other files say of the same; `gone` where their rows say all that it does."""

    source: Contents
    row: Row
    gone: bool = field(default=False)

    def give_up(self) -> None:
        if not self.gone:
            self.source.leave_out("host", "named by another file, too", address_of(*self.row.place))
        self.gone = True

    def join(self, name: str, other: Row) -> list[Problem]:
        """Add what a row of another file says; problems, where it says something otherwise."""
        values, said = dict(self.row.values), dict(self.row.said)
        problems = []
        for way, value in _said(other):
            origin = other.said.get(way, Mention(name, other.line, other.part))
            before = _at(values, way)
            if before is None:
                _put(values, way, value)
                said[way] = origin
            elif not _same(way, before, value):
                where = said.get(way, Mention(self.source.name, self.row.line, self.row.part))
                column = ".".join(way).replace("labels.", "label.")
                message = f'of {other.host} is "{_shown(value)}", and at {where} it is "{_shown(before)}"'
                problems.append(problem(column, message, "make them the same, or empty one", str(origin)))
        self.row = structs.replace(self.row, values=values, said=said)
        return problems


def _in_one(one: Row, other: Row, environment_of: Callable[[Row], str]) -> bool:
    """Whether two rows may be of one environment; a row that names none may be of any."""
    named = "environment" in one.values and "environment" in other.values
    return not named or environment_of(one) == environment_of(other)


def _meant(row: Row, known: Sequence[_Taken]) -> list[_Taken]:
    """Of what is known at a place, that of which a row speaks: the same thing, or all where one says only the place."""
    if is_bare(row):
        return [other for other in known if not other.gone] or list(known)
    same = [other for other in known if not is_bare(other.row) and _identity(other.row) == _identity(row)]
    return same or [other for other in known if is_bare(other.row)]


def is_bare(row: Row) -> bool:
    """Whether it says only where a host is, and whose."""
    return not row.values.keys() - _OF_PLACES - _OWNED


def _identity(row: Row) -> tuple[object, ...]:
    """What tells one row from another of the same place, as far as it says so."""
    return str(row.values.get("role", Role.APPLICATION.value)), row.values.get("application")


def _said(row: Row) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What a row says besides where it is: each with the way to it."""
    for key, value in row.values.items():
        if key == "labels":
            yield from ((("labels", name), text) for name, text in value.items())
        elif key not in {"host", "port"}:
            yield (key,), value


def _at(values: dict[str, Any], way: tuple[str, ...]) -> Any:
    return values.get(way[0]) if len(way) == 1 else values.get(way[0], {}).get(way[1])


def _put(values: dict[str, Any], way: tuple[str, ...], value: Any) -> None:
    values[way[0]] = value if len(way) == 1 else {**values.get(way[0], {}), way[1]: value}


def _same(way: tuple[str, ...], one: Any, other: Any) -> bool:
    """Whether two files say the same; the name of an environment in whatever case."""
    first, second = str(one), str(other)
    return first == second or (way == ("environment",) and first.casefold() == second.casefold())


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
