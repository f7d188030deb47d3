"""`nightseal cluster`: what it does."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.fleet.certificates import make
from scanner.fleet.users import make_users


def certificates(folder: Path, hosts: tuple[str, ...], zones: tuple[str, ...]) -> int:
    """Make the certificates of mutual TLS, or make them again under the same authority."""
    members = make(folder, hosts, zones)
    make_users(folder, hosts, zones)
    for member in members:
        click.echo(member)
    return 0
