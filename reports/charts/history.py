"""Charts of the last 90 days: a row, a panel or a line for each environment; for a report, its coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from reports.charts.drawing import (
    FAILED,
    GOAL_COLOURS,
    HAIRLINE,
    INK,
    MUTED,
    PASSED,
    UNKNOWN,
    WAIVED,
    Chart,
    chart_of,
    course,
    framed,
    legend,
    line_ends,
    short,
)
from reports.language import gettext, mark, number, pgettext
from reports.view.standing import STANDINGS, Standing
from reports.wording import GOALS, counted
from scanner.verdict import Goal

if TYPE_CHECKING:
    from reports.view.history_model import CoveragePoint
    from reports.view.site import EnvironmentSeen, Point, SiteView

STRIPS: Final = 15
"""Environments in the chart of standings."""
PANELS: Final = 6
"""Environments in the others: each takes a panel or a line."""
_BARS: Final[Mapping[Standing, tuple[str, float]]] = {
    Standing.FAILED: (FAILED, 0.84),
    Standing.UNKNOWN: (UNKNOWN, 0.62),
    Standing.WAIVED: (WAIVED, 0.46),
    Standing.COMPLIANT: (PASSED, 0.3),
    Standing.EMPTY: (HAIRLINE, 0.1),
}
"""The colour of each standing and its height in the row: what is worse is higher, and reads without colour."""
_GROUND: Final = 0.92
_PLOT: Final = 440
_ABREAST: Final = 3
_LONG_ENDED: Final = -14
"""An end that is longer past is drawn no lower: what is to come must stay readable."""
_STATES: Final = (
    ("assessed", mark("Assessed"), PASSED),
    ("partial", mark("In part"), UNKNOWN),
    ("unreachable", mark("Unreachable"), FAILED),
)


def site_charts(view: SiteView) -> dict[str, Chart]:
    """All charts for which there are two days to draw."""
    shown = [item for item in view.environments if len(item.points) > 1]
    if not shown:
        return {}
    charts = {
        "standings": _standings(shown[:STRIPS]),
        "failures": _failures(shown[:PANELS]),
        "coverage": _coverage(shown[:PANELS]),
        "expiry": _expiry(shown[:PANELS]),
    }
    return {name: chart for name, chart in charts.items() if chart is not None}


def _standings(shown: Sequence[EnvironmentSeen]) -> Chart:
    """A row for each environment, a bar for each day on which it was scanned."""
    rows = [_bar(row, point) for row, item in enumerate(shown) for point in item.points]
    names = [{"name": short(item.name), "at": row + 0.78} for row, item in enumerate(shown)]
    lines = [{"at": row + _GROUND} for row in range(len(shown))]
    scale = alt.Scale(domain=[0, len(shown)], reverse=True)
    bars = (
        _named("bars")
        .mark_rect()
        .encode(
            x=alt.X("from:T", title=None, scale=_days(_moments(shown)), axis=_day_axis()),
            x2="to:T",
            y=alt.Y("top:Q", axis=None, scale=scale),
            y2="bottom:Q",
            color=legend(
                "state",
                [
                    (STANDINGS[standing], colour)
                    for standing, (colour, _) in _BARS.items()
                    if standing in {point.standing for item in shown for point in item.points}
                ],
            ),
        )
    )
    labels = (
        _named("names")
        .mark_text(align="right", color=INK, fontSize=10)
        .encode(x=alt.value(-10), y=alt.Y("at:Q", axis=None, scale=scale), text="name:N")
    )
    ground = _named("lines").mark_rule(color=HAIRLINE).encode(y=alt.Y("at:Q", axis=None, scale=scale))
    chart = (ground + bars + labels).properties(width=_PLOT, height=30 * len(shown))
    said = "; ".join(
        f"{item.name}: {course(item.points, lambda point: STANDINGS[point.standing].lower())}" for item in shown
    )
    return chart_of(
        "standings",
        gettext("How each environment stood, day by day; the higher the bar, the worse"),
        said,
        framed(chart.to_dict(), left=20 + 6 * max(len(short(item.name)) for item in shown), right=20, bottom=56)
        | _data(bars=rows, names=names, lines=lines),
    )


def _bar(row: int, point: Point) -> dict[str, object]:
    day = datetime.combine(point.at.date(), time(), UTC)
    return {
        "from": _written(day),
        "to": _written(day + timedelta(hours=21)),
        "top": row + _GROUND - _BARS[point.standing][1],
        "bottom": row + _GROUND,
        "state": STANDINGS[point.standing],
    }


def _failures(shown: Sequence[EnvironmentSeen]) -> Chart:
    """A panel for each environment: what is not met, by protection."""
    series = [(goal, GOALS[goal], GOAL_COLOURS[goal]) for goal in Goal]
    rows = [
        {
            "at": _written(point.at),
            "environment": short(item.name),
            "series": label,
            "order": order,
            "count": point.goals[goal].failed,
        }
        for item in shown
        for point in item.points
        for order, (goal, label, _) in enumerate(series)
    ]
    said = "; ".join(f"{item.name}: {course(item.points, lambda point: number(point.total.failed))}" for item in shown)
    colours = [(label, colour) for _, label, colour in series]
    return _panels("failures", gettext("Requirements not met, by protection"), said, rows, colours, shown)


def _coverage(shown: Sequence[EnvironmentSeen]) -> Chart:
    """A panel for each environment: how many targets were assessed, in part, not at all."""
    rows = [
        {"environment": short(item.name)} | row for item in shown for point in item.points for row in _states_at(point)
    ]
    said = "; ".join(f"{item.name}: {course(item.points, _assessed)}" for item in shown)
    return _panels(
        "coverage",
        gettext("Targets assessed"),
        said,
        rows,
        _state_colours(),
        shown,
    )


def _states_at(point: Point | CoveragePoint) -> list[dict[str, object]]:
    return [
        {"at": _written(point.at), "series": gettext(label), "order": order, "count": getattr(point, name)}
        for order, (name, label, _) in enumerate(_STATES)
    ]


def _state_colours() -> list[tuple[str, str]]:
    return [(gettext(label), colour) for _, label, colour in _STATES]


def _assessed(point: Point | CoveragePoint) -> str:
    return gettext("%(some)s of %(all)s") % {"some": number(point.assessed), "all": number(point.targets)}


_STRAIGHT: Final = 30
"""Days up to which the axis of expiry is nearly even; from there on it is logarithmic."""
_TICKS: Final = (0, 7, 30, 90, 200, 400, 1000, 3650, 10_000)


def _expiry(shown: Sequence[EnvironmentSeen]) -> Chart | None:
    """A line for each environment: days from each run to the end of the next certificate."""
    rows = [
        {"at": _written(point.at), "environment": short(item.name), "days": max(point.expires_in, _LONG_ENDED)}
        for item in shown
        for point in item.points
        if point.expires_in is not None
    ]
    if not rows:
        return None
    names = list(dict.fromkeys(str(row["environment"]) for row in rows))
    longest = max(point.expires_in for item in shown for point in item.points if point.expires_in is not None)
    x = alt.X("at:T", title=None, scale=_days(_moments(shown)), axis=_day_axis())
    y = alt.Y(
        "days:Q",
        title=pgettext("axis of a chart", "days left"),
        # One certificate of ten years would leave nothing to be seen of those that end within weeks.
        scale=alt.Scale(type="symlog", constant=_STRAIGHT),
        axis=alt.Axis(
            values=[day for day in _TICKS if day <= longest * 1.3],
            gridColor=HAIRLINE,
            domain=False,
            minExtent=30,
            maxExtent=30,
        ),
    )
    marks = [{"days": days} for days in (7, 30)]
    lines = (
        _named("rows")
        .mark_line(color=INK, strokeWidth=1.8)
        .encode(x=x, y=y, strokeDash=alt.StrokeDash("environment:N", legend=None, sort=names))
    )
    limits = _named("marks").mark_rule(color=FAILED, strokeDash=[2, 3]).encode(y=alt.Y("days:Q"))
    tags = _named("tags").mark_text(align="left", dx=8, color=INK, fontSize=10).encode(x=x, y=y, text="environment:N")
    chart = (limits + lines + tags).properties(width=_PLOT, height=170)
    said = "; ".join(f"{item.name}: {course(item.points, _left)}" for item in shown)
    return chart_of(
        "expiry", gettext("Days until the next certificate expires; the dotted lines are 7 and 30 days"), said,
        framed(chart.to_dict(), left=50, right=150, bottom=26)
        | _data(rows=rows, marks=marks, tags=line_ends(rows, "days")),
    )  # fmt: skip


def _left(point: Point) -> str:
    return gettext("none seen") if point.expires_in is None else counted(point.expires_in, "day")


def _panels(  # noqa: PLR0913, PLR0917  # what a picture of panels is made of
    key: str,
    title: str,
    said: str,
    rows: Sequence[Mapping[str, object]],
    colours: Sequence[tuple[str, str]],
    shown: Sequence[EnvironmentSeen],
) -> Chart:
    columns = len(shown) if len(shown) <= _ABREAST else _ABREAST if len(shown) % 2 else 2
    areas = _areas(_moments(shown), colours, ticks=3).properties(width=(_PLOT + 80, 240, 160)[columns - 1], height=84)
    chart = areas.facet(
        facet=alt.Facet(
            "environment:N",
            sort=[short(item.name) for item in shown],
            title=None,
            header=alt.Header(labelFontWeight=600, labelAnchor="start", labelPadding=4, labelColor=INK),
        ),
        columns=columns,
        spacing=18,
    )
    chart = chart.resolve_scale(y="independent").resolve_axis(x="independent")
    return chart_of(key, title, said, chart.to_dict() | _data(rows=rows))


def coverage_chart(points: Sequence[CoveragePoint]) -> Chart | None:
    """How many targets were assessed, in part, not at all, over the runs that a report looks back at.

    None where there are too few to draw, or all were always assessed.
    """
    if len(points) <= 2 or all(point.assessed == point.targets for point in points):  # noqa: PLR2004  # a table says it
        return None
    rows = [row for point in points for row in _states_at(point)]
    areas = _areas([point.at for point in points], _state_colours(), ticks=6)
    chart = areas.properties(width=_PLOT + 100, height=70)
    spec = framed(chart.to_dict(), left=40, right=10, bottom=56) | _data(rows=rows)
    return chart_of("covered", gettext("Targets assessed"), course(points, _assessed), spec)


def _areas(at: Sequence[datetime], colours: Sequence[tuple[str, str]], *, ticks: int) -> Any:
    """Series upon each other, over time."""
    return (
        _named("rows")
        .mark_area()
        .encode(
            x=alt.X("at:T", title=None, scale=_days(at), axis=_day_axis(ticks)),
            y=alt.Y(
                "count:Q",
                stack="zero",
                title=None,
                axis=alt.Axis(tickCount=3, tickMinStep=1, gridColor=HAIRLINE, domain=False, minExtent=30, maxExtent=30),
            ),
            color=legend("series", colours),
            order=alt.Order("order:Q"),
        )
    )


def _named(name: str) -> Any:
    """A chart of rows that are given by name, past Altair, which would look at each of thousands."""
    return alt.Chart(alt.NamedData(name=name))


def _data(**rows: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """The rows behind the names."""
    return {"datasets": {name: list(found) for name, found in rows.items()}}


def _moments(shown: Sequence[EnvironmentSeen]) -> list[datetime]:
    return [point.at for item in shown for point in item.points]


def _days(at: Sequence[datetime]) -> Any:
    """One axis of time for all: from the first day that is drawn to the end of the last."""
    first = datetime.combine(min(at).date(), time(), UTC)
    last = datetime.combine(max(at).date(), time(), UTC) + timedelta(days=1)
    return alt.Scale(type="utc", domain=[_written(first), _written(last)])


def _day_axis(ticks: int = 6) -> Any:
    return alt.Axis(
        format="%-d %b", tickCount=ticks, grid=False, domainColor=HAIRLINE, tickColor=HAIRLINE, labelColor=MUTED
    )


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
