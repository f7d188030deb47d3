"""Looking at part: which rules a command is to judge by, and what is said of the others.

A rule that was left out is not silent: its verdict is `not-applicable` with the reason `not-asked`, and says which
option left it out. So no report takes what nobody looked at for met.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from scanner.errors import UsageError, nearest
from scanner.policy import Policy, PolicyRule, digest_of
from scanner.rules import all_rules
from scanner.standpoint import Part
from scanner.verdict import NOT_ASKED, RunRecord, Status, TargetResult, Verdict

_SHORTEST_WORD: Final = 3


class RuleChoice(Struct, frozen=True):
    """The rules to judge by, as globs: only those of `only`, where it names any, and none of `skip`."""

    only: Sequence[str] = ()
    skip: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse a glob that stands for no rule: what it was to leave out would be judged, and the reverse.

        Raises:
            UsageError: there is one; names the nearest rule. Or all that is asked for is left out.
        """
        for option, globs in (("--rule", self.only), ("--skip", self.skip)):
            check_globs(option, globs)
        if self.only and all(self.left_out_by(rule) for rule in all_rules()):
            raise UsageError("--skip leaves out every rule that --rule names")

    def with_those_named(self, policy: Policy, also: Sequence[str] = (), failing: Sequence[str] = ()) -> Policy:
        """The policy, and the rules that were asked for by name and that it does not list, with their own severities.

        `also` are globs of those that the targets call for, `failing` those whose failures decide, which ask for what
        they name only where the policy has none of it. Of all these it takes the rules that are in no usual policy
        (`Rule.opt_in`): any other was left out on purpose.
        """
        missing = [glob for glob in failing if not any(matches(rule, [glob]) for rule in policy.rules)]
        return with_opt_in(policy, (*self.only, *also, *missing))

    def widening(self, policies: Iterable[Policy], failing: Sequence[str] = ()) -> Callable[[Policy], Policy]:
        """What `with_those_named` does to each policy of a run that has several.

        What one of them has of a glob of `failing` is what decides: the others, whose owners left it out, stay as they
        are.
        """
        used = [rule for policy in policies for rule in policy.rules]
        missing = [glob for glob in failing if not any(matches(rule, [glob]) for rule in used)]
        return lambda policy: self.with_those_named(policy, failing=missing)

    def left_out_by(self, rule: str) -> str | None:
        """The options that leave a rule out, as they were given; None where it is judged."""
        for glob in self.skip:
            if fnmatchcase(rule, glob):
                return f"--skip {glob}"
        if self.only and not matches(rule, self.only):
            return " ".join(f"--rule {glob}" for glob in self.only)
        return None

    def applied(self, record: RunRecord) -> RunRecord:
        """A run in which the rules that are left out are said not to have been asked."""
        if not (self.only or self.skip):
            return record
        targets = tuple(target.judged(tuple(self._verdicts(target))) for target in record.targets)
        return dataclasses.replace(record, targets=targets)

    def told_by(self, part: Part | None) -> Part | None:
        """The part of a run that a report is about, if these rules are chosen for it."""
        if not (self.only or self.skip):
            return part
        return dataclasses.replace(part or Part(), rules=tuple(self.only), skipped=tuple(self.skip))

    def _verdicts(self, target: TargetResult) -> Iterable[Verdict]:
        said = set[str]()
        for verdict in target.verdicts:
            option = self.left_out_by(verdict.rule)
            if option is None:
                yield verdict
            elif verdict.rule not in said:
                said.add(verdict.rule)
                yield dataclasses.replace(
                    verdict,
                    status=Status.NOT_APPLICABLE,
                    reason=NOT_ASKED,
                    message=f"It was left out by {option}.",
                    observed="",
                    expected="",
                    subject="",
                    waiver=None,
                )


def with_opt_in(policy: Policy, globs: Collection[str]) -> Policy:
    """The policy, and the rules in no usual policy that these globs name and that it does not list."""
    named = {
        rule.id: PolicyRule(rule.id)
        for rule in all_rules().values()
        if rule.opt_in and rule.id not in policy.rules and matches(rule.id, globs)
    }
    if not named:
        return policy
    wider = dataclasses.replace(policy, rules={**policy.rules, **named})
    return dataclasses.replace(wider, digest=digest_of(wider))


def matches(rule: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs stands for the rule."""
    return any(fnmatchcase(rule, glob) for glob in globs)


def nearest_rule(name: str, known: Iterable[str]) -> str | None:
    """The rule that is meant, as a hint: the one that is spelled much alike, or whose id has the name in it."""
    rules = list(known)
    within = sorted((rule for rule in rules if len(name) >= _SHORTEST_WORD and name in rule), key=len)
    return nearest(name, rules) or (f'did you mean "{within[0]}"?' if within else None)


def check_globs(option: str, globs: Iterable[str]) -> None:
    """See that each glob stands for a rule.

    Raises:
        UsageError: one stands for none.
    """
    known = all_rules()
    for glob in globs:
        if not any(fnmatchcase(rule, glob) for rule in known):
            hint = nearest_rule(glob, known) or "docs/rules lists them"
            raise UsageError(f'{option} "{glob}": there is no such rule ({hint})')
