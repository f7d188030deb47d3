"""The rules: pure functions of evidence, parameters and the time, one registry.

Importing the package registers every rule.
"""

from scanner.rules.registry import (
    BoundRule,
    Facts,
    Finding,
    Fix,
    Observed,
    Parameters,
    Reason,
    Rule,
    all_rules,
    bind,
    get_rule,
)

__all__ = [
    "BoundRule",
    "Facts",
    "Finding",
    "Fix",
    "Observed",
    "Parameters",
    "Reason",
    "Rule",
    "all_rules",
    "bind",
    "get_rule",
]
