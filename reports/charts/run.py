"""Charts as inline SVG, drawn by Vega through Altair: vectors and text, the same bytes for the same run.

A chart repeats what a table beside it says, so it is one picture with one text to assistive technology. Colours are
never alone: the segments of a bar keep one order and differ in lightness, lines differ in their dashes and carry names.
On screen the colours are CSS variables, so that they follow light and dark.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import altair as alt
import vl_convert

from reports.language import chart_time, current, gettext, mark, number, pgettext, short_day
from reports.view.standing import Tally
from reports.view.trend import LOOKED_BACK
from reports.wording import GOALS
from scanner.verdict import Goal

if TYPE_CHECKING:
    from reports.view.model import CertificateView, EnvironmentView, ReportView, TrendPoint

_SVG: Final = "http://www.w3.org/2000/svg"
FONT: Final = "Inter, system-ui, sans-serif"

INK: Final = "#16202c"
MUTED: Final = "#56616f"
HAIRLINE: Final = "#d9dee4"
FAILED: Final = "#a3241f"
UNKNOWN: Final = "#e0a93b"
WAIVED: Final = "#7a6bb0"
PASSED: Final = "#bcd9c8"
GOAL_COLOURS: Final[Mapping[Goal, str]] = {
    Goal.ENCRYPTION: "#741511",
    Goal.INTEGRITY: "#b2463f",
    Goal.AUTHENTICITY: "#dc8c84",
    Goal.ENFORCEMENT: "#f2c6c0",
}
"""One colour for each protection, from dark to light, where what is not met is divided by them."""

VARIABLES: Final[Mapping[str, str]] = {
    INK: "--ink",
    MUTED: "--muted",
    HAIRLINE: "--hairline",
    FAILED: "--chart-failed",
    UNKNOWN: "--chart-unknown",
    WAIVED: "--chart-waived",
    PASSED: "--chart-passed",
    **{colour: f"--chart-{goal}" for goal, colour in GOAL_COLOURS.items()},
}
"""The CSS variable that stands for each colour on screen."""

_WIDTH: Final = 640
_LABEL_CHARACTERS: Final = 30
_CERTIFICATES_SHOWN: Final = 20
_ENVIRONMENTS_SHOWN: Final = 15
_TREND_LINES: Final = 6
_STATES: Final = (
    ("failed", mark("Not met"), FAILED),
    ("indeterminate", mark("Not assessed"), UNKNOWN),
    ("waived", mark("Waived"), WAIVED),
    ("passed", mark("Met"), PASSED),
)
_KEPT_ATTRIBUTES: Final = re.compile(
    r"^(?:d|x|y|x1|x2|y1|y2|cx|cy|r|width|height|viewBox|transform|fill|stroke|stroke-width|stroke-dasharray|"
    r"stroke-linecap|fill-opacity|opacity|font-family|font-size|font-weight|text-anchor|clip-path|id)$"
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with the text that stands for it."""

    title: str
    description: str
    paper: str
    """SVG with colours of its own."""
    screen: str
    """SVG whose colours are CSS variables."""


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
    due = [item for item in view.certificates if item.days_left <= horizon][:_CERTIFICATES_SHOWN]
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
    chart = (stems + points + labels + names).properties(width=_WIDTH - 250, height=17 * len(rows))
    said = "; ".join(f"{item.name}: {_ends(item)}" for item in due)
    spec = framed(chart.to_dict(), left=190, right=60, bottom=40)
    return chart_of(
        "certificates", gettext("Certificates that end within %(horizon)s days") % {"horizon": horizon}, said, spec
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


class Dated(Protocol):
    """What was seen by one run."""

    @property
    def at(self) -> datetime:
        """When the run began."""


_Dated = TypeVar("_Dated", bound=Dated)


def course(points: Sequence[_Dated], said: Callable[[_Dated], str]) -> str:
    """What is said of the first and of the last of several points in time."""
    first, last = points[0], points[-1]
    return gettext("%(before)s on %(start)s, %(now)s on %(end)s") % {
        "before": said(first),
        "start": short_day(first.at),
        "now": said(last),
        "end": short_day(last.at),
    }


def _worst_names(points: Sequence[TrendPoint]) -> list[str]:
    """The environments of the last run, those with most failures first."""
    last = max(point.run_id for point in points)
    latest = sorted(
        (point for point in points if point.run_id == last), key=lambda point: (-point.failed, point.environment)
    )
    return [point.environment for point in latest[:_TREND_LINES]]


def line_ends(rows: Sequence[Mapping[str, object]], field: str) -> list[dict[str, object]]:
    """Where the line of each environment ends (rows oldest first), with its name; those at one point share a label."""
    last = {row["environment"]: row for row in rows}
    joined: dict[tuple[object, object], list[str]] = {}
    for name, row in last.items():
        joined.setdefault((row["at"], row[field]), []).append(str(name))
    return [{"at": at, field: value, "environment": ", ".join(names)} for (at, value), names in joined.items()]


def drawn(rows: Sequence[Mapping[str, object]]) -> Any:
    """A chart of these rows, to be given marks."""
    return alt.Chart(alt.Data(values=list(rows)))  # type: ignore[no-untyped-call]  # Altair leaves it untyped


def short(name: str) -> str:
    """A name cut to the room that a label has."""
    return name if len(name) <= _LABEL_CHARACTERS else f"{name[: _LABEL_CHARACTERS - 1]}…"


def _label_axis(extent: int) -> Any:
    # A fixed extent: the picture must not depend on how wide the fonts of this machine are.
    return alt.Axis(domain=False, ticks=False, labelLimit=0, labelPadding=8, minExtent=extent, maxExtent=extent)


def framed(spec: dict[str, Any], *, left: int, right: int, bottom: int) -> dict[str, Any]:
    """Give the picture margins of fixed width, for the same reason."""
    return spec | {
        "autosize": {"type": "none"},
        "padding": {"left": left, "right": right, "top": 8, "bottom": bottom},
    }


def _state_colour() -> Any:
    return legend("state", [(gettext(label), colour) for _, label, colour in _STATES])


def legend(field: str, colours: Sequence[tuple[str, str]]) -> Any:
    """Colours by what they stand for, with a legend below the chart."""
    return alt.Color(
        f"{field}:N",
        sort=[label for label, _ in colours],
        scale=alt.Scale(domain=[label for label, _ in colours], range=[colour for _, colour in colours]),
        legend=alt.Legend(
            orient="bottom", direction="horizontal", title=None, symbolType="square", symbolStrokeWidth=0
        ),
    )


def _band_colour() -> Any:
    return alt.Color(
        "band:N",
        legend=None,
        scale=alt.Scale(domain=[name for name, _, _ in _BANDS], range=[colour for _, colour, _ in _BANDS]),
    )


def chart_of(key: str, title: str, description: str, spec: dict[str, Any]) -> Chart:
    """Draw a specification of Vega-Lite; `key` makes the ids of the picture its own."""
    spec["config"] = {
        "background": None,
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": INK,
            "titleColor": MUTED,
            "labelFontSize": 10,
            "titleFontSize": 9.5,
            "titleFontWeight": "normal",
            "domainColor": HAIRLINE,
        },
        "header": {"labelFontSize": 10.5},
        "legend": {"labelColor": INK, "labelFontSize": 10, "symbolSize": 90},
        "aria": False,
    }
    drawn = vl_convert.vegalite_to_svg(spec, time_format_locale=None if current().is_source else chart_time())
    root = ET.fromstring(drawn)  # noqa: S314  # Vega's own output, no host's
    picture = _tidy(root, key, title, description)
    return Chart(title, description, picture, _themed(picture))


def _tidy(root: ET.Element, key: str, title: str, description: str) -> str:
    """Keep what draws, give ids that are unique in the page, and put the text for assistive technology in front."""
    width, height = root.get("width", ""), root.get("height", "")
    for element in root.iter():
        for name in list(element.attrib):
            if not _KEPT_ATTRIBUTES.match(name):
                del element.attrib[name]
            elif name == "id":
                element.set(name, f"{key}-{element.get(name)}")
            elif name == "clip-path":
                element.set(name, element.get(name, "").replace("#", f"#{key}-"))
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.set("viewBox", f"0 0 {width} {height}")
    root.set("class", f"chart chart-{key}")
    root.set("role", "img")
    root.set("aria-labelledby", f"chart-{key}-title chart-{key}-desc")
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"chart-{key}-{tag}"})
        element.text = text
        root.insert(position, element)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def _themed(picture: str) -> str:
    for colour, variable in VARIABLES.items():
        picture = picture.replace(f'"{colour}"', f'"var({variable})"')
    return picture
