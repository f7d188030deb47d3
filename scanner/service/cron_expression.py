"""Cron expressions, read as Debian's cron reads them, by cronsim. What is ambiguous or without effect is refused.

Five fields (minute, hour, day of the month, month, weekday), or six with seconds first. Each is `*`, a value, a range,
a step of either, or a list of these; months and weekdays have English names of three letters. Beyond Debian's cron:
`mon#1` is the first Monday of a month, `5L` its last Friday, `L` its last day, `LW` its last working day. Day and
weekday together mean either, unless one of them begins with `*`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from cronsim import CronSim, CronSimError
from msgspec import Struct

_ANY_TIME: Final = datetime(2026, 1, 1)  # noqa: DTZ001  # wall-clock time, in no zone
_STEP: Final = timedelta(microseconds=1)
_LONGEST: Final = 1000
_SHORTCUTS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_UNTIL_SUNDAY: Final = re.compile(r"\b(mon|tue|wed|thu|fri|sat|[1-6])-sun\b", re.IGNORECASE)


class _Field(Struct, frozen=True):
    """One place of an expression: what it is called, and how to write one that is right."""

    name: str
    example: str
    last: str
    """The last value, where steps end that say no end."""


_FIELDS: Final = (
    _Field("second", "0-59", "59"),
    _Field("minute", "0-59", "59"),
    _Field("hour", "0-23", "23"),
    _Field("day of the month", "1-31, L for the last, LW for the last working day", "31"),
    _Field("month", "1-12 or jan-dec", "dec"),
    _Field("weekday", "0-7 (0 and 7 are Sunday) or sun-sat, mon#1 for the first Monday, 5L for the last Friday", "sat"),
)
_WEEKDAY: Final = len(_FIELDS) - 1


class CronError(ValueError):
    """An expression that cannot be used; its message says what is wrong with which field, and what can be written."""


class CronExpression:
    """An expression that was read. Knows wall-clock times only.

    Raises:
        CronError: it is none.
    """

    def __init__(self, text: str) -> None:
        self.fields = _fields_of(text)
        self._text = " ".join(self.fields)

    @property
    def every_hour(self) -> bool:
        """Whether its hour begins with `*`, so that it is about elapsed time rather than a time of day."""
        return self.fields[-4].startswith("*")

    def next_wall(self, wall: datetime) -> datetime | None:
        """The first time, without a zone, that is not before `wall`; None where none comes within fifty years."""
        try:
            return next(CronSim(self._text, wall - _STEP))
        except StopIteration:
            return None


def _fields_of(text: str) -> tuple[str, ...]:
    given = text.split()
    written_out = _SHORTCUTS.get(text.strip().lower())
    if written_out:
        raise CronError(f'short forms are not supported: write "{written_out}"')
    if len(given) not in {len(_FIELDS) - 1, len(_FIELDS)} or len(text) > _LONGEST:
        raise CronError("should have five fields, minute, hour, day, month and weekday, or six, seconds first")
    # To cron Sunday is 0; at the end of a range it can only be the 7 that cron takes for it too.
    given[-1] = _UNTIL_SUNDAY.sub(r"\1-7", given[-1])
    fields = given if len(given) == len(_FIELDS) else ["0", *given]
    for position, (field, value) in enumerate(zip(_FIELDS, fields, strict=True)):
        for term in value.split(","):
            _check(field, position, term)
    try:
        CronSim(" ".join(fields), _ANY_TIME)
    except CronSimError as error:
        # Each field is right by itself: the day is in none of the months.
        raise CronError(f'never starts: no such month has a day "{fields[3]}"') from error
    return tuple(fields)


def _check(field: _Field, position: int, term: str) -> None:
    """Refuse one term of a field that cannot be read, and a step that means nothing."""
    about = f'its {field.name} "{term}"'
    values, slash, step = term.partition("/")
    if slash and values and step and not step.strip("0"):
        raise CronError(f"{about} has a step of zero: a step is 1 or more")
    try:
        found = _values_of(term, position)
    except (CronSimError, ValueError) as error:
        raise CronError(f"{about} is not one: it can be {field.example}{_likely(field, term)}") from error
    if not slash:
        return
    # cronsim reads the step of a range of one value as one without an end: "2-2/3" as "2-59/3".
    alone, ranged = len(_values_of(values, position)) == 1, "-" in values
    if (alone and ranged) or len(found) == 1:
        smaller = "" if alone else ", or a smaller step"
        raise CronError(f"{about} has a step that leaves one value: write that one{smaller}")
    if alone and not ranged:
        # Debian's cron refuses it, and others mean different things by it.
        raise CronError(f'{about} does not say where the steps end: write "{values}-{field.last}/{step}"')


def _values_of(term: str, position: int) -> frozenset[object]:
    """The values of one term of a field.

    Raises:
        CronSimError: it is none.
    """
    expression = ["*"] * len(_FIELDS)
    expression[position] = term or "-"
    found = CronSim(" ".join(expression), _ANY_TIME)
    sets = (found.seconds, found.minutes, found.hours, found.days, found.months, found.weekdays)
    return frozenset(map(_day, sets[position]) if position == _WEEKDAY else sets[position])


def _day(weekday: object) -> object:
    """Sunday is 0 and 7."""
    return weekday % 7 if isinstance(weekday, int) else weekday


def _likely(field: _Field, term: str) -> str:
    """A likely reason why a term cannot be read."""
    first, dash, last = term.partition("/")[0].partition("-")
    if dash and first and last:
        if field.name in {"weekday", "month"}:
            return ", and a range begins with the lower: a week begins with Sunday, a year with January"
        if first.isdecimal() and last.isdecimal() and int(first) > int(last):
            return ", and a range begins with the lower"
    return ""
