"""`nightseal run --via-daemon`: the side of whoever asks."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from scanner.config.loading import Config
from scanner.errors import ExitStatus, StateError, UsageError

LONGEST_SOCKET = 107
"""Bytes of a Unix socket's name; Linux has room for no more."""


def run_via_daemon(config: Config, order: Mapping[str, Any], *, quiet: bool) -> int:
    """Ask the running service of this configuration for a run, wait, and return the run's exit status.

    Raises:
        UsageError: there is no such service, or it refuses.
    """
    answer = ask(socket_of(config), {name: value for name, value in order.items() if value})
    if answer["summary"] and not quiet:
        click.echo(answer["summary"])
    if answer["reason"]:
        click.echo(f"nightseal: {answer['state']}: {answer['reason']}", err=True)
    status = answer["exit_status"]
    return ExitStatus.INTERNAL if status is None else int(status)


def socket_of(config: Config) -> Path:
    """Where the service of a configuration listens for orders."""
    form = config.form.daemon
    if form.socket is not None:
        return Path(config.resolve(form.socket)).absolute()
    state = state_of(config)
    return state.with_name(f"{state.name}.sock")


def state_of(config: Config) -> Path:
    """The state file of a configuration, whatever links lead to it: what lies beside it is the same by every way."""
    return Path(config.resolve(config.form.daemon.state)).resolve()


def ask(path: Path, order: Mapping[str, Any]) -> dict[str, Any]:
    """Ask a running service for a run, and wait for its outcome.

    Raises:
        UsageError: no service listens there, or it refuses.
        StateError: it cannot write down for now what it is asked for.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(order).encode() + b"\n")
            line = connection.makefile("rb").readline()
        except PermissionError as error:
            raise UsageError(f"{path}: only the service's own user may ask it") from error
        except OSError as error:
            hint = "is `nightseal daemon` running with this configuration?"
            raise UsageError(f"{path}: nothing listens there ({hint})") from error
    if not line:
        raise UsageError(
            f"{path}: the service stopped before the run ended; it continues the run when it is started again"
        )
    answer: dict[str, Any] = json.loads(line)
    if answer.get("outage"):
        raise StateError(str(answer["error"]))
    if "error" in answer:
        raise UsageError(str(answer["error"]))
    return answer
