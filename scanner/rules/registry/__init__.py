"""The registry of rules: what a rule is, how it is declared, and how a policy is bound to it."""

from scanner.rules.registry.binding import BoundRule, bind
from scanner.rules.registry.facts import UNSEEN_NAMES, Facts, Observed, OtherService, Parameters
from scanner.rules.registry.finding import (
    UNIVERSAL_REASONS,
    Finding,
    Reason,
    fails,
    indeterminate,
    not_applicable,
    not_observed,
    passes,
    unproven,
)
from scanner.rules.registry.judged import IssuerParameters, deployments_of, http_of, judged, tls_of, unseen_certificates
from scanner.rules.registry.rule import Check, Fix, Mistake, Proof, Rule, all_rules, get_rule, rule, untried

__all__ = [
    "UNIVERSAL_REASONS",
    "UNSEEN_NAMES",
    "BoundRule",
    "Check",
    "Facts",
    "Finding",
    "Fix",
    "IssuerParameters",
    "Mistake",
    "Observed",
    "OtherService",
    "Parameters",
    "Proof",
    "Reason",
    "Rule",
    "all_rules",
    "bind",
    "deployments_of",
    "fails",
    "get_rule",
    "http_of",
    "indeterminate",
    "judged",
    "not_applicable",
    "not_observed",
    "passes",
    "rule",
    "tls_of",
    "unproven",
    "unseen_certificates",
    "untried",
]
