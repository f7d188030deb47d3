"""A configuration for commands that only read what is there already: those that people are sent to when it is refused.

They need to know where history, output and state are, and hardly more. What else is wrong is told, and keeps nobody
from looking.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from scanner.config.files import ConfigFile, ConfigFiles, read_text
from scanner.config.form import ConfigForm
from scanner.config.loading import Config, load, parse_files
from scanner.config.variables import expand
from scanner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

_NEEDED: Final = ("nightseal", "daemon", "report")
"""The tables of which reading needs something."""
_PLACES: Final = frozenset({"nightseal.history", "nightseal.output", "daemon.state"})
"""What cannot be guessed where it is wrong."""


def load_to_read(path: Path) -> tuple[Config, Sequence[Problem]]:
    """Read a configuration as far as it can be used, and tell what is wrong with the rest of it.

    Where something is, the configuration has no environments, so that nothing of the history is told to be retired.
    Receivers' addresses may be missing: nobody is told anything.

    Raises:
        ConfigError: there is no such file, it is not TOML, or the places that it names are not.
    """
    try:
        return load(path, unset=("notify",)), ()
    except ConfigError as error:
        refused = error
    text = read_text(path)
    try:
        raw = tomllib.loads(text)
        needed = {name: _usable(name, raw[name]) for name in _NEEDED if isinstance(raw.get(name), dict)}
        files = ConfigFiles((ConfigFile(str(path), text, needed),), needed, {})
        return parse_files(files, path.parent), refused.problems
    except (tomllib.TOMLDecodeError, ValidationError, ConfigError):
        raise refused from None


def _usable(table: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a table that can be used, each looked at by itself.

    Raises:
        ValidationError: one that cannot be used says where something is.
    """
    kept: dict[str, Any] = {}
    for key, value in expand(raw, os.environ, table, []).items():
        try:
            ConfigForm.model_validate({table: {key: value}})
        except ValidationError:
            if f"{table}.{key}" in _PLACES:
                raise
        else:
            kept[key] = value
    return kept
