"""Charts of a run: how its verdicts divide, when certificates end, and what was not met run by run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import altair as alt

from reports.charts.drawing import (
    FAILED,
    HAIRLINE,
    INK,
    MUTED,
    PASSED,
    UNKNOWN,
    WAIVED,
    Chart,
    chart_of,
    course,
    drawn,
    framed,
    legend,
    line_ends,
    short,
)
from reports.language import gettext, mark, number, pgettext, short_day
from reports.view.standing import Tally
from reports.view.trend import LOOKED_BACK
from reports.wording import GOALS

if TYPE_CHECKING:
    from reports.view.model import ReportView, TrendPoint
    from reports.view.target_model import CertificateView, EnvironmentView

_WIDTH: Final = 640
CERTIFICATES_DRAWN: Final = 20
_CERTIFICATE_ROW: Final = 12.5
_ENVIRONMENTS_SHOWN: Final = 15
_TREND_LINES: Final = 6
_STATES: Final = (
    ("failed", mark("Not met"), FAILED),
    ("indeterminate", mark("Not assessed"), UNKNOWN),
    ("waived", mark("Waived"), WAIVED),
    ("passed", mark("Met"), PASSED),
)


def protections_chart(view: ReportView) -> Chart | None:
    """How each environment's verdicts divide, for each goal: a bar for each; None where nothing was judged."""
    shown = [item for item in view.environments if item.total.judged][:_ENVIRONMENTS_SHOWN]
    if not shown:
        return None
    rows = [row for environment in shown for row in _protection_rows(environment)]
    order = [short(environment.name) for environment in shown]
    bars = (
        drawn(rows)
        .mark_bar(height=12)
        .encode(
            x=alt.X("count:Q", stack="normalize", axis=None),
            y=alt.Y("environment:N", sort=order, title=None, axis=_label_axis(120)),
            color=_state_colour(),
            order=alt.Order("order:Q"),
        )
        .properties(width=112, height=22 * len(shown))
    )
    chart = bars.facet(
        column=alt.Column(
            "goal:N",
            sort=list(GOALS.values()),
            title=None,
            header=alt.Header(labelFontWeight=600, labelAnchor="start", labelPadding=4, labelColor=INK),
        ),
        spacing=12,
    )
    description = "; ".join(
        f"{item.name}: " + ", ".join(f"{GOALS[goal].lower()} {_split(cell)}" for goal, cell in item.goals.items())
        for item in shown
    )
    return chart_of("protections", gettext("Requirements by environment and protection"), description, chart.to_dict())


def certificates_chart(view: ReportView) -> Chart | None:
    """When certificates end, from the day of the run to the horizon; None where none ends before it."""
    horizon = view.options.horizon_days
    due = [item for item in view.certificates if item.days_left <= horizon][:CERTIFICATES_DRAWN]
    if not due:
        return None
    rows = [_certificate_row(item, number) for number, item in enumerate(due, 1)]
    x = alt.X(
        "days:Q",
        title=gettext("days from the run"),
        scale=alt.Scale(domain=[-5, horizon]),
        axis=alt.Axis(values=[0, 7, 30, 60, 90, 120, 150, 180], grid=True, gridColor=HAIRLINE, tickColor=HAIRLINE),
    )
    y = alt.Y("row:O", axis=None)
    base = drawn(rows).encode(y=y)
    stems = base.mark_rule(strokeWidth=2.5, strokeCap="round").encode(
        x=alt.X("start:Q", scale=alt.Scale(domain=[-5, horizon])), x2="days:Q", color=_band_colour()
    )
    points = base.mark_point(filled=True, size=46, opacity=1).encode(
        x=x,
        color=_band_colour(),
        shape=alt.Shape(
            "band:N",
            legend=None,
            scale=alt.Scale(domain=[name for name, _, _ in _BANDS], range=[s for _, _, s in _BANDS]),
        ),
    )
    labels = base.mark_text(align="left", dx=8, fontSize=9.5, color=MUTED).encode(x="end:Q", text="label:N")
    names = base.mark_text(align="right", color=INK, fontSize=10).encode(x=alt.value(-12), text="name:N")
    chart = (stems + points + labels + names).properties(width=_WIDTH - 250, height=_CERTIFICATE_ROW * len(rows))
    said = "; ".join(f"{item.name}: {_ends(item)}" for item in due)
    spec = framed(chart.to_dict(), left=190, right=60, bottom=40)
    return chart_of(
        "certificates", gettext("Certificates that expire within %(horizon)s days") % {"horizon": horizon}, said, spec
    )


