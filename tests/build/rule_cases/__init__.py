"""A table for each area of rules: evidence, and the reason that the rule must give for it.

Every module beside this one has its `CASES`: a new one is found by being there.
"""

import pkgutil
from importlib import import_module

from tests.build.rule_cases.case import Case

CASES: tuple[Case, ...] = tuple(
    case
    for module in sorted(item.name for item in pkgutil.iter_modules(__path__) if item.name != "case")
    for case in import_module(f"{__name__}.{module}").CASES
)

__all__ = ["CASES", "Case"]
