"""The machine formats by name. A format's module, and the library that it needs, loads when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scanner.rules import Rule
    from scanner.verdict import RunRecord

    Rules = Mapping[str, Rule]


def export(record: RunRecord, format_name: str, *, rules: Rules) -> bytes:
    """Write a run in one of the machine formats.

    Args:
        record: the run.
        format_name: one of `EXPORTS`.
        rules: by id, for the formats that describe them.

    Raises:
        KeyError: there is no such format.
    """
    return EXPORTS[format_name](record, rules)


def _json(record: RunRecord, _: Rules) -> bytes:
    from reports.export.json_v1 import to_json_bytes  # noqa: PLC0415  # each format loads when it is asked for

    return to_json_bytes(record)


def _csv(record: RunRecord, _: Rules) -> bytes:
    from reports.export.csv import to_csv  # noqa: PLC0415  # as above

    return to_csv(record).encode()


def _xlsx(record: RunRecord, _: Rules) -> bytes:
    from reports.export.xlsx import to_xlsx  # noqa: PLC0415  # as above

    return to_xlsx(record)


def _sarif(record: RunRecord, rules: Rules) -> bytes:
    from reports.export.sarif import to_sarif  # noqa: PLC0415  # as above

    return to_sarif(record, rules=rules).encode()


def _junit(record: RunRecord, _: Rules) -> bytes:
    from reports.export.junit import to_junit  # noqa: PLC0415  # as above

    return to_junit(record).encode()


def _openmetrics(record: RunRecord, _: Rules) -> bytes:
    from reports.export.openmetrics import to_openmetrics  # noqa: PLC0415  # as above

    return to_openmetrics(record).encode()


def _cyclonedx(record: RunRecord, _: Rules) -> bytes:
    from reports.export.cyclonedx import to_cyclonedx  # noqa: PLC0415  # as above

    return to_cyclonedx(record).encode()


def _oscal(record: RunRecord, rules: Rules) -> bytes:
    from reports.export.oscal import to_oscal  # noqa: PLC0415  # as above

    return to_oscal(record, rules=rules).encode()


EXPORTS: Final[Mapping[str, Callable[[RunRecord, Rules], bytes]]] = {
    "json": _json,
    "csv": _csv,
    "xlsx": _xlsx,
    "sarif": _sarif,
    "junit": _junit,
    "openmetrics": _openmetrics,
    "cyclonedx": _cyclonedx,
    "oscal": _oscal,
}
"""Every machine format: what writes it."""
