"""A configuration as the service uses it: checked in everything that can be checked before a run, or refused whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reports.deliver import problem_of
from scanner import config as configuration
from scanner.config import Config
from scanner.config_form import ScheduleForm
from scanner.errors import ConfigError, Problem
from scanner.jobs.looks import check_looks
from scanner.jobs.policies import load_policy, policies_of
from scanner.service.cron import ScheduleTrigger, trigger_of
from scanner.service.orders import socket_of


@dataclass(frozen=True, slots=True)
class Setup:
    """What the service works by."""

    config: Config
    schedules: Mapping[str, ScheduleForm]
    triggers: Mapping[str, ScheduleTrigger]
    urls: Mapping[str, str]

    @property
    def state(self) -> Path:
        """The state file."""
        return Path(self.config.resolve(self.config.form.daemon.state)).absolute()

    @property
    def socket(self) -> Path:
        """The control socket."""
        return socket_of(self.config)


def load(path: Path) -> Setup:
    """Read and check a configuration.

    Raises:
        ConfigError: something in it, or in a policy that it names, cannot be used.
    """
    config = configuration.load(path)
    policies_of(config)
    if not config.schedules:
        problem = Problem("schedule", "nothing is scheduled", "`nightseal config init` shows a [[schedule]]")
        raise ConfigError(config.source, [problem])
    triggers = {}
    for schedule in config.schedules:
        triggers[schedule.name] = trigger_of(schedule, config.source)
        if schedule.policy:
            load_policy(schedule.policy, base=config.folder)
    check_receivers(config)
    check_looks(config, templates=False)
    return Setup(
        config,
        {schedule.name: schedule for schedule in config.schedules},
        triggers,
        {receiver.name: receiver.url for receiver in config.receivers},
    )


def check_receivers(config: Config) -> None:
    """See that every receiver's address is one.

    Raises:
        ConfigError: some are none. The addresses are not in the message: they hold secrets.
    """
    problems = [
        Problem(f"notify[{receiver.name}].url", wrong, "see the list of services in Apprise's documentation")
        for receiver in config.receivers
        if (wrong := problem_of(receiver.url))
    ]
    if problems:
        raise ConfigError(config.source, problems)
