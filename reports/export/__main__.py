"""`python -m reports.export` writes the JSON Schema anew, after the models have changed."""

from __future__ import annotations

import json
from pathlib import Path

from reports.export.json.v1 import generate_schema

_TARGET = Path(__file__).parent / "schema" / "nightseal.report-1.json"

if __name__ == "__main__":
    _TARGET.write_text(json.dumps(generate_schema(), indent=2) + "\n", "utf-8")
