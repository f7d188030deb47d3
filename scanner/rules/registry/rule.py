"""The registry of rules: what a rule is, how it is declared, and how a policy is bound to it.

A rule is one pure function from facts and parameters to findings, with everything that people need to know about it
beside it: title, goal, severity, sources, the reasons it can give, and how to mend what it finds. `docs/rules/` is
generated from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from scanner.errors import PolicyError, Problem, nearest
from scanner.evidence import Attempt, Failure, FailureReason, TargetEvidence, TlsEvidence
from scanner.inventory import Environment, Target
from scanner.policy import Policy, PolicyRule
from scanner.validation import problems_of
from scanner.verdict import Goal, Severity, Source, Status


class Parameters(BaseModel):
    """Base of every rule's parameters; a rule without any uses it as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Observed:
    """A target and what was seen there."""

    target: Target
    evidence: TargetEvidence


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a rule may know. `siblings` are the other addresses of the same endpoint.

    `certificate_users` maps a leaf's fingerprint to the names of the environments in which it was served in this run.
    """

    target: Target
    environment: Environment
    evidence: TargetEvidence
    now: datetime
    siblings: tuple[Observed, ...] = ()
    certificate_users: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule's function returns: a reason that it declared, and the words to fill into its sentence.

    `severity` is set where this finding weighs otherwise than the rule itself does (7 days to expiry rather than 30).
    One that is lower than the rule's caps whatever severity a policy gives the rule; one that is higher raises the
    policy's by as many steps. `values` fill the placeholders of the reason's sentence.
    """

    reason: str
    observed: str = ""
    expected: str = ""
    subject: str = ""
    severity: Severity | None = None
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable slug's meaning: the status that it gives and the sentence that explains it.

    The sentence may hold placeholders for `Finding.values`, `{observed}`, `{expected}` and `{subject}`.
    """

    status: Status
    sentence: str


def passes(sentence: str) -> Reason:
    """A reason to pass."""
    return Reason(Status.PASS, sentence)


def fails(sentence: str) -> Reason:
    """A reason to fail."""
    return Reason(Status.FAIL, sentence)


def not_applicable(sentence: str) -> Reason:
    """A reason why the rule asks nothing of this target."""
    return Reason(Status.NOT_APPLICABLE, sentence)


def indeterminate(sentence: str) -> Reason:
    """A reason why nobody can tell."""
    return Reason(Status.INDETERMINATE, sentence)


@dataclass(frozen=True, slots=True)
class Fix:
    """How to mend it, in words, and as configuration of common servers (`nginx`, `apache`, `iis`, `haproxy`, …)."""

    summary: str
    servers: Mapping[str, str] = field(default_factory=dict)


class Proof(StrEnum):
    """What it takes to judge a requirement, where a part of the evidence may be missing.

    A rule that is UNIVERSAL demands something of everything (every suite, every certificate, every page): one that
    was seen to offend fails it, and it passes only where all was asked for to the end. One that is EXISTENTIAL demands
    that something is there: one sighting passes it, and it fails only where all was asked for to the end. One that is
    SINGULAR rests on one answer, which was given or was not.
    """

    UNIVERSAL = "universal"
    EXISTENTIAL = "existential"
    SINGULAR = "singular"


Check = Callable[[Facts, Any], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement. `why` says what goes wrong without it, `how` how it is observed."""

    id: str
    title: str
    goal: Goal
    severity: Severity
    why: str
    how: str
    sources: tuple[Source, ...]
    reasons: Mapping[str, Reason]
    fix: Fix
    check: Check
    parameters: type[Parameters] = Parameters
    proof: Proof = Proof.UNIVERSAL

    @property
    def area(self) -> str:
        """The part of the id before the dot."""
        return self.id.split(".", 1)[0]


AREAS = ("proto", "cipher", "kex", "comp", "integrity", "cert", "dns", "vuln", "https")
"""The areas of rules, in the order of the contract's section 6."""

_RULES: dict[str, Rule] = {}


