"""Endpoints and applications as a file that people read before it is used: TOML to include, or CSV for an inventory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import tomli_w

from scanner.inventories.tabular import COLUMNS
from scanner.untrusted import printable

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def to_toml(environments: Sequence[Mapping[str, Any]], remarks: Iterable[str]) -> str:
    """A file for `include`: each environment with its name, endpoints and applications.

    Args:
        environments: with the keys of `[[environment]]`.
        remarks: lines about where it comes from, which stand at its head as comments.
    """
    head = "".join(f"# {printable(remark, 500)}\n" for remark in remarks)
    return f"{head}\n{tomli_w.dumps({'environment': list(environments)})}"


def to_csv(environments: Sequence[Mapping[str, Any]]) -> str:
    """A file for `[[environment.inventory]]`, with the columns that something has."""
    rows = [row for environment in environments for row in _rows(environment)]
    used = {key for row in rows for key in row}
    if len(environments) < 2:  # noqa: PLR2004  # which environment it is needs to be said where there are two
        used.discard("environment")
    keys = [key for key in COLUMNS if key in used] + sorted(key for key in used if key.startswith("label."))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, keys, extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _rows(environment: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    elements: list[tuple[str, Any]] = [("endpoint", item) for item in environment.get("endpoint", ())]
    elements += [("application", item) for item in environment.get("application", ())]
    for kind, item in elements:
        row = {key: value for key, value in item.items() if key not in {"labels", "name"}}
        row |= {f"label.{name}": value for name, value in item.get("labels", {}).items()}
        row["environment"] = environment["name"]
        if kind == "application":
            row["application"] = item["name"]
            row["paths"] = [path["path"] for path in item.get("paths", ())]
        yield {key: value for key, value in row.items() if value not in ([], "")}


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    # A cell that a spreadsheet would take for a formula is led by an apostrophe, as OWASP advises; it is read without.
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
