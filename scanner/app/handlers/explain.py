"""`nightseal explain RULE`: what a rule demands, why, on whose authority, and how to mend what it finds."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from scanner.errors import UsageError
from scanner.jobs.rule_choice import nearest_rule
from scanner.rules import all_rules
from scanner.rules.registry.servers import said_of

if TYPE_CHECKING:
    from scanner.rules import Rule


_WIDTH = 88
_NARROWEST = 40


def explain(rule_id: str | None) -> None:
    """Explain a rule: what, why, sources, fixes."""
    rules = all_rules()
    if rule_id is None:
        for rule in rules.values():
            click.echo(f"{rule.id:<34} {rule.severity:<9} {rule.title}")
        return
    if rule_id not in rules:
        hint = nearest_rule(rule_id, rules) or "`nightseal explain` lists them"
        raise UsageError(f'there is no rule "{rule_id}" ({hint})')
    click.echo(describe(rules[rule_id]))


def describe(rule: Rule) -> str:
    """Everything about a rule, as text."""
    blocks = [
        f"{rule.id}: {rule.title}",
        f"Protects: {rule.goal}. Severity: {rule.severity}.",
        _paragraph("Why", rule.why),
        _paragraph("How it is observed", rule.how),
        "Sources\n" + "\n".join(f"  {source}" + (f"  {source.url}" if source.url else "") for source in rule.sources),
    ]
    parameters = [
        _wrapped(
            f"{name} = {field.get_default(call_default_factory=True)!r}  {rule.parameters.described(name)}", "    "
        )
        for name, field in rule.parameters.model_fields.items()
    ]
    if parameters:
        blocks.append("Parameters\n" + "\n".join(parameters))
    reasons = [f"  {slug:<28} {reason.status}" for slug, reason in rule.reasons.items()]
    blocks.append("Reasons\n" + "\n".join(reasons))
    blocks.append(_paragraph("Fix", rule.fix.summary))
    blocks += [
        f"{said_of(server, rule.id)}\n{textwrap.indent(snippet.strip(), '  ')}"
        for server, snippet in rule.fix.servers.items()
    ]
    return "\n\n".join(blocks)


def _paragraph(title: str, text: str) -> str:
    return f"{title}\n{_wrapped(text)}"


def _wrapped(text: str, further: str = "  ") -> str:
    width = max(min(shutil.get_terminal_size((_WIDTH, 40)).columns, _WIDTH), _NARROWEST)
    return textwrap.fill(text.rstrip(), width, initial_indent="  ", subsequent_indent=further)
