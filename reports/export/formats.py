"""Writes a run in one of the machine formats. A format's module, and its library, loads when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from scanner.formats import FORMATS, WriterInput

if TYPE_CHECKING:
    from datetime import datetime

    from scanner.inventory import Ownership
    from scanner.rules import Rule
    from scanner.verdict import RunRecord

EXPORTS: Final = tuple(
    name for name, item in FORMATS.items() if item.source in {WriterInput.RECORD, WriterInput.RULES, WriterInput.PAST}
)
"""The names of the machine formats."""


def export(
    record: RunRecord,
    format_name: str,
    *,
    rules: Mapping[str, Rule],
    first_seen: Mapping[tuple[str, str, str], datetime] | None = None,
    owners: Mapping[str, Ownership] | None = None,
) -> bytes:
    """Write a run in one of the machine formats.

    Args:
        record: the run.
        format_name: one of `EXPORTS`.
        rules: by id, for the formats that describe them.
        first_seen: since when something fails, by endpoint, rule and subject, for the formats that tell it.
        owners: who answers for an endpoint, and its labels, for the same formats.

    Raises:
        KeyError: there is no such format.
    """
    wanted = FORMATS[format_name]
    write = wanted.load()
    if wanted.source is WriterInput.PAST:
        made = write(record, rules=rules, first_seen=first_seen, owners=owners)
    else:
        made = write(record, rules=rules) if wanted.source is WriterInput.RULES else write(record)
    return made if isinstance(made, bytes) else made.encode()
