"""When a schedule is due: cron in a time zone, exactly once on the days on which the clocks change.

APScheduler's cron is asked for wall-clock times only, in a zone that has no changes; what they mean on the real clock
is decided here. A time that the clocks skip in spring is due when they have skipped it; one that comes twice in autumn
is due the first time. A schedule for every hour, whose hour begins with `*`, follows the elapsed time instead, as cron
does: it misses no hour and repeats none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from scanner.config_form import ScheduleForm
from scanner.errors import ConfigError, Problem
from scanner.service.windows import Window, end_of_windows

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Cron counts from Sunday, which is 0 and 7; APScheduler from Monday. Names mean the same to both."""
_FIELDS = ("second", "minute", "hour", "day", "month", "day_of_week")
_LOOK_BACK = timedelta(hours=3)
"""How far before a moment a wall-clock time may stand that is due after it: more than any clock is changed by."""
_STEP = timedelta(microseconds=1)
_LONGEST_SEARCH = 100_000


class ScheduleTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """The starts of one schedule. It is kept in the job store, so it holds plain values alone."""

    def __init__(self, cron: str, timezone: str, jitter: timedelta, windows: Sequence[Window], name: str) -> None:
        self.cron = cron
        self.timezone = timezone
        self.jitter = jitter
        self.windows = tuple(windows)
        self.name = name
        self._parts = _parts(cron)
        self._zone = ZoneInfo(timezone)
        self._by_elapsed_time = cron.split()[-4].startswith("*")

    def __getstate__(self) -> dict[str, Any]:
        return {
            "cron": self.cron,
            "timezone": self.timezone,
            "jitter": self.jitter,
            "windows": self.windows,
            "name": self.name,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # what is derived is derived again

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScheduleTrigger) and self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash((self.cron, self.timezone, self.name))

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first start after the previous one, or from now on; None where there is none any more."""
        after = now.astimezone(UTC) - _STEP if previous_fire_time is None else previous_fire_time.astimezone(UTC)
        for due in self._from(after - self.jitter):
            start = self._outside_windows(due + self._put_off(due))
            if start is None:
                return None
            if start > after:
                return start.astimezone(self._zone)
        return None

    def in_window_until(self, now: datetime) -> datetime | None:
        """When the window ends in which `now` lies; None outside of any."""
        end = self._outside_windows(now)
        return end if end is not None and end > now else None

    def _put_off(self, due: datetime) -> timedelta:
        """By how much this start is put off: another time for each, and the same when it is asked for again."""
        if not self.jitter:
            return timedelta(0)
        digest = hashlib.sha256(f"{self.name} {due.isoformat()}".encode()).digest()
        share = int.from_bytes(digest[:6], "big") / 2**48
        return timedelta(seconds=int(share * self.jitter.total_seconds()))

    def _outside_windows(self, moment: datetime) -> datetime | None:
        if not self.windows:
            return moment
        wall = moment.astimezone(self._zone).replace(tzinfo=None, fold=0)
        end = end_of_windows(self.windows, wall)
        return moment if end == wall else None if end is None else _instant(end, self._zone)

    def _from(self, after: datetime) -> Iterator[datetime]:
        """The moments from `after` on at which cron alone is due, in order."""
        return self._elapsed(after) if self._by_elapsed_time else self._fixed(after)

    def _fixed(self, after: datetime) -> Iterator[datetime]:
        # Back by a change of clocks: a wall-clock time before this one may be due after it.
        begin = after.astimezone(self._zone).replace(tzinfo=None, fold=0) - _LOOK_BACK
        last = after
        for _ in range(_LONGEST_SEARCH):
            wall = self._next_wall(begin)
            if wall is None:
                return
            due = _instant(wall, self._zone)
            if due > last:
                last = due
                yield due
            begin = wall + _STEP

    def _elapsed(self, after: datetime) -> Iterator[datetime]:
        moment = after + _STEP
        for _ in range(_LONGEST_SEARCH):
            offset = moment.astimezone(self._zone).utcoffset() or timedelta(0)
            wall = self._next_wall((moment + offset).replace(tzinfo=None))
            if wall is None:
                return
            due = wall.replace(tzinfo=UTC) - offset
            if due.astimezone(self._zone).utcoffset() == offset:
                yield due
                moment = due + _STEP
            else:
                moment = _change(moment, due, self._zone)

    def _next_wall(self, wall: datetime) -> datetime | None:
        moment = wall.replace(tzinfo=UTC)
        found = [due for part in self._parts if (due := part.get_next_fire_time(None, moment)) is not None]
        return min(found).replace(tzinfo=None) if found else None


def trigger_of(schedule: ScheduleForm, source: str) -> ScheduleTrigger:
    """The schedule's starts.

    Raises:
        ConfigError: its cron expression is none, or it never runs.
    """
    windows = [Window.of(form) for form in schedule.not_during]
    key = f"schedule[{schedule.name}]"
    try:
        jitter = schedule.jitter or timedelta(0)
        trigger = ScheduleTrigger(schedule.cron, schedule.timezone, jitter, windows, schedule.name)
    except ValueError as error:
        problem = Problem(f"{key}.cron", f"{error}, not {schedule.cron!r}", 'for 2:00: "0 2 * * *"')
        raise ConfigError(source, [problem]) from error
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
        problem = Problem(key, "never starts", "look at cron and not_during")
        raise ConfigError(source, [problem])
    return trigger


def _parts(cron: str) -> tuple[CronTrigger, ...]:
    """APScheduler's triggers for an expression: two where both day and weekday are given, either of which will do."""
    fields = cron.split()
    if len(fields) == len(_FIELDS) - 1:
        fields = ["0", *fields]
    if len(fields) != len(_FIELDS):
        raise ValueError("should have five fields, minute, hour, day, month and weekday, or six, seconds first")
    values = dict(zip(_FIELDS, fields, strict=True))
    values["day_of_week"] = _weekdays(values["day_of_week"])
    if values["day"].startswith("*") or values["day_of_week"].startswith("*"):
        return (CronTrigger(timezone=UTC, **values),)
    return tuple(CronTrigger(timezone=UTC, **{**values, name: "*"}) for name in ("day", "day_of_week"))


def _weekdays(field: str) -> str:
    """A field of weekdays with numbers as cron means them, by names."""
    return ",".join(name for part in field.lower().split(",") for name in _named(part))


def _named(part: str) -> list[str]:
    days, _, step = part.partition("/")
    first, dash, last = days.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        return [part]
    numbers = range(int(first), int(last if dash else ("6" if step else first)) + 1, int(step or 1))
    if not numbers or numbers[-1] >= len(_WEEKDAYS):
        raise ValueError("has weekdays that are not from 0 to 7")
    return list(dict.fromkeys(_WEEKDAYS[number] for number in numbers))


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which a wall-clock time comes first; where the clocks skip it, the one at which they do."""
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return moment
    return _change(moment - _LOOK_BACK, moment, zone)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The last moment between two at which the zone's offset changed, to the second."""
    target = after.astimezone(zone).utcoffset()
    low, high = before.replace(microsecond=0), after.replace(microsecond=0) + timedelta(seconds=1)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == target:
            high = middle
        else:
            low = middle
    return high
