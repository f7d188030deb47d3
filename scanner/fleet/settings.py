"""How a fleet is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

CA, CERTIFICATE, KEY = "ca.pem", "certificate.pem", "key.pem"
"""The files of one member of a fleet, in its folder."""
BROKER, COORDINATOR = "broker", "coordinator"
URL_VARIABLE: Final = "NIGHTSEAL_BROKER"
"""In which a worker finds its broker."""
PASSWORD_VARIABLE: Final = "BROKER_PASSWORD"  # noqa: S105  # the name of a variable
"""In which the example of the configuration has the coordinator's password."""


def queue_of(zone: str) -> str:
    """The queue of a zone."""
    return f"nightseal.zone.{zone}"


def member_of_zone(zone: str) -> str:
    """What the workers of a zone are called: their folder, their certificate, their user."""
    return f"zone-{zone}"


def unacked_keys(member: str) -> tuple[str, str, str]:
    """Where Redis holds what a member has taken and not acknowledged yet: apart, since it is read by who may see it."""
    return f"nightseal.unacked.{member}", f"nightseal.unacked_index.{member}", f"nightseal.unacked_mutex.{member}"


class FleetSettings(Struct, frozen=True):
    """Where the broker is, and by which certificate one is known to it.

    `certificates` is a folder with `ca.pem`, `certificate.pem` and `key.pem`; None goes without, which `insecure` alone
    allows.
    """

    broker: str
    certificates: Path | None = None
    insecure: bool = False
