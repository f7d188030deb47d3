"""Where a report is read and over how many targets: what decides how long its lists may become.

On paper every line costs. On screen a page that holds everything is the best one, until it is too large to be opened:
then it shows a page of its targets at a time and carries the others as data.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from reports.view.options import Edition

if TYPE_CHECKING:
    from reports.view.model import ReportView


class Layout(Struct, frozen=True):
    """How much of a long list is shown before the rest is counted.

    `targets` are named where something was found, `named` of the others once they are opened. `page` is how many
    targets the appendix shows at a time, the others being data; `appendix` whether it names them at all.
    `chapters` are those that it has, if not all; `brief` leaves out what is said of each of a list, and the contents.
    Of a policy with more than `clauses` those are listed that are not met as they stand, and the others are counted.
    `grouped` is whether the appendix names targets that came out alike together.
    """

    name: str
    style: str
    targets: int
    occurrences: int
    actions: int
    certificates: int
    places: int
    rules: int
    remembered: int
    details: bool
    named: int = 0
    page: int | None = None
    appendix: bool = True
    chapters: tuple[str, ...] | None = None
    brief: bool = False
    clauses: int | None = None
    grouped: bool = False


SCREEN: Final = Layout(
    "screen",
    "screen.css",
    targets=12,
    occurrences=200,
    actions=200,
    certificates=2000,
    places=1000,
    rules=100,
    remembered=60,
    details=True,
    named=2000,
)
PAGED_SCREEN: Final = structs.replace(
    SCREEN, targets=6, occurrences=40, actions=60, certificates=400, places=300, named=60, page=50
)
"""For so many targets that a page with all of them could not be opened."""
PAPER: Final = Layout(
    "paper",
    "print.css",
    targets=4,
    occurrences=12,
    actions=40,
    certificates=60,
    places=10,
    rules=12,
    remembered=8,
    clauses=40,
    details=False,
)
DENSE_PAPER: Final = structs.replace(PAPER, targets=2, occurrences=4, places=8, rules=4, remembered=5, grouped=True)
"""For runs over many targets: a report that grows with targets times rules is read by nobody."""
SUMMARY_PAPER: Final = structs.replace(DENSE_PAPER, occurrences=2, places=4)
"""For so many targets that only sums are read."""

MANAGEMENT_PAPER: Final = structs.replace(
    SUMMARY_PAPER,
    appendix=False,
    targets=1,
    actions=12,
    rules=14,
    chapters=("actions", "findings", "method"),
    brief=True,
)
"""For whoever decides: at most four pages, whatever the estate. `rules` are the findings that are named."""

MANY_TARGETS: Final = 200
TOO_MANY_TARGETS: Final = 2000


def screen_for(view: ReportView) -> Layout:
    """The screen on which a run over so many targets can be read."""
    return PAGED_SCREEN if len(view.targets) > TOO_MANY_TARGETS else SCREEN


def paper_for(view: ReportView) -> Layout:
    """The paper on which a run over so many targets can be read, in the edition that is asked for."""
    if view.options.edition is Edition.MANAGEMENT:
        return MANAGEMENT_PAPER
    count = len(view.targets)
    layout = SUMMARY_PAPER if count > TOO_MANY_TARGETS else DENSE_PAPER if count > MANY_TARGETS else PAPER
    return layout if view.options.appendix else structs.replace(layout, appendix=False)


def as_data(rows: list[list[str]]) -> str:
    """Rows as JSON that stands in a page as data: nothing in it ends the element that holds it."""
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    # Both can only stand inside a string there, and mean the same when they are written so.
    return text.replace("</", r"<\/").replace("<!--", r"<\u0021--")
