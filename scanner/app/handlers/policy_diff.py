"""`nightseal policy diff P Q`: what one policy demands otherwise than another."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, to_builtins

from scanner.jobs.policies import load_policy
from scanner.rules import BoundRule, bind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.policy import Policy


_SHOWN = 4


"""Items of a long list that are shown."""


class PropertyChange(Struct, frozen=True):
    """One property of a rule (`severity`, `sources`, a parameter as `parameters.NAME`) in two policies."""

    name: str
    before: Any
    after: Any


class Comparison(Struct, frozen=True):
    """Two policies: rules by id that the second alone has, that the first alone has, and what changed in the others.

    `reasons` holds why the second dropped rules, where it says so.
    """

    added: dict[str, str]
    dropped: dict[str, str]
    changed: dict[str, tuple[PropertyChange, ...]]
    reasons: dict[str, str]

    @property
    def same(self) -> bool:
        """Whether both judge alike."""
        return not (self.added or self.dropped or self.changed)


def compare(before: Policy, after: Policy) -> Comparison:
    """Compare what two policies demand.

    Raises:
        PolicyError: one of them names a rule or a parameter that does not exist.
    """
    old, new = ({item.rule.id: item for item in bind(policy)} for policy in (before, after))
    changes = {rule_id: tuple(_changes(old[rule_id], new[rule_id])) for rule_id in new if rule_id in old}
    return Comparison(
        added={rule_id: item.severity.value for rule_id, item in new.items() if rule_id not in old},
        dropped={rule_id: item.severity.value for rule_id, item in old.items() if rule_id not in new},
        changed={rule_id: found for rule_id, found in changes.items() if found},
        reasons={rule_id: reason for rule_id, reason in after.dropped.items() if rule_id in old},
    )


def _changes(before: BoundRule, after: BoundRule) -> Iterator[PropertyChange]:
    if before.severity is not after.severity:
        yield PropertyChange("severity", before.severity.value, after.severity.value)
    old, new = (item.parameters.model_dump(mode="json") for item in (before, after))
    for name in new:
        if old.get(name) != new[name]:
            yield PropertyChange(f"parameters.{name}", old.get(name), new[name])
    sources = [[str(source) for source in item.sources] for item in (before, after)]
    if sources[0] != sources[1]:
        yield PropertyChange("sources", *sources)


def policy_diff(first: str, second: str, format_name: str) -> None:
    """Show how the demands of policy Q differ from those of P."""
    before, after = load_policy(first), load_policy(second)
    comparison = compare(before, after)
    if format_name == "json":
        names = {"before": before.ref, "after": after.ref}
        click.echo(json.dumps({name: asdict(ref) for name, ref in names.items()} | to_builtins(comparison), indent=2))
        return
    for line in describe(before, after, comparison):
        click.echo(line)


def describe(before: Policy, after: Policy, comparison: Comparison) -> Iterator[str]:
    """A comparison in lines: what is new, what is gone, what changed."""
    yield f"From {before.id} {before.version} to {after.id} {after.version}"
    if comparison.same:
        yield "Both policies require the same."
    for title, rules in (("Added", comparison.added), ("Dropped", comparison.dropped)):
        if rules:
            yield f"\n{title} ({len(rules)})"
            for rule_id, severity in rules.items():
                yield f"  {severity:<8} {rule_id:<34} {comparison.reasons.get(rule_id, '')}".rstrip()
    demands, by_source = _apart(comparison.changed)
    if demands:
        yield f"\nChanged ({len(demands)})"
        for rule_id, changes in demands.items():
            yield f"  {rule_id}"
            for change in changes:
                yield from (f"    {line}" for line in _described(change))

    if by_source:
        yield f"\nSame requirement, another source ({len(by_source)})"
        for rule_id, (change, *_) in by_source.items():
            yield f"  {rule_id:<34} {_some(change.before)} → {_some(change.after)}"


def _apart(
    changed: dict[str, tuple[PropertyChange, ...]],
) -> tuple[dict[str, tuple[PropertyChange, ...]], dict[str, tuple[PropertyChange, ...]]]:
    """The changes of what is demanded, and those of the source alone."""
    by_source = {rule_id: found for rule_id, found in changed.items() if {item.name for item in found} == {"sources"}}
    return {rule_id: found for rule_id, found in changed.items() if rule_id not in by_source}, by_source


def _described(change: PropertyChange) -> Iterator[str]:
    """Lists by what came and what went; anything else as it was and is."""
    if isinstance(change.before, dict) and isinstance(change.after, dict):
        for key in dict.fromkeys((*change.before, *change.after)):
            if change.before.get(key) != change.after.get(key):
                inner = PropertyChange(f"{change.name}.{key}", change.before.get(key, []), change.after.get(key, []))
                yield from _described(inner)
    elif isinstance(change.before, list) and isinstance(change.after, list):
        came = [item for item in change.after if item not in change.before]
        gone = [item for item in change.before if item not in change.after]
        if came or gone:
            yield f"{change.name}:"
            yield from (f"  {sign} {_some(items)}" for sign, items in (("+", came), ("-", gone)) if items)
        else:
            yield f"{change.name}: in another order"
    else:
        yield f"{change.name}: {_shown(change.before)} → {_shown(change.after)}"


def _some(items: list[Any]) -> str:
    rest = len(items) - _SHOWN
    return ", ".join(map(_shown, items[:_SHOWN])) + (f" and {rest} more" if rest > 0 else "")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return _some(value)
    return "none" if value is None else str(value)
