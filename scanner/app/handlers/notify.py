"""`nightseal notify`: whether receivers can be reached, before it matters."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from reports.deliver import deliver
from reports.deliver_message import Entry, Notification, Section, compose
from reports.message import Level
from scanner.config import loading as configuration
from scanner.errors import DeliveryError, UsageError, nearest
from scanner.service import preflight
from scanner.verdict import Severity


def test(name: str, config_path: Path) -> None:
    """Send a message to the receiver NAME of the configuration, and say whether it was taken."""
    config = configuration.load(config_path)
    # A receiver that takes messages is of no use to a service that does not start.
    preflight.check(config)
    receiver = next((receiver for receiver in config.receivers if receiver.name == name), None)
    if receiver is None:
        known = [receiver.name for receiver in config.receivers]
        hint = nearest(name, known) or f"configured: {', '.join(known) or 'none'}"
        raise UsageError(f'{config.source} has no [[notify]] "{name}" ({hint})')
    entry = Entry(
        f'This is a test of the receiver "{name}". Messages like this one will tell: {", ".join(receiver.on)}.'
    )
    section = Section("run-failed", Level.INFO, "A test", "a test", (entry,))
    news = Notification("test", "", datetime.now(UTC), (section,))
    message = compose(news, on=("run-failed",), severity=Severity.INFO, attach=False)
    if message is None:  # pragma: no cover  # the section is one that was asked for
        raise AssertionError
    outcome = deliver(receiver.url, message)
    if not outcome.delivered:
        raise DeliveryError(f'the receiver "{name}" did not take the message: {outcome.reason}')
    click.echo(f'The receiver "{name}" took the message.')
