"""From a run (and what is known besides) to one frozen `ReportView`, which every human-readable report is drawn from.

The view counts, groups, sorts and words verdicts. It never computes one: what passed, failed or is unknown was decided
by the rules, and the view reads it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reports.view.build import build_view
    from reports.view.model import ReportView
    from reports.view.options import ReportOptions
    from reports.view.standing import Standing, Tally
    from reports.view.trend import trend_of

__all__ = ["ReportOptions", "ReportView", "Standing", "Tally", "build_view", "trend_of"]

_MODULES: Final = {
    "ReportOptions": "options",
    "ReportView": "model",
    "Standing": "standing",
    "Tally": "standing",
    "build_view": "build",
    "trend_of": "trend",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for: the text at a terminal needs a few modules of these, and no view."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
