"""Lets jsonschema load what checks IRIs when one is checked.

`rfc3987_syntax` builds 38 parsers when it is imported, for two formats that few schemas have. That takes seconds of
processor time, in each worker of the tests and each time that one test file is run.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_NAME = "rfc3987_syntax"


def _is_valid_syntax(term: str, value: str) -> bool:
    sys.modules.pop(_NAME, None)
    found: bool = importlib.import_module(_NAME).is_valid_syntax(term, value)
    return found


def load_iris_late() -> None:
    """Stand in for it; nothing where it is loaded already."""
    stand_in = ModuleType(_NAME, __doc__)
    stand_in.is_valid_syntax = _is_valid_syntax  # type: ignore[attr-defined]  # a module has any attribute
    sys.modules.setdefault(_NAME, stand_in)
