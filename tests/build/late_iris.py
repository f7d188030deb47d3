"""Lets jsonschema load what checks IRIs when one is checked, here and in every process that a test starts.

`tests/build/late/rfc3987_syntax.py` says why. A path is what processes inherit, which need nothing of the tests then.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

LATE = Path(__file__).parent / "late"


def load_iris_late() -> None:
    """Put the stand-in before what it stands for."""
    sys.path.insert(0, str(LATE))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LATE), os.environ.get("PYTHONPATH")]))
