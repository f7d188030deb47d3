"""The rules: pure functions of evidence, parameters and the time, one registry.

Importing the package registers every rule: each module of the packages beside this file declares its own.
"""

import pkgutil
from importlib import import_module

from scanner.rules.registry import (
    UNSEEN_NAMES,
    BoundRule,
    Facts,
    Finding,
    Fix,
    Observed,
    OtherService,
    Parameters,
    Reason,
    Rule,
    all_rules,
    bind,
    get_rule,
)

__all__ = [
    "UNSEEN_NAMES",
    "BoundRule",
    "Facts",
    "Finding",
    "Fix",
    "Observed",
    "OtherService",
    "Parameters",
    "Reason",
    "Rule",
    "all_rules",
    "bind",
    "get_rule",
]

for _area in ("certificates", "https", "inventory", "mail", "tls"):
    _package = import_module(f"{__name__}.{_area}")
    for _module in sorted(module.name for module in pkgutil.iter_modules(_package.__path__)):
        import_module(f"{_package.__name__}.{_module}")
