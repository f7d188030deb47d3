"""Ports of loopback that belong to this process alone, so that no other test can come to listen on one of them.

A port that the kernel chooses and that is closed again may be anybody's a moment later: of a server that another worker
starts, where this test expects to be refused, or where it is about to start a server of its own. So ports are taken from
below those that the kernel chooses by itself, and each process has a block of them, which it holds by a locked file for
as long as it lives.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import TextIO

_LOWEST, _BLOCK, _MOST = 10_240, 256, 2_048
_KERNELS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_taken: dict[int, Iterator[int]] = {}


class NoPortError(Exception):
    """Every port belongs to another process, or is in use."""


def free_port() -> int:
    """A port on loopback that nobody listens on, nor will, but for whoever is told it."""
    process = os.getpid()
    if process not in _taken:
        _taken.clear()  # what a forked process has of its parent is the parent's
        _taken[process] = _own_ports()
    for port in islice(_taken[process], _MOST):
        if _is_free(port):
            return port
    raise NoPortError


def free_ports(number: int) -> list[int]:
    """So many ports of that kind, each another."""
    return [free_port() for _ in range(number)]


def _own_ports() -> Iterator[int]:
    """One port after another, of one block after another; from the first one again when there are enough."""
    owned: list[int] = []
    held: list[TextIO] = []
    for first in range(_LOWEST, _lowest_of_the_kernel() - _BLOCK, _BLOCK):
        if len(owned) < _MOST and (lock := _locked(first)):
            held.append(lock)
            owned += range(first, first + _BLOCK)
            yield from owned[-_BLOCK:]
    yield from cycle(owned)


def _lowest_of_the_kernel() -> int:
    return int(_KERNELS.read_text("ascii").split()[0]) if _KERNELS.exists() else 32_768


def _locked(first: int) -> TextIO | None:
    folder = Path(tempfile.gettempdir()) / f"nightseal-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = (folder / str(first)).open("w", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
