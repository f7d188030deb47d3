"""`nightseal policy`: list, show, check, compare and replay policies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scanner import policy as policies
from scanner.counting import counted
from scanner.errors import PolicyError
from scanner.jobs.policies import load_policy
from scanner.policy_check import check_policy
from scanner.rules import bind


def list_policies() -> None:
    """List the policies that ship."""
    for name in policies.builtin_names():
        policy = policies.load(name)
        click.echo(f"{name:<24} {policy.version:<10} {counted(len(policy.rules), 'rule'):>9}  {policy.title}")


def show(name: str) -> None:
    """Show a policy: its rules, severities, parameters and sources."""
    policy = load_policy(name)
    click.echo(f"{policy.title}, version {policy.version} ({policy.date})")
    if policy.url:
        click.echo(policy.url)
    if policy.description:
        click.echo(f"\n{policy.description.strip()}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Rule", "Severity", "Parameters", "Source"):
        table.add_column(heading, overflow="fold")
    for bound in bind(policy):
        values = bound.parameters.model_dump(mode="json")
        parameters = "\n".join(f"{key} = {_shown(value)}" for key, value in values.items())
        cells = (bound.rule.id, bound.severity.value, parameters, "\n".join(str(source) for source in bound.sources))
        table.add_row(*(Text(cell) for cell in cells))
    click.echo()
    Console(highlight=False).print(table)
    for rule_id, reason in policy.dropped.items():
        click.echo(f"dropped: {rule_id}: {reason}")
    for item in policy.out_of_scope:
        click.echo(f"out of scope: {item.clause}: {item.requirement} ({item.reason})")


def check(file: Path) -> None:
    """Check a policy file."""
    policy = load_policy(str(file.absolute()))
    found = check_policy(policy, datetime.now(UTC).date())
    for problem in found.warnings:
        click.echo(f"{file}: warning: {problem}", err=True)
    if found.errors:
        raise PolicyError(str(file), found.errors)
    click.echo(f"{file}: {policy.id} {policy.version}: {counted(len(policy.rules), 'rule')}: all is well.")


def _shown(value: object) -> str:
    """A parameter's value: long lists are counted, and what stands under a key gets a line of its own."""
    if isinstance(value, dict) and value:
        return "".join(f"\n  {key}: {_shown(item)}" for key, item in value.items())
    if isinstance(value, list) and value:
        entries = [_entry(item) if isinstance(item, dict) else str(item) for item in value]
        shown = ", ".join(entries[:_SHOWN])
        return shown if len(entries) <= _SHOWN else f"{shown}, … ({len(entries)} in all)"
    return "none" if value in (None, {}, []) else str(value)


def _entry(item: dict[str, object]) -> str:
    """An entry of a list that has parts: each of them in a few words."""
    return " ".join(
        f"{name} {f'({len(part)})' if isinstance(part, list) and len(part) > _SHOWN else _shown(part)}"
        for name, part in item.items()
    )


_SHOWN = 3
