"""What the owner of a report says about it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from reports.language import mark
from scanner.verdict import Severity

if TYPE_CHECKING:
    from reports.logo import Logo

DUE_DAYS: Mapping[Severity, int] = {
    Severity.CRITICAL: 7,
    Severity.HIGH: 30,
    Severity.MEDIUM: 90,
    Severity.LOW: 180,
}
"""Days within which a failure should be mended, counted from when it was first seen; an owner may set others."""


class Edition(StrEnum):
    """How much of a run a report on paper tells."""

    FULL = "full"
    MANAGEMENT = "management"


class ReportOptions(Struct, frozen=True):
    """What the owner of the report says about it. `horizon_days` is how far the certificate timeline looks ahead."""

    title: str = mark("HTTPS compliance report")
    organisation: str = ""
    classification: str = ""
    language: str = "en"
    """What the report is written in: a name that `reports.language` knows."""
    logo: Logo | None = None
    templates: Path | None = None
    """A folder whose templates and style sheets win over those that ship."""
    horizon_days: int = 180
    due_days: Mapping[Severity, int] = field(default_factory=lambda: DUE_DAYS)
    edition: Edition = Edition.FULL
    servers: tuple[str, ...] = ()
    """Server programs whose remedies are told besides those that were seen, by the keys of remedies."""
    appendix: bool = True
    """Whether paper lists every target."""
    prepared_by: str = ""
    sign_off: bool = False
    """Whether paper has room for those who prepared, reviewed and accepted it to sign."""
    tsa: str | None = None
    """Address of the authority for time stamps that signatures get one of (RFC 3161)."""
    signature_roots: bytes = b""
    """Certificates, PEM, of the CAs of signer and time stamp: with both, signatures carry revocation data."""
    vantage: str = ""
    """What the place is called from which it was looked."""
