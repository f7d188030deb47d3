"""Plots of what `bench/scale.py --keep` wrote: how processor time, memory and speed grow with the number of targets.

    python bench/scale.py --targets 100 1000 --keep runs.jsonl
    python bench/scale.py --targets 100 1000 --delay 50 --keep runs.jsonl
    python bench/growth.py runs.jsonl docs/growth.svg

Of runs that differ in nothing the last is taken. Axes are logarithmic: what grows in proportion is a straight line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import altair as alt
import vl_convert

_SHOWN: Final[Mapping[str, str]] = {
    "a_minute": "targets a minute",
    "cpu_ms": "ms of processor time a target",
    "mib": "MiB",
}
_WIDTH: Final = 240


def main() -> None:
    """Draw it."""
    source, picture = map(Path, sys.argv[1:])
    runs: dict[tuple[str, int], dict[str, Any]] = {}
    for line in source.read_text("utf-8").splitlines():
        run = json.loads(line)
        run["way"] = f"{run['engine']}, {run['delay']:g} ms" if run["delay"] else run["engine"]
        runs[run["way"], run["targets"]] = run
    panels = [_panel(list(runs.values()), field, title) for field, title in _SHOWN.items()]
    spec = alt.hconcat(*panels).resolve_scale(color="shared").configure_view(stroke=None).to_dict()
    picture.write_text(vl_convert.vegalite_to_svg(spec), "utf-8")


def _panel(runs: list[dict[str, Any]], field: str, title: str) -> Any:
    base = alt.Chart(alt.Data(values=runs))  # type: ignore[no-untyped-call]  # Altair leaves it untyped
    scale = alt.Scale(type="log")
    return (
        base.mark_line(point=True)
        .encode(
            x=alt.X("targets:Q", scale=scale, title="targets", axis=alt.Axis(grid=False)),
            y=alt.Y(f"{field}:Q", scale=scale, title=title, axis=alt.Axis(grid=False)),
            color=alt.Color("way:N", title=None, legend=alt.Legend(orient="bottom", columns=1)),
            strokeDash=alt.StrokeDash("way:N", legend=None),
        )
        .properties(width=_WIDTH, height=_WIDTH)
    )


if __name__ == "__main__":
    main()
