"""Which domains in CAA records certificate authorities take for theirs (RFC 8659 section 4.2), by their organisation.

The data file beside this module says where they are from, and of when each is. An authority that is not there is not
known, which is no reason to accuse anybody.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources


@cache
def _rows() -> tuple[tuple[str, tuple[str, ...], date], ...]:
    text = (resources.files("scanner.rules.certificates") / "caa_identifiers.csv").read_text(encoding="utf-8")
    found = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        (row["organisation"], tuple(row["identifiers"].split()), date.fromisoformat(row["as_of"])) for row in found
    )


@cache
def identifiers() -> Mapping[str, tuple[str, ...]]:
    """The domains of each authority, by its organisation in lower case."""
    return {organisation: domains for organisation, domains, _ in _rows()}


@cache
def dates() -> tuple[date, date]:
    """Of when the oldest and the newest row is."""
    found = [as_of for *_, as_of in _rows()]
    return min(found), max(found)
