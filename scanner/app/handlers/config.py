"""`nightseal config`: check, describe or begin a configuration."""

from __future__ import annotations

import fnmatch
import json
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import click

from scanner import policy
from scanner.confidential import without
from scanner.config import loading as configuration
from scanner.config.form import ConfigForm
from scanner.counting import counted
from scanner.errors import OutputError, Problem, UsageError, nearest
from scanner.hostname import HostError, normalised
from scanner.inventory import CLIENT_FILE, FILE, Role, file_host
from scanner.jobs.policies import registry
from scanner.ownership import Ownership
from scanner.requirements import ROOT, Requirement, requirement_at, requirements_of
from scanner.service import preflight
from scanner.waiver import scope_of

if TYPE_CHECKING:
    from scanner.config.loading import Config
    from scanner.inventory import Endpoint, Environment


def check(config_path: Path) -> None:
    """Check the configuration, and open everything that it names, as a run and the service do before they start."""
    config = configuration.load(config_path)
    checked = preflight.check(config)
    warnings = (*checked.warnings, *_waiver_warnings(config))
    for problem in warnings:
        click.echo(without(f"{problem.place or config.source}: warning: {problem}"), err=True)
    for note in config.notes:
        click.echo(without(f"{note.place}: note: {note}"), err=True)
    environments = config.inventory.environments
    applications = sum(len(endpoint.applications) for endpoint in config.inventory.endpoints)
    outcome = f"it can be used, with {counted(len(warnings), 'warning')}" if warnings else "all is well"
    click.echo(
        f"{config.source}: {counted(len(environments), 'environment')}, "
        f"{counted(len(config.inventory.endpoints), 'endpoint')}, {counted(applications, 'application')}, "
        f"{counted(len(config.schedules), 'schedule')}, {counted(len(config.waivers), 'waiver')}: {outcome}."
    )


def _waiver_warnings(config: Config) -> list[Problem]:
    """Waivers that can never waive anything: an unknown rule, or a scope that covers no endpoint."""
    warnings = []
    common = policy.load(policy.DEFAULT).rules if config.waivers else {}
    for index, waiver in enumerate(config.waivers, 1):
        rules = _rules_for(waiver.rule, common)
        key = f"waiver[{index}]"
        if not any(character in waiver.rule for character in "*?[") and waiver.rule not in rules:
            warnings.append(Problem(f"{key}.rule", f'there is no rule "{waiver.rule}"', nearest(waiver.rule, rules)))
        elif not fnmatch.filter(rules, waiver.rule):
            warnings.append(Problem(f"{key}.rule", f'no rule matches "{waiver.rule}"'))
        elif lacking := _not_covered(config, waiver.scope):
            warnings.append(Problem(f"{key}.scope", f'"{waiver.scope}" covers no {lacking}'))
        elif waiver.expired(datetime.now(UTC).date()):
            warnings.append(Problem(f"{key}.expires", f"it expired on {waiver.expires} and no longer has any effect"))
    return [*warnings, *_unused_waivers(config, {problem.key.partition(".")[0] for problem in warnings})]


def _rules_for(pattern: str, common: Collection[str]) -> Collection[str]:
    """The ids of rules in which to look for a waiver's: the `common` ones of the default policy, where it is of these.

    All of them take longer to load than all else that `config check` does.
    """
    if fnmatch.filter(common, pattern):
        return common
    known: Collection[str] = registry().all_rules()
    return known


def _not_covered(config: Config, text: str) -> str | None:
    """What a scope covers none of: an endpoint, or a path of one; None where it covers some."""
    scope = scope_of(text)
    within = [
        (environment, endpoint)
        for environment in config.inventory.environments
        if scope.within(environment.name)
        for endpoint in environment.endpoints
        if scope.has_place(endpoint.host, endpoint.address)
    ]
    if not within:
        return "configured endpoint"
    paths = {item.path for pair in within for item in requirements_of(*pair)} if scope.path is not None else set()
    return "configured path" if scope.path is not None and not fnmatch.filter(paths, scope.path) else None


def _unused_waivers(config: Config, known: set[str]) -> list[Problem]:
    """Waivers that accepted nothing in the last run of each environment that the history knows, where it knows any.

    `known` holds the keys of those that are wrong anyway.
    """
    place = config.resolve(config.form.nightseal.history)
    if not config.waivers or not ("://" in place or Path(place).is_dir()):
        return []
    from scanner.jobs.unused_waivers import unused_waivers  # noqa: PLC0415  # loads only where there is a history

    return unused_waivers(config, place, known)


