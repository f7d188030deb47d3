"""Maintenance windows: times in which no scheduled run starts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from msgspec import Struct

from scanner.config.form import WindowForm

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONGEST_CHAIN = 400
"""Windows that follow each other without a gap are one; more than this many would be a schedule that never runs."""


class Window(Struct, frozen=True):
    """A window in local time: begins at `start` on each of `days` (0 is Monday) from `first` to `last`."""

    days: frozenset[int]
    start: time
    end: time
    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, form: WindowForm) -> Window:
        """The window that the configuration means."""
        days = frozenset(_DAYS.index(day) for day in form.days)
        return cls(days, form.start.replace(tzinfo=None), form.end.replace(tzinfo=None), form.first, form.last)

    def end_of(self, wall: datetime) -> datetime | None:
        """The end of the window that a local time without zone lies in; None where it lies in none."""
        for day in (wall.date(), wall.date() - timedelta(days=1)):
            begins = datetime.combine(day, self.start)
            ends = datetime.combine(day, self.end)
            if self.end <= self.start:
                ends += timedelta(days=1)
            if self._on(day) and begins <= wall < ends:
                return ends
        return None

    def _on(self, day: date) -> bool:
        after = self.first is None or day >= self.first
        before = self.last is None or day <= self.last
        return day.weekday() in self.days and after and before


def end_of_windows(windows: Sequence[Window], wall: datetime) -> datetime | None:
    """When the windows that `wall` lies in are all over: the time itself outside of any; None where they never end."""
    for _ in range(_LONGEST_CHAIN):
        ends = [end for window in windows if (end := window.end_of(wall)) is not None]
        if not ends:
            return wall
        wall = max(ends)
    return None
