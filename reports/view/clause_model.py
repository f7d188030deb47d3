"""What a report shows of a standard: its clauses, which of them a scan can see, and how those came out."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from reports.language import Words, mark
from reports.view.standing import Tally

if TYPE_CHECKING:
    from reports.view.target_model import TargetRef
    from scanner.verdict import PolicyRef


class ClauseOutcome(StrEnum):
    """How a rule, or a clause with all of its rules, came out over the targets; the gravest first."""

    NOT_MET = "not-met"
    PARTLY_LOOKED_AT = "partly-looked-at"
    NOT_LOOKED_AT = "not-looked-at"
    WAIVED = "waived"
    ADVISED = "advised"
    MET = "met"
    NOT_APPLICABLE = "not-applicable"


CLAUSE_OUTCOMES: Final = Words[ClauseOutcome](
    {
        ClauseOutcome.NOT_MET: mark("Not met"),
        ClauseOutcome.PARTLY_LOOKED_AT: mark("Partly checked"),
        ClauseOutcome.NOT_LOOKED_AT: mark("Not checked"),
        ClauseOutcome.WAIVED: mark("Waived"),
        ClauseOutcome.ADVISED: mark("Advised, not met"),
        ClauseOutcome.MET: mark("Met"),
        ClauseOutcome.NOT_APPLICABLE: mark("Does not apply"),
    }
)
"""Each outcome in words."""


_FAILING: Final = frozenset({ClauseOutcome.NOT_MET, ClauseOutcome.WAIVED, ClauseOutcome.ADVISED})


class RuleOutcome(Struct, frozen=True):
    """A rule behind a clause and how it came out over the targets; `not_looked_at` counts verdicts without a look.

    Those are the indeterminate ones, and those that do not apply because nobody was allowed to ask.
    """

    rule: str
    title: str
    outcome: ClauseOutcome
    tally: Tally
    not_looked_at: int


class Clause(Struct, frozen=True):
    """A clause of a policy's source, the rules that cover it and how they came out.

    `verified` tells whether the clause's number was read in the document itself, and not in a restatement of it.
    """

    document: str
    clause: str
    url: str
    rules: tuple[RuleOutcome, ...]
    outcome: ClauseOutcome
    tally: Tally
    worst_target: TargetRef | None
    verified: bool = True

    @property
    def looked_at(self) -> bool:
        """Whether any of its rules was judged, or found not to apply."""
        return self.outcome is not ClauseOutcome.NOT_LOOKED_AT

    @property
    def not_looked_at(self) -> int:
        """How many of its verdicts rest on no look."""
        return sum(item.not_looked_at for item in self.rules)

    def of(self, outcome: ClauseOutcome) -> tuple[RuleOutcome, ...]:
        """The rules that came out so."""
        return tuple(item for item in self.rules if item.outcome is outcome)


class UnseenClause(Struct, frozen=True):
    """A clause that cannot be seen from outside, what it demands, and why no scan sees it."""

    clause: str
    requirement: str
    reason: str
    verified: bool = True


class PolicyView(Struct, frozen=True):
    """A policy as it was used: its clauses, and what it demands that cannot be seen from outside."""

    ref: PolicyRef
    environments: tuple[str, ...]
    clauses: tuple[Clause, ...]
    description: str = ""
    url: str = ""
    out_of_scope: tuple[UnseenClause, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()

    @property
    def named(self) -> int:
        """How many clauses the policy names, seen from outside or not."""
        return len(self.clauses) + len(self.out_of_scope)

    @property
    def failing_clauses(self) -> tuple[Clause, ...]:
        """The clauses that are not met, those among them that are waived or advised included."""
        return tuple(clause for clause in self.clauses if clause.outcome in _FAILING)

    @property
    def others(self) -> tuple[tuple[ClauseOutcome, tuple[tuple[str, tuple[str, ...]], ...]], ...]:
        """All other clauses by their outcome, then by document: their names."""
        found: dict[ClauseOutcome, dict[str, list[str]]] = {}
        for clause in self.clauses:
            if clause.outcome not in _FAILING:
                found.setdefault(clause.outcome, {}).setdefault(clause.document, []).append(clause.clause)
        return tuple(
            (outcome, tuple((document, tuple(names)) for document, names in found[outcome].items()))
            for outcome in ClauseOutcome
            if outcome in found
        )

    @property
    def looked_at(self) -> int:
        """How many of its clauses were looked at, in part or in full."""
        return sum(clause.looked_at for clause in self.clauses)

    @property
    def unverified(self) -> int:
        """How many of its clauses are named by a restatement of the document alone."""
        seen = sum(not clause.verified for clause in self.clauses)
        return seen + sum(not clause.verified for clause in self.out_of_scope)

    @property
    def outcomes(self) -> tuple[tuple[ClauseOutcome, int], ...]:
        """How many clauses came out in which way, the gravest first; ways in which none did are left out."""
        found = [clause.outcome for clause in self.clauses]
        return tuple((outcome, found.count(outcome)) for outcome in ClauseOutcome if outcome in found)
