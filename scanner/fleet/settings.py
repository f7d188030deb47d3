"""How a fleet is reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CA, CERTIFICATE, KEY = "ca.pem", "certificate.pem", "key.pem"
"""The files of one member of a fleet, in its folder."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """Where the broker is, and by which certificate one is known to it.

    `certificates` is a folder with `ca.pem`, `certificate.pem` and `key.pem`; None goes without, which `insecure` alone
    allows.
    """

    broker: str
    certificates: Path | None = None
    insecure: bool = False
