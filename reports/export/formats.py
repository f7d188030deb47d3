"""Writes a run in one of the machine formats. A format's module, and its library, loads when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from scanner.formats import FORMATS, WriterInput, pieces_of
from scanner.untrusted import unturned_utf8

if TYPE_CHECKING:
    from datetime import datetime

    from scanner.inventory import Role
    from scanner.ownership import Ownership
    from scanner.rules import Rule
    from scanner.verdict import RunRecord

_GIVEN: Final[Mapping[WriterInput, tuple[str, ...]]] = {
    WriterInput.RECORD: (),
    WriterInput.RULES: ("rules",),
    WriterInput.OWNERS: ("owners",),
    WriterInput.OWNED_RULES: ("rules", "owners"),
    WriterInput.PAST: ("rules", "first_seen", "owners"),
    WriterInput.PLACES: ("rules", "first_seen", "owners", "roles"),
}
"""What the writers of machine formats are given besides the run."""

EXPORTS: Final = tuple(name for name, item in FORMATS.items() if item.source in _GIVEN)
"""The names of the machine formats."""


def export(record: RunRecord, format_name: str, **given: Any) -> bytes:
    """Write a run in one of the machine formats, all at once; arguments as of `exported`."""
    return b"".join(exported(record, format_name, **given))


def exported(  # noqa: PLR0913  # everything that is known besides the run, all of it by keyword
    record: RunRecord,
    format_name: str,
    *,
    rules: Mapping[str, Rule],
    first_seen: Mapping[tuple[str, str, str], datetime] | None = None,
    owners: Mapping[str, Ownership] | None = None,
    roles: Mapping[str, Mapping[str, Role]] | None = None,
) -> Iterator[bytes]:
    """Write a run in one of the machine formats, piece by piece.

    Args:
        record: the run.
        format_name: one of `EXPORTS`.
        rules: by id, for the formats that describe them.
        first_seen: since when something fails, by endpoint, rule and subject, for the formats that tell it.
        owners: who answers for an endpoint, and its labels, for the same formats.
        roles: of the consoles at an endpoint, by their paths.

    Raises:
        KeyError: there is no such format.
    """
    wanted = FORMATS[format_name]
    known = {"rules": rules, "first_seen": first_seen, "owners": owners, "roles": roles}
    for piece in pieces_of(wanted.load()(record, **{key: known[key] for key in _GIVEN[wanted.source]})):
        yield piece if wanted.binary else unturned_utf8(piece)
