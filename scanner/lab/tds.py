"""TLS in packets of TDS 7 ([MS-TDS] 2.2.6.5), as a server of Microsoft SQL sees it: for each connection a relay.

Between the client's socket and one that TLS is spoken over at once: packets are taken off on the way in, and put
around what goes out for as long as the client puts them.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final

_HEAD: Final = 8
_PRELOGIN: Final = 0x12
_REPLY: Final = 0x04


def unwrapped(client: socket.socket) -> socket.socket:
    """A socket over which TLS is spoken as usual; it ends when the client's does."""
    ours, theirs = socket.socketpair()
    packed = threading.Event()
    packed.set()
    for work in (_inwards, _outwards):
        # The caller closes its socket as soon as a handshake has failed. Each thread has one of its own: a thread that
        # still waits on a closed one would hold the connection open, and the alert would have nowhere to go.
        threading.Thread(target=work, args=(client.dup(), theirs, packed), daemon=True).start()
    return ours


def _inwards(client: socket.socket, inner: socket.socket, packed: threading.Event) -> None:
    with contextlib.suppress(OSError), client, inner:
        while head := client.recv(1, socket.MSG_PEEK):
            if head[0] != _PRELOGIN:
                packed.clear()
                inner.sendall(client.recv(16_384))
                continue
            length = int.from_bytes(_exactly(client, _HEAD)[2:4])
            inner.sendall(_exactly(client, length - _HEAD))


def _exactly(client: socket.socket, size: int) -> bytes:
    data = client.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise ConnectionResetError
    return data


def _outwards(client: socket.socket, inner: socket.socket, packed: threading.Event) -> None:
    with contextlib.suppress(OSError), client:
        while data := inner.recv(4096 - _HEAD):
            head = bytes([_REPLY, 1]) + (_HEAD + len(data)).to_bytes(2) + bytes(4)
            client.sendall(head + data if packed.is_set() else data)
        client.shutdown(socket.SHUT_WR)
