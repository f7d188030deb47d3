"""Policies as data: which rules are judged, with which parameters and severity, on which authority.

A policy is a TOML file. The ones that ship are in `scanner/policies/`; a path names any other. This module reads and
checks their form; whether the rules and parameters exist is checked where the rules are known (`scanner.rules`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scanner.errors import PolicyError, PolicyMissingError, Problem, nearest
from scanner.judgement import PolicyRef, Severity, Source
from scanner.validation import problems_of

SUFFIX = ".toml"
DEFAULT = "https-by-default"
"""The policy that judges where none is named; it has every rule that is not asked for by name."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One rule as a policy lists it. `severity` None means the rule's own."""

    id: str
    severity: Severity | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """A clause of the source that cannot be seen from outside, and why."""

    clause: str
    requirement: str
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules, their parameters and severities. `digest` is the SHA-256 of everything that can change a verdict."""

    id: str
    title: str
    version: str
    date: dt.date
    url: str
    description: str
    rules: Mapping[str, PolicyRule]
    out_of_scope: tuple[OutOfScope, ...] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""

    @property
    def ref(self) -> PolicyRef:
        """The identity that runs and reports carry."""
        return PolicyRef(self.id, self.version, self.title, self.digest)


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _SourceForm(_Form):
    document: str
    clause: str = ""
    version: str = ""
    url: str = ""


class _RuleForm(_Form):
    severity: Severity | None = None
    parameters: dict[str, Any] = {}
    source: _SourceForm | list[_SourceForm] = []


class _OutOfScopeForm(_Form):
    clause: str
    requirement: str
    reason: str


class _HeadForm(_Form):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    version: str
    date: dt.date
    url: str = ""
    description: str = ""
    extends: str | None = None


class _PolicyForm(_Form):
    policy: _HeadForm
    rules: dict[str, _RuleForm] = {}
    drop: dict[str, str] = {}
    out_of_scope: list[_OutOfScopeForm] = Field(default=[], alias="out-of-scope")


def builtin_names() -> tuple[str, ...]:
    """The ids of the policies that ship, sorted."""
    folder = resources.files("scanner") / "policies"
    return tuple(sorted(item.name.removesuffix(SUFFIX) for item in folder.iterdir() if item.name.endswith(SUFFIX)))


def load(name: str, *, base: Path | None = None) -> Policy:
    """Load a policy by the id of one that ships, or by the path of a TOML file (relative to `base`).

    Raises:
        PolicyError: it does not exist, cannot be parsed, or does not have the form of a policy.
    """
    return _load(name, base or Path(), chain=())


def _load(name: str, base: Path, chain: tuple[str, ...]) -> Policy:
    if name in chain:
        circle = " → ".join((*chain, name))
        raise PolicyError(name, [Problem("policy.extends", f"policies extend each other in a loop: {circle}")])
    source, text, folder = _read(name, base)
    try:
        form = _PolicyForm.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(source, [Problem("", f"not valid TOML: {error}")]) from error
    except ValidationError as error:
        raise PolicyError(source, problems_of(error, _PolicyForm)) from error
    try:
        parent = _load(form.policy.extends, folder, (*chain, name)) if form.policy.extends else None
    except PolicyMissingError as error:
        raise PolicyError(source, [error.named_by("policy.extends")]) from error
    return _assemble(form, parent, source)


def _read(name: str, base: Path) -> tuple[str, str, Path]:
    if name.endswith(SUFFIX) or "/" in name:
        path = base / name
        try:
            return str(path), path.read_text("utf-8"), path.parent
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise PolicyMissingError(str(path), [Problem("", f"cannot be read: {reason}")]) from error
    if name not in builtin_names():
        hint = nearest(name, builtin_names()) or "`nightseal policy list` shows those that ship; a path names your own"
        raise PolicyMissingError(name, [Problem("policy", f'there is no policy "{name}"', hint)])
    return name, (resources.files("scanner") / "policies" / f"{name}{SUFFIX}").read_text("utf-8"), base


def _assemble(form: _PolicyForm, parent: Policy | None, source: str) -> Policy:
    rules = dict(parent.rules) if parent else {}
    dropped = dict(parent.dropped) if parent else {}
    for rule_id, reason in form.drop.items():
        if rule_id not in rules:
            problem = Problem(
                f"drop.{rule_id}", "drops a rule that the extended policy does not have", nearest(rule_id, rules)
            )
            raise PolicyError(source, [problem])
        del rules[rule_id]
        dropped[rule_id] = reason
    for rule_id, rule in form.rules.items():
        inherited = rules.get(rule_id, PolicyRule(rule_id))
        listed = rule.source if isinstance(rule.source, list) else [rule.source]
        rules[rule_id] = PolicyRule(
            rule_id,
            rule.severity or inherited.severity,
            {**inherited.parameters, **rule.parameters},
            tuple(Source(item.document, item.clause, item.version, item.url) for item in listed) or inherited.sources,
        )
        dropped.pop(rule_id, None)
    out_of_scope = tuple(OutOfScope(item.clause, item.requirement, item.reason) for item in form.out_of_scope)
    head = form.policy
    return Policy(
        id=head.id,
        title=head.title,
        version=head.version,
        date=head.date,
        url=head.url,
        description=head.description,
        rules=rules,
        out_of_scope=(parent.out_of_scope if parent else ()) + out_of_scope,
        dropped=dropped,
        digest=_digest(head.id, head.version, rules),
    )


def digest_of(policy: Policy) -> str:
    """The SHA-256 of everything in a policy that can change a verdict."""
    return _digest(policy.id, policy.version, policy.rules)


def _digest(policy_id: str, version: str, rules: Mapping[str, PolicyRule]) -> str:
    canonical = {
        "id": policy_id,
        "version": version,
        "rules": {
            rule.id: [rule.severity, rule.parameters, [str(source) for source in rule.sources]]
            for rule in rules.values()
        },
    }
    return hashlib.sha256(json.dumps(canonical, sort_keys=True, default=str).encode()).hexdigest()
