"""`nightseal cluster`: what it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from scanner.errors import UsageError
from scanner.fleet.certificates import make
from scanner.fleet.users import make_users
from scanner.hostname import HostError, normalised

_LARGEST_PORT: Final = 65_535


def certificates(folder: Path, hosts: tuple[str, ...], zones: tuple[str, ...]) -> int:
    """Make the certificates of mutual TLS, or make them again under the same authority."""
    placed = [_placed(host) for host in hosts]
    names = [name for name, _ in placed]
    members = make(folder, names, zones)
    make_users(folder, names, zones, placed[0][1])
    for member in members:
        click.echo(member)
    return 0


def _placed(host: str) -> tuple[str, int | None]:
    """A broker's name or address, which goes into its certificate, and the port, if one was said.

    Raises:
        UsageError: it is none.
    """
    name, port = host, None
    if match := re.fullmatch(r"(\[.+\]|[^:]+):(\d+)", host):
        name, port = match[1], int(match[2])
    if port is not None and not 0 < port <= _LARGEST_PORT:
        raise UsageError(f"--host {host}: a port is a number from 1 to {_LARGEST_PORT}")
    try:
        return normalised(name), port
    except HostError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise UsageError(f"--host {error}{hint}") from error
