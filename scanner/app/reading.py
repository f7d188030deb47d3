"""The configuration of commands that only read: what is wrong with it is a warning to them."""

from __future__ import annotations

from pathlib import Path

from scanner.config.loading import Config
from scanner.config.reading import load_to_read
from scanner.jobs.keeping import warn


def config_to_read(path: Path) -> Config:
    """The configuration as far as it can be used; what is wrong with the rest is told on stderr.

    Raises:
        ConfigError: there is no such file, or not even the places in it can be read.
    """
    config, problems = load_to_read(path)
    warn([f"{problem.place or config.source}: {problem}" for problem in problems])
    return config
