"""`nightseal config`: check, describe or begin a configuration."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app.lazy import done_by
from scanner.app.options import config_option
from scanner.config.form_scan import DEFAULT_PATH


@click.group("config")
def command() -> None:
    """Check, describe or begin a configuration."""


@command.command("check")
@config_option
@done_by("scanner.app.handlers.config:check")
def check() -> None:
    """Check the configuration, and open everything that it names, as a run and the service do before they start.

    \b
    Examples:
      nightseal config check
      nightseal config check --config /etc/nightseal/config.toml
    """


@command.command("schema")
@done_by("scanner.app.handlers.config:schema")
def schema() -> None:
    """Print the JSON Schema of config.toml.

    \b
    Examples:
      nightseal config schema > config.schema.json     for an editor's completion
    """


@command.command("init")
@click.argument("path", type=click.Path(path_type=Path), default=DEFAULT_PATH)
@done_by("scanner.app.handlers.config:init")
def init() -> None:
    """Write a commented configuration to PATH (config.toml), which is never overwritten.

    \b
    Examples:
      nightseal config init
      nightseal config init /etc/nightseal/config.toml
    """


@command.command("explain")
@click.argument("target", metavar="HOST[/PATH]")
@config_option
@done_by("scanner.app.handlers.config:explain")
def explain() -> None:
    """Show what is required of a host or path, and which line of the configuration decided it.

    Any path may be asked for: the narrowest configured place that contains it decides, else the host's root.

    \b
    Examples:
      nightseal config explain shop.example.com
      nightseal config explain shop.example.com/Shop/Checkout
    """
