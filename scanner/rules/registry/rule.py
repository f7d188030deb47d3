"""The registry of rules: what a rule is, and how it is declared.

A rule is one pure function from evidence, facts and parameters to findings, with everything that people need to know
about it beside it: title, goal, severity, sources, the reasons it can give, how to mend what it finds, and how that was
shown to mend it. `docs/rules/` is generated from here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NotRequired, TypedDict, TypeVar, Unpack, overload

from msgspec import Struct, field

from scanner.rules.registry.facts import Facts, Parameters
from scanner.rules.registry.finding import UNIVERSAL_REASONS, Finding, Reason
from scanner.rules.registry.judged import PRIVATE, IssuerParameters, judged_as
from scanner.verdict import Goal, Severity, Source

E = TypeVar("E")


class Fix(Struct, frozen=True):
    """How to fix it, in words, and as configuration of common servers (`nginx`, `apache`, `iis`, `haproxy`, …)."""

    summary: str
    servers: Mapping[str, str] = field(default_factory=dict)


class Mistake(Struct, frozen=True):
    """Directives that a rule finds wrong and its advice mends, as is shown on the real servers.

    One directive to a line; those that the advice names are replaced by it, the others stay. `FOLDER` stands for where
    certificates and pages lie, `BACKEND` for the port of the application behind the server. `plain` is the whole of
    what answers plain HTTP, the redirect where it is empty; where the advice is about that, it takes its place. `role`
    and `application` are what the owners configure. `untried` says for a server why the mistake cannot be made there.
    """

    nginx: str | None = None
    apache: str | None = None
    plain: Mapping[str, str] = field(default_factory=dict)
    application: str = 'kind = "traditional-web"'
    role: str = "application"
    untried: Mapping[str, str] = field(default_factory=dict)


def untried(why: str) -> Mistake:
    """The mistake that can be made on neither nginx nor Apache httpd, and why."""
    return Mistake(untried={"nginx": why, "apache": why})


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
CheckOf = Callable[[E, Facts, Any], Iterable[Finding]]


class Rule(Struct, frozen=True):
    """One requirement. `why` says what goes wrong without it, `how` how it is observed.

    `of` is the kind of evidence that it judges, None where it chooses for itself; `mistake` is what its advice was
    shown to mend. A rule that is `opt_in` stands in the policies that want it and not in the default one. What is to be
    observed for it alone is asked only where it is judged, and so for one that `asks` and is in the default policy.
    """

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
    of: type | None = None
    mistake: Mistake | None = None
    opt_in: bool = False
    asks: bool = False

    @property
    def area(self) -> str:
        """The part of the id before the dot."""
        return self.id.split(".", 1)[0]

    @property
    def own_reasons(self) -> Mapping[str, Reason]:
        """The reasons that it declares itself, without those that come with what it judges and those of any rule."""
        shared = _shared_reasons(self.of, self.parameters)
        return {slug: reason for slug, reason in self.reasons.items() if slug not in shared}


def _shared_reasons(of: type | None, parameters: type[Parameters]) -> Mapping[str, Reason]:
    """The reasons that a rule need not declare: of any rule, of what it judges, of the parameters that it takes."""
    of_issuers = PRIVATE if issubclass(parameters, IssuerParameters) else {}
    return {**UNIVERSAL_REASONS, **(judged_as(of).reasons if of else {}), **of_issuers}


AREAS = (
    "proto",
    "cipher",
    "kex",
    "comp",
    "integrity",
    "cert",
    "dns",
    "vuln",
    "https",
    "headers",
    "clients",
    "starttls",
    "mail",
    "inventory",
)
"""The areas of rules, in the order of the contract's section 6."""

_RULES: dict[str, Rule] = {}


class Declaration(TypedDict):
    """What is said of a rule beside its function; each field is that of `Rule`."""

    title: str
    goal: Goal
    severity: Severity
    why: str
    how: str
    sources: tuple[Source, ...]
    reasons: Mapping[str, Reason]
    fix: Fix
    mistake: NotRequired[Mistake | None]
    proof: NotRequired[Proof]
    parameters: NotRequired[type[Parameters]]
    opt_in: NotRequired[bool]
    asks: NotRequired[bool]


@overload
def rule(rule_id: str, *, of: type[E], **declared: Unpack[Declaration]) -> Callable[[CheckOf[E]], CheckOf[E]]: ...


@overload
def rule(rule_id: str, *, of: None = None, **declared: Unpack[Declaration]) -> Callable[[Check], Check]: ...


def rule(
    rule_id: str, *, of: type | None = None, **declared: Unpack[Declaration]
) -> Callable[[Callable[..., Iterable[Finding]]], Callable[..., Iterable[Finding]]]:
    """Declare the decorated function a rule.

    With `of` it is handed what it judges, before the facts and the parameters; that there is none is answered for it.
    """
    declared["reasons"] = {**_shared_reasons(of, declared.get("parameters", Parameters)), **declared["reasons"]}

    def register(function: Callable[..., Iterable[Finding]]) -> Callable[..., Iterable[Finding]]:
        if rule_id in _RULES:
            message = f"rule {rule_id} is declared twice"
            raise ValueError(message)
        _RULES[rule_id] = Rule(rule_id, check=_handed(of, function) if of else function, of=of, **declared)
        return function

    return register


def _handed(kind: type[E], function: CheckOf[E]) -> Check:
    """A rule's function as one of the facts and the parameters alone."""
    apply = judged_as(kind).apply

    def check(facts: Facts, parameters: Parameters) -> Iterable[Finding]:
        return apply(facts, parameters, lambda evidence: function(evidence, facts, parameters))

    return check


def all_rules() -> Mapping[str, Rule]:
    """Every rule, by id: area by area in the contract's order, in each in the order of declaration."""
    return _in_order(len(_RULES))


@functools.lru_cache(maxsize=1)
def _in_order(count: int) -> Mapping[str, Rule]:  # rules are only ever added, so their number tells
    """The rules so far, put in order once: hundreds of callers ask for them in one scan."""
    return MappingProxyType(
        {item.id: item for item in sorted(_RULES.values(), key=lambda item: AREAS.index(item.area))}
    )


def get_rule(rule_id: str) -> Rule:
    """Return a rule by id.

    Raises:
        KeyError: there is none.
    """
    return _RULES[rule_id]
