"""A configuration as the service uses it: checked in everything that can be checked before a run, or refused whole."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from scanner.config import loading as configuration
from scanner.config.form import ScheduleForm
from scanner.config.loading import Config
from scanner.errors import ConfigError, Problem
from scanner.service.cron import ScheduleTrigger
from scanner.service.log_fields import log_with, of_problem
from scanner.service.orders import socket_of, state_of
from scanner.service.preflight import check

_LOG = logging.getLogger("nightseal.daemon")


class Setup(Struct, frozen=True):
    """What the service works by."""

    config: Config
    schedules: Mapping[str, ScheduleForm]
    triggers: Mapping[str, ScheduleTrigger]
    urls: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()

    def warn(self) -> None:
        """Log what is wrong with it without keeping the service from its work."""
        for problem in self.warnings:
            sentence = f"{problem.place or self.config.source}: {problem}"
            log_with(_LOG, logging.WARNING, sentence, of_problem(problem, self.config.source))

    @property
    def state(self) -> Path:
        """The state file."""
        return state_of(self.config)

    @property
    def socket(self) -> Path:
        """The control socket."""
        return socket_of(self.config)


def load(path: Path) -> Setup:
    """Read and check a configuration.

    Raises:
        ConfigError: something in it, or in what it names, cannot be used.
    """
    config = configuration.load(path)
    if not config.schedules:
        problem = Problem("schedule", "nothing is scheduled", "`nightseal config init` shows a [[schedule]]")
        raise ConfigError(config.source, [problem])
    checked = check(config)
    return Setup(
        config,
        {schedule.name: schedule for schedule in config.schedules},
        checked.triggers,
        {receiver.name: receiver.url for receiver in config.receivers},
        checked.warnings,
    )
