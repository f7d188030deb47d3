"""How charts are drawn: as inline SVG by Vega through Altair, vectors and text, the same bytes for the same run.

A chart repeats what a table beside it says, so it is one picture with one text to assistive technology. Colours are
never alone: the segments of a bar keep one order and differ in lightness, lines differ in their dashes and carry names.
On screen the colours are CSS variables, so that they follow light and dark.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import altair as alt
import vl_convert
from msgspec import Struct

from reports.language import chart_time, current, gettext, short_day
from scanner.verdict import Goal

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
_LABEL_CHARACTERS: Final = 30
_KEPT_ATTRIBUTES: Final = re.compile(
    r"^(?:d|x|y|x1|x2|y1|y2|cx|cy|r|width|height|viewBox|transform|fill|stroke|stroke-width|stroke-dasharray|"
    r"stroke-linecap|fill-opacity|opacity|font-family|font-size|font-weight|text-anchor|clip-path|id)$"
)


class Chart(Struct, frozen=True):
    """A picture with the text that stands for it."""

    title: str
    description: str
    paper: str
    """SVG with colours of its own."""
    screen: str
    """SVG whose colours are CSS variables."""


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


def framed(spec: dict[str, Any], *, left: int, right: int, bottom: int) -> dict[str, Any]:
    """Give the picture margins of fixed width, for the same reason."""
    return spec | {
        "autosize": {"type": "none"},
        "padding": {"left": left, "right": right, "top": 8, "bottom": bottom},
    }


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
