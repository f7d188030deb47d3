"""Environment variables in a configuration: "${NAME}" in any string."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from scanner import confidential
from scanner.errors import Problem
from scanner.validation import label_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(value: Any, environ: Mapping[str, str], key: str, problems: list[Problem]) -> Any:
    """Replace "${NAME}" in every string by the environment variable of that name; one that is not set is a problem."""
    if isinstance(value, dict):
        return {name: expand(item, environ, f"{key}.{name}" if key else name, problems) for name, item in value.items()}
    if isinstance(value, list):
        return [
            expand(item, environ, f"{key}[{label_of(item) or index}]", problems) for index, item in enumerate(value, 1)
        ]
    if not isinstance(value, str):
        return value
    confidential.keep_literal(value)
    for name in _VARIABLE.findall(value):
        if name not in environ:
            # Not by an assignment: a shell remembers what was typed.
            hint = f"in a shell: read -rs {name} && export {name}; for the service, in its environment file"
            problems.append(Problem(key, f"the environment variable {name} is not set", hint))
        else:
            confidential.keep_variable(name, environ[name])
    return _VARIABLE.sub(lambda match: environ.get(match[1], match[0]), value)


def is_unset(value: str) -> bool:
    """Whether a value still holds a variable that was not set when it was read."""
    return _VARIABLE.search(value) is not None
