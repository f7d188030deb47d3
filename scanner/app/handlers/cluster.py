"""`nightseal cluster`: what it does."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.fleet.certificates import make


def certificates(folder: Path, hosts: tuple[str, ...], zones: tuple[str, ...]) -> int:
    """Make the certificates of mutual TLS, or make them again under the same authority."""
    for member in make(folder, hosts, zones):
        click.echo(member)
    return 0
