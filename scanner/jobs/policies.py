"""The policies that a configuration names, loaded and checked against the rules."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from scanner import policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.config.loading import Config
    from scanner.policy import Policy


def registry() -> ModuleType:
    """The rules, which take longer to load than all that a check does without them."""
    from scanner import rules  # noqa: PLC0415  # only where a policy does not ship, or lacks what a waiver names

    return rules


def load_policy(name: str, *, base: Path | None = None) -> Policy:
    """Load a policy and check it against the registry.

    Raises:
        PolicyError: there is none of that name, or it lists rules or parameters that do not exist.
    """
    loaded = policy.load(name, base=base)
    registry().bind(loaded)
    return loaded


def check_policy(name: str, *, base: Path | None = None) -> None:
    """See that a policy can be used; one that ships is only looked for, because tests hold it to the rules.

    Raises:
        PolicyError: as `load_policy` raises it.
    """
    if name not in policy.builtin_names():
        load_policy(name, base=base)


def policies_of(config: Config, override: str | None = None) -> tuple[Policy, Mapping[str, Policy]]:
    """The default policy, and each environment's by name. `override` (from the command line) replaces them all."""
    if override is not None:
        default = load_policy(override)
        return default, {environment.name: default for environment in config.inventory.environments}
    default = load_policy(config.form.nightseal.policy, base=config.folder)
    loaded = {config.form.nightseal.policy: default}
    result = {}
    for environment in config.inventory.environments:
        name = environment.policy or config.form.nightseal.policy
        if name not in loaded:
            loaded[name] = load_policy(name, base=config.folder)
        result[environment.name] = loaded[name]
    return default, result
