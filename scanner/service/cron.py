"""When a schedule is due: cron in a time zone, exactly once on the days on which the clocks change.

A cron expression is asked for wall-clock times only; what they mean on the real clock is decided here. A time that the
clocks skip in spring is due when they have skipped it; one that comes twice in autumn is due the first time. A schedule
for every hour, whose hour begins with `*`, follows the elapsed time instead, as cron does: it misses no hour and
repeats none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger

from scanner.config.form import ScheduleForm
from scanner.errors import ConfigError, Problem
from scanner.service.cron_expression import CronError, CronExpression
from scanner.service.spelling import spelled
from scanner.service.windows import Window, end_of_windows

_LOOK_BACK = timedelta(hours=3)
"""How far before a moment a wall-clock time may stand that is due after it: more than any clock is changed by."""
_LARGEST_CHANGE = timedelta(hours=25)
"""How far a clock may be put forward: where the date line moved, a whole day was left out."""
_STEP = timedelta(microseconds=1)
_LONGEST_SEARCH = 100_000
_STARTS_LOOKED_AT = 400
"""A year and more of nightly starts, with both changes of the clocks."""


class ScheduleTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """The starts of one schedule. It is kept in the job store, so it holds plain values alone."""

    def __init__(self, cron: str, timezone: str, jitter: timedelta, windows: Sequence[Window], name: str) -> None:
        self.cron = cron
        self.timezone = timezone
        self.jitter = jitter
        self.windows = tuple(windows)
        self.name = name
        self._expression = CronExpression(cron)
        self._zone = ZoneInfo(timezone)

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
        return self._elapsed(after) if self._expression.every_hour else self._fixed(after)

    def _fixed(self, after: datetime) -> Iterator[datetime]:
        # Back by a change of clocks: a wall-clock time before this one may be due after it.
        begin = after.astimezone(self._zone).replace(tzinfo=None, fold=0) - _LOOK_BACK
        last = after
        for _ in range(_LONGEST_SEARCH):
            wall = self._expression.next_wall(begin)
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
            wall = self._expression.next_wall((moment + offset).replace(tzinfo=None))
            if wall is None:
                return
            due = wall.replace(tzinfo=UTC) - offset
            if due.astimezone(self._zone).utcoffset() == offset:
                yield due
                moment = due + _STEP
            else:
                moment = _change(moment, due, self._zone)

    def shortest_gap(self, now: datetime) -> timedelta | None:
        """The shortest time between two of the next starts, were none put off; None where there is one at most."""
        found = [due for due, _ in zip(self._from(now.astimezone(UTC)), range(_STARTS_LOOKED_AT), strict=False)]
        return min((after - before for before, after in pairwise(found)), default=None)


def trigger_of(schedule: ScheduleForm, source: str) -> ScheduleTrigger:
    """The schedule's starts.

    Raises:
        ConfigError: its cron expression is none, it never runs, or its jitter is longer than the time between starts.
    """
    windows = [Window.of(form) for form in schedule.not_during]
    key = f"schedule[{schedule.name}]"
    try:
        jitter = schedule.jitter or timedelta(0)
        trigger = ScheduleTrigger(schedule.cron, schedule.timezone, jitter, windows, schedule.name)
    except CronError as error:
        problem = Problem(f"{key}.cron", f'"{schedule.cron}": {error}', 'for 2:00: "0 2 * * *"')
        raise ConfigError(source, [problem]) from error
    now = datetime.now(UTC)
    if trigger.get_next_fire_time(None, now) is None:
        problem = Problem(key, "never starts", "look at cron and not_during")
        raise ConfigError(source, [problem])
    gap = trigger.shortest_gap(now) if jitter else None
    if gap is not None and jitter > gap:
        message = f"is {spelled(jitter)}, and the starts are {spelled(gap)} apart at times"
        problem = Problem(f"{key}.jitter", message, "a start that is put off must not come after the next")
        raise ConfigError(source, [problem])
    return trigger


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which a wall-clock time comes first; where the clocks skip it, the one at which they do."""
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return moment
    return _change(moment - _LARGEST_CHANGE, moment, zone)


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
