"""The registry of rules: what a rule is, how it is declared, and how a policy is bound to it."""

from scanner.rules.registry.rule import (
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
