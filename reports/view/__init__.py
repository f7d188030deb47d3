"""From a run (and what is known besides) to one frozen `ReportView`, which every human-readable report is drawn from.

The view counts, groups, sorts and words verdicts. It never computes one: what passed, failed or is unknown was decided
by the rules, and the view reads it.
"""

from reports.view.build import build_view
from reports.view.model import ReportView
from reports.view.options import ReportOptions
from reports.view.standing import Standing, Tally
from reports.view.trend import trend_of

__all__ = ["ReportOptions", "ReportView", "Standing", "Tally", "build_view", "trend_of"]
