"""The fleet that a configuration means, seen to before anything is scanned."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from scanner import __version__
from scanner.errors import UsageError
from scanner.fleet.settings import FleetSettings
from scanner.formats import load

if TYPE_CHECKING:
    from scanner.config.loading import Config

_MISSING = (
    'Celery is not installed: install Nightseal\'s wheel with its extra "fleet" '
    f"(pip install './nightseal-{__version__}-py3-none-any.whl[fleet]')"
)


def fleet_of(config: Config) -> FleetSettings | None:
    """How the workers of zones are reached; None where this machine does all there is.

    Raises:
        UsageError: they can't be: the engine is not installed, the broker is none, or a certificate is not there.
    """
    form = config.form.dispatch
    if form.engine == "local":
        return None
    if form.broker is None:
        raise UsageError('[dispatch] engine = "celery" needs a broker (broker = "rediss://host:6379/0")')
    certificates = (config.folder / form.certificates).absolute() if form.certificates else None
    return checked(FleetSettings(form.broker, certificates, form.insecure))


def checked(fleet: FleetSettings) -> FleetSettings:
    """The same, once it is seen that it can be used.

    Raises:
        UsageError: it can't.
    """
    if importlib.util.find_spec("celery") is None:
        raise UsageError(_MISSING)
    load("scanner.fleet.broker:app_for")(fleet)
    return fleet
