"""What processes that are forked for tests do."""

from __future__ import annotations

import socket

from scanner import forkserver


def have_one_forked(channel: socket.socket) -> None:
    """Have another process forked by the server from which this one was, and tell when it is there."""
    forkserver.begin()
    child = forkserver.spawn("scanner.dispatch.workers:serve")
    child.channel.recv(1)
    child.end()
    channel.sendall(b"forked")