def trend_chart(view: ReportView) -> Chart | None:
    """Requirements not met, run by run, a line for each environment; None where there are fewer than two runs."""
    points = [point for point in view.trend if point.at >= view.run.started_at - LOOKED_BACK]
    if len({point.run_id for point in points}) < 2:  # noqa: PLR2004  # one point makes no line
        return None
    names = _worst_names(points)
    span = max(point.at for point in points) - min(point.at for point in points)
    rows = [
        {
            "at": point.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "environment": short(point.environment),
            "failed": point.failed,
        }
        for point in points
        if point.environment in names
    ]
    dash = alt.StrokeDash("environment:N", legend=None, sort=[short(name) for name in names])
    x = alt.X(
        "at:T",
        title=None,
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(
            format="%-d %b" if span > timedelta(days=3) else "%-d %b %H:%M",
            tickCount=6,
            grid=False,
            domainColor=HAIRLINE,
            tickColor=HAIRLINE,
        ),
    )
    y = alt.Y(
        "failed:Q",
        title=pgettext("axis of a chart", "not met"),
        scale=alt.Scale(domainMin=0, nice=True),
        axis=alt.Axis(
            tickMinStep=1, tickCount=5, grid=True, gridColor=HAIRLINE, domain=False, minExtent=30, maxExtent=30
        ),
    )
    lines = drawn(rows).mark_line(color=FAILED, strokeWidth=1.8).encode(x=x, y=y, strokeDash=dash)
    dots = drawn(rows).mark_point(color=FAILED, filled=True, size=14, opacity=1).encode(x=x, y=y)
    ends = (
        drawn(line_ends(sorted(rows, key=lambda row: str(row["at"])), "failed"))
        .mark_text(align="left", dx=8, color=INK, fontSize=10)
        .encode(x=x, y=y, text="environment:N")
    )
    chart = (lines + dots + ends).properties(width=_WIDTH - 190, height=130)
    said = "; ".join(f"{name}: {_course(points, name)}" for name in names)
    spec = framed(chart.to_dict(), left=46, right=144, bottom=26)
    return chart_of("trend", gettext("Requirements not met, over the last 90 days"), said, spec)


_BANDS: Final = (
    ("ended", FAILED, "cross"),
    ("within 7 days", FAILED, "triangle-down"),
    ("within 30 days", UNKNOWN, "diamond"),
    ("later", MUTED, "circle"),
)
_WEEK, _MONTH = 7, 30


def band(days: int) -> str:
    """How near the end of a certificate is."""
    if days < 0:
        return "ended"
    return "within 7 days" if days <= _WEEK else "within 30 days" if days <= _MONTH else "later"


def _protection_rows(environment: EnvironmentView) -> list[dict[str, object]]:
    return [
        {
            "environment": short(environment.name),
            "goal": GOALS[goal],
            "state": gettext(label),
            "count": getattr(cell, name) + (cell.notes if name == "passed" else 0),
            "order": order,
        }
        for goal, cell in environment.goals.items()
        for order, (name, label, _) in enumerate(_STATES)
    ]


def _certificate_row(item: CertificateView, number: int) -> dict[str, object]:
    return {
        "row": number,
        "name": short(item.name),
        "start": 0,
        "days": max(item.days_left, -3),
        "band": band(item.days_left),
        "label": _ends(item),
        "end": max(item.days_left, 0),
    }


def _ends(item: CertificateView) -> str:
    if item.days_left < 0:
        return gettext("ended %(day)s") % {"day": short_day(item.not_after)}
    return short_day(item.not_after)


def _split(cell: Tally) -> str:
    parts = [
        f"{number(getattr(cell, name))} {gettext(label).lower()}" for name, label, _ in _STATES if getattr(cell, name)
    ]
    return ", ".join(parts) or gettext("nothing judged")


def _course(points: Sequence[TrendPoint], name: str) -> str:
    mine = sorted((point for point in points if point.environment == name), key=lambda point: point.at)
    return course(mine, lambda point: number(point.failed))


def _worst_names(points: Sequence[TrendPoint]) -> list[str]:
    """The environments of the last run, those with most failures first."""
    last = max(point.run_id for point in points)
    latest = sorted(
        (point for point in points if point.run_id == last), key=lambda point: (-point.failed, point.environment)
    )
    return [point.environment for point in latest[:_TREND_LINES]]


def _label_axis(extent: int) -> Any:
    # A fixed extent: the picture must not depend on how wide the fonts of this machine are.
    return alt.Axis(domain=False, ticks=False, labelLimit=0, labelPadding=8, minExtent=extent, maxExtent=extent)


def _state_colour() -> Any:
    return legend("state", [(gettext(label), colour) for _, label, colour in _STATES])


def _band_colour() -> Any:
    return alt.Color(
        "band:N",
        legend=None,
        scale=alt.Scale(domain=[name for name, _, _ in _BANDS], range=[colour for _, colour, _ in _BANDS]),
    )