def schema() -> None:
    """Print the JSON Schema of config.toml."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigForm.model_json_schema()}
    click.echo(json.dumps(document, indent=2))


def init(path: Path) -> None:
    """Write a commented configuration to PATH (config.toml), which is never overwritten."""
    text = (resources.files("scanner.app") / "config_example.toml").read_text("utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already and is not overwritten; name another file") from error
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"Wrote {path}. Fill in your hosts, then: nightseal config check && nightseal run")


def explain(target: str, config_path: Path) -> None:
    """Show what is required of a host or path, and which line of the configuration decided it."""
    config = configuration.load(config_path, unset=("notify",))
    parts, host = _asked(target)
    found = [
        (environment, endpoint)
        for environment in config.inventory.environments
        for endpoint in environment.endpoints
        if endpoint.host == host and parts.port in {None, endpoint.port}
    ]
    if not found:
        hosts = [endpoint.host for endpoint in config.inventory.endpoints]
        hint = nearest(host, hosts) or f"configured: {', '.join(sorted(set(hosts))) or 'none'}"
        raise UsageError(f'{config.source} has no endpoint "{target}" ({hint})')
    for environment, endpoint in found:
        origin = f", from {endpoint.implied_by}" if endpoint.implied_by else ""
        for line in _told(endpoint, origin):
            click.echo(line)
        asked = _asked_for(environment, endpoint, parts.path)
        shared = {path for path, number in Counter(item.path for item in asked).items() if number > 1}
        for requirement in asked:
            whose = requirement.integration or (
                requirement.path in shared and (requirement.application or requirement.role)
            )
            kind = f" ({whose})" if whose else ""
            click.echo(f"  {requirement.path + kind:<30} {requirement.level:<24} {requirement.decided_by}")
            for line in requirement.overridden:
                click.echo(f"  {'':<30} {'':<24} though {line}")


def _told(endpoint: Endpoint, origin: str) -> Iterator[str]:
    """What is at an endpoint, and who answers for it: its applications by name, its consoles by where they are."""
    yield f"{endpoint.id} ({endpoint.role}{origin})"
    for application in endpoint.applications if len(endpoint.applications) > 1 or endpoint.consoles else ():
        yield f"  {application.name} ({application.kind}){_owned(application.ownership)}"
    if (
        endpoint.applications
        or endpoint.role is Role.APPLICATION
        or any(path != ROOT for _, path in endpoint.console_places)
    ):
        for role, path in endpoint.console_places:
            yield f"  {role} at {path}"
    said = [_owned(Ownership(owner, endpoint.contact_of(owner))) for owner in endpoint.whose.owners or (None,)]
    said += [_owned(Ownership(labels=endpoint.ownership.labels))]
    if owned := ";".join(filter(None, said)):
        yield f" {owned}"


def _owned(ownership: Ownership) -> str:
    parts = [f"owner {ownership.owner}"] if ownership.owner else []
    parts += [f"contact {ownership.contact}"] if ownership.contact else []
    parts += [f"{name} = {value}" for name, value in ownership.labels]
    return f" {', '.join(parts)}" if parts else ""


def _asked(target: str) -> tuple[SplitResult, str]:
    """The parts of what was asked for, and its host as hosts are spelled in the inventory."""
    if target.startswith((FILE, CLIENT_FILE)):
        return urlsplit(""), file_host(target)
    try:
        parts = urlsplit(target if "://" in target else f"//{target}")
        _ = parts.port  # is read by this alone, and may be none
        return parts, normalised(parts.hostname or "")
    except HostError as error:
        raise UsageError(f'"{target}": {error}') from error
    except ValueError as error:
        raise UsageError(f'"{target}" is not a host, with a port and a path or without: {error}') from error


def _asked_for(environment: Environment, endpoint: Endpoint, path: str) -> list[Requirement]:
    """The requirements at a path; all of the endpoint's where none is named."""
    requirements = requirements_of(environment, endpoint)
    if path in {"", ROOT}:
        return list(requirements)
    exact = [requirement for requirement in requirements if requirement.path == path]
    nearest_place = requirement_at(environment, endpoint, path)
    return exact or ([nearest_place] if nearest_place else [])
