"""What shows, by clients that are not the scanner, that each server of the lab has the flaw it is named for.

Every module beside this one registers checks: a new one is found by being there.
"""

import pkgutil
from importlib import import_module

from tests.build.lab_checks.client import CHECKS

for _module in sorted(item.name for item in pkgutil.iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")

__all__ = ["CHECKS"]
