"""The rules: pure functions of evidence, parameters and the time, one registry.

Importing the package registers every rule.
"""

from scanner.rules import (  # noqa: F401  # each module declares its rules as it is imported
    certificates_chain,
    certificates_identity,
    certificates_lifetime,
    certificates_place,
    certificates_profile,
    certificates_status,
    ciphers,
    enforcement,
    enforcement_content,
    enforcement_hsts,
    enforcement_paths,
    integrity,
    key_exchange,
    protocols,
    vulnerabilities,
)
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
