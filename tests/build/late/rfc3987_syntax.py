"""Stands in for the package of this name, and loads it when an IRI is checked.

The package builds 38 parsers when it is imported, nine seconds of processor time, for two formats that few schemas
have. jsonschema imports it where it is installed, as it is for development, and Altair imports jsonschema: so each
worker of the tests would build them, and each command and each run of a service that a test starts. Of the 38 only one
is ever asked by jsonschema: each is built when it is.

This folder comes before all others on the path of the tests, and of what they start (`tests/conftest.py`).
"""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


class _Late:
    """A parser of the package that is built when it is first asked."""

    def __init__(self, build: Any, *arguments: Any, **options: Any) -> None:
        self._build = functools.partial(build, *arguments, **options)

    @functools.cached_property
    def _parser(self) -> Any:
        return self._build()

    def parse(self, *arguments: Any, **options: Any) -> Any:
        return self._parser.parse(*arguments, **options)


def is_valid_syntax(term: str, value: str) -> bool:
    """What the package says of it."""
    lark = importlib.import_module("lark")
    path, build = [*sys.path], lark.Lark
    sys.path[:] = [place for place in path if Path(place) != _HERE]
    # From now on it is the package for everybody.
    sys.modules.pop(__name__, None)
    lark.Lark = functools.partial(_Late, build)  # type: ignore[attr-defined]  # the package takes it from there
    try:
        found: bool = importlib.import_module(__name__).is_valid_syntax(term, value)
    finally:
        sys.path[:] = path
        lark.Lark = build  # type: ignore[attr-defined]
    return found
