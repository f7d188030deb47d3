"""A policy bound to the registry: which rules it wants judged, how gravely, and with which parameters."""

from __future__ import annotations

import functools

from msgspec import Struct
from pydantic import ValidationError

from scanner.errors import PolicyError, Problem, nearest
from scanner.policy import Policy, PolicyRule
from scanner.rules.registry.facts import Parameters
from scanner.rules.registry.rule import Rule, all_rules
from scanner.validation import problems_of
from scanner.verdict import Severity, Source


class BoundRule(Struct, frozen=True, dict=True):
    """A rule as one policy wants it judged."""

    rule: Rule
    severity: Severity
    parameters: Parameters
    sources: tuple[Source, ...]

    @functools.cached_property
    def cited(self) -> tuple[str, ...]:
        """Its sources in words, as each of its verdicts has them."""
        return tuple(str(source) for source in self.sources)


def bind(policy: Policy) -> tuple[BoundRule, ...]:
    """Check a policy against the registry and give each rule its parameters.

    Raises:
        PolicyError: it lists a rule or a parameter that does not exist, or a value that the parameter does not take.
    """
    rules = all_rules()
    problems: list[Problem] = []
    bound: list[BoundRule] = []
    for entry in policy.rules.values():
        found = rules.get(entry.id)
        if found is None:
            problems.append(Problem(f'rules."{entry.id}"', "there is no such rule", nearest(entry.id, rules)))
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
    return BoundRule(
        found, entry.severity or found.severity, _parameters_of(found, entry), entry.sources or found.sources
    )


def _parameters_of(found: Rule, entry: PolicyRule) -> Parameters:
    """What the policy says, validated; where it says nothing, the defaults, for which no validator need be built."""
    if not entry.parameters and not any(field.is_required() for field in found.parameters.model_fields.values()):
        return found.parameters.model_construct()
    return found.parameters.model_validate(dict(entry.parameters))