def rule(  # noqa: PLR0913  # a declaration, all of it by keyword
    rule_id: str,
    *,
    title: str,
    goal: Goal,
    severity: Severity,
    why: str,
    how: str,
    sources: tuple[Source, ...],
    reasons: Mapping[str, Reason],
    fix: Fix,
    proof: Proof = Proof.UNIVERSAL,
    parameters: type[Parameters] = Parameters,
) -> Callable[[Check], Check]:
    """Declare the decorated function a rule."""

    def register(check: Check) -> Check:
        if rule_id in _RULES:
            message = f"rule {rule_id} is declared twice"
            raise ValueError(message)
        every_reason = {**UNIVERSAL_REASONS, **reasons}
        _RULES[rule_id] = Rule(
            rule_id, title, goal, severity, why, how, sources, every_reason, fix, check, parameters, proof
        )
        return check

    return register


UNIVERSAL_REASONS: Mapping[str, Reason] = {
    "not-observed": Reason(Status.INDETERMINATE, "It could not be observed: {why}."),
    "not-asked": Reason(Status.NOT_APPLICABLE, "The configuration does not let it be asked: {why}."),
    "no-tls": Reason(Status.NOT_APPLICABLE, "The endpoint does not speak TLS; https.active reports that."),
    "rule-error": Reason(Status.INDETERMINATE, "The rule itself failed, which is a defect of Nightseal: {error}."),
}
"""Reasons that any rule may give."""


def all_rules() -> Mapping[str, Rule]:
    """Every rule, by id: area by area in the contract's order, in each in the order of declaration."""
    return {item.id: item for item in sorted(_RULES.values(), key=lambda item: AREAS.index(item.area))}


def get_rule(rule_id: str) -> Rule:
    """Return a rule by id.

    Raises:
        KeyError: there is none.
    """
    return _RULES[rule_id]


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule as one policy wants it judged."""

    rule: Rule
    severity: Severity
    parameters: Parameters
    sources: tuple[Source, ...]


def bind(policy: Policy) -> tuple[BoundRule, ...]:
    """Check a policy against the registry and give each rule its parameters.

    Raises:
        PolicyError: it lists a rule or a parameter that does not exist, or a value that the parameter does not take.
    """
    problems: list[Problem] = []
    bound: list[BoundRule] = []
    for entry in policy.rules.values():
        found = _RULES.get(entry.id)
        if found is None:
            problems.append(Problem(f'rules."{entry.id}"', "there is no such rule", nearest(entry.id, _RULES)))
            continue
        try:
            bound.append(_bind(found, entry))
        except ValidationError as error:
            problems.extend(
                Problem(f'rules."{entry.id}".parameters.{problem.key}', problem.message, problem.hint)
                for problem in problems_of(error, found.parameters)
            )
    if problems:
        raise PolicyError(policy.id, problems)
    return tuple(bound)


def _bind(found: Rule, entry: PolicyRule) -> BoundRule:
    parameters = found.parameters.model_validate(dict(entry.parameters))
    return BoundRule(found, entry.severity or found.severity, parameters, entry.sources or found.sources)


def not_observed(failure: Failure | None, *, subject: str = "") -> Finding:
    """The finding for a question that was not asked to its end, or that the configuration forbids to ask."""
    failure = failure or Failure(FailureReason.NOT_RUN)
    why = f"{failure.reason.value} ({failure.detail})" if failure.detail else failure.reason.value
    forbidden = failure.reason is FailureReason.NOT_ASKED
    if forbidden:
        why = failure.detail or "it is switched off"
    return Finding("not-asked" if forbidden else "not-observed", subject=subject, values={"why": why})


def unproven(attempt: Attempt[bool], *, good: bool) -> Finding | None:
    """Why an answer decides nothing: there is none, or it is the `good` one and a later one might have been otherwise.

    One bad answer proves what is wrong; that every answer is good is known only where all were waited for.
    """
    if attempt.value is None or (attempt.value is good and attempt.incomplete is not None):
        return not_observed(attempt.cut_off)
    return None


def tls_of(facts: Facts) -> TlsEvidence | Finding:
    """The target's TLS evidence, or the finding that says why there is none to judge."""
    attempt: Attempt[TlsEvidence] = facts.evidence.tls
    if attempt.value is not None:
        return attempt.value
    if attempt.failure is not None and attempt.failure.reason is FailureReason.NOT_TLS:
        return Finding("no-tls")
    return not_observed(attempt.failure)
