"""The enforcement matrix as plain frozen values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from scanner.verdict import Severity, Status

if TYPE_CHECKING:
    from reports.view.target_model import TargetRef


class MatrixRow(Struct, frozen=True):
    """One place and how HTTPS is enforced there. The verdict is the gravest of the rules that judge it.

    `only_at` are the addresses where this was seen, if others answer otherwise.
    """

    application: str
    place: str
    targets: tuple[TargetRef, ...]
    requirement: str
    decided_by: str
    over_http: str
    over_https: str
    status: Status
    severity: Severity | None
    explanation: str
    rule: str = ""
    anchor: str | None = None
    waived: bool = False
    only_at: tuple[str, ...] = ()


class EnforcementMatrix(Struct, frozen=True):
    """The places of one environment."""

    environment: str
    anchor: str
    rows: tuple[MatrixRow, ...]

    @property
    def open_rows(self) -> tuple[MatrixRow, ...]:
        """The places that are not as required, or not known to be; those that are not come first."""
        failing = [row for row in self.rows if row.status is Status.FAIL]
        unknown = [row for row in self.rows if row.status is Status.INDETERMINATE]
        return (*failing, *unknown)
