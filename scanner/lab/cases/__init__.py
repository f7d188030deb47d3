"""All servers of the lab, as data. A new one is one `Case` in one of these modules, or in a new one beside them.

`make docs` writes their rows in docs/lab.md.
"""

import pkgutil
from importlib import import_module
from typing import Final

from scanner.lab.case import Case

_FIRST: Final = ("authenticity", "encryption", "enforcement", "applications", "failing", "starttls")
_OTHERS: Final = sorted(item.name for item in pkgutil.iter_modules(__path__) if item.name not in _FIRST)

CASES: tuple[Case, ...] = tuple(
    case for module in (*_FIRST, *_OTHERS) for case in import_module(f"{__name__}.{module}").CASES
)
