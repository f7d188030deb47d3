"""`nightseal worker`: what it does."""

from __future__ import annotations

from pathlib import Path

from scanner import confidential
from scanner.fleet.settings import FleetSettings
from scanner.formats import load
from scanner.jobs.fleet import checked


def worker(zone: str, broker: str, certificates: Path | None, processes: int, *, insecure: bool) -> int:
    """Probe the targets of a zone for runs elsewhere, until told to stop."""
    confidential.keep_parts(broker)
    fleet = checked(FleetSettings(broker, certificates.absolute() if certificates else None, insecure))
    # Celery is installed where there is a fleet alone.
    return int(load("scanner.fleet.worker:work")(fleet, zone, processes))
