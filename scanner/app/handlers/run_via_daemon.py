"""`nightseal run --via-daemon`: asks the running service, and loads nothing that scans."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final

from scanner.config import loading as configuration
from scanner.errors import UsageError
from scanner.service.orders import run_via_daemon

_OWN: Final = {
    "ca_file": "--ca-file",
    "connect_to": "--connect-to",
    "no_intrusive": "--no-intrusive",
    "offline": "--offline",
    "output": "--output",
    "resume": "--resume",
    "sign_with": "--sign",
    "rules": "--rule",
    "skipped": "--skip",
    "fail_on_rules": "--fail-on-rule",
}
"""Options that the service has settings of its own for, or that change what it tells of."""


def run(  # noqa: PLR0913, PLR0917  # one for each option that can be asked for
    config_path: Path,
    environments: tuple[str, ...],
    schedule_name: str | None,
    policy_name: str | None,
    deadline: timedelta | None,
    formats: tuple[str, ...],
    fail_on: str,
    *,
    quiet: bool,
    **own: object,
) -> int:
    """Have the running service do what `nightseal run` would, and wait for the outcome."""
    config = configuration.load(config_path, unset=("notify",))
    if any(own[name] for name in _OWN):
        *most, last = _OWN.values()
        raise UsageError(
            f"--via-daemon goes without {', '.join(most)} and {last}: the service has its own, and signs nothing"
        )
    order = {
        "schedule": schedule_name,
        "environments": environments,
        "policy": policy_name,
        "formats": formats,
        "deadline": deadline.total_seconds() if deadline else None,
        "fail_on": fail_on,
    }
    return run_via_daemon(config, order, quiet=quiet)
