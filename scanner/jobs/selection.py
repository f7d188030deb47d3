"""Which part of a configuration is meant: environments by name or glob, a schedule by name."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from scanner.errors import ConfigError, Problem, UsageError, nearest
from scanner.inventory import Inventory

if TYPE_CHECKING:
    from scanner.config.form import ScheduleForm
    from scanner.config.loading import Config


def select(config: Config, names: Sequence[str]) -> Inventory:
    """The environments that the names and globs mean; all of them for none."""
    known = [environment.name for environment in config.inventory.environments]
    if not config.inventory.endpoints:
        hint = "`nightseal config init` writes an example"
        raise ConfigError(config.source, [Problem("environment", "nothing is configured to be scanned", hint)])
    for name in names:
        if not any(fnmatchcase(other, name) for other in known):
            hint = nearest(name, known) or f"configured: {', '.join(known)}"
            raise UsageError(f'{config.source} has no environment "{name}" ({hint})')
    chosen = tuple(
        environment
        for environment in config.inventory.environments
        if not names or any(fnmatchcase(environment.name, name) for name in names)
    )
    # What of the inventory files is in no environment belongs to no part of the estate, so it is told of the whole.
    everything = len(chosen) == len(config.inventory.environments)
    return Inventory(chosen, config.inventory.untaken if everything else ())


def schedule_of(config: Config, name: str) -> ScheduleForm:
    """The schedule of that name, or a usage error with the nearest."""
    for schedule in config.schedules:
        if schedule.name == name:
            return schedule
    known = [schedule.name for schedule in config.schedules]
    hint = nearest(name, known) or f"configured: {', '.join(known) or 'none'}"
    raise UsageError(f'{config.source} has no schedule "{name}" ({hint})')
