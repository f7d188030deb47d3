"""A blocking connection that the lab's small servers read from: plain, TLS by OpenSSL or TLS by tlslite alike."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import re

_LINGER_SECONDS: Final = 2.0


class Channel(Protocol):
    """What a socket, an `ssl.SSLSocket` and a tlslite connection have in common."""

    def recv(self, size: int, /) -> bytes | bytearray:
        """Wait for at most `size` bytes; none at the end."""

    def sendall(self, data: bytes, /) -> object:
        """Send all of `data`."""


class Connection:
    """Buffers what a channel delivers, so that a protocol can be read by pattern."""

    def __init__(self, channel: Channel, unread: bytes = b"") -> None:
        """Read from and write to `channel`, which the caller closes; `unread` is taken for what it said already."""
        self._channel = channel
        self._buffer = bytearray(unread)
        self.chunk = 16_384

    @property
    def unread(self) -> bytes:
        """What was received and not taken yet."""
        return bytes(self._buffer)

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._channel.sendall(data)

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Remove what matches at the start of the buffer, or leave the buffer alone."""
        match = pattern.match(bytes(self._buffer))
        if match is not None:
            del self._buffer[: match.end()]
        return match

    def peek(self) -> bytes:
        """Look at the next byte, waiting for it; none at the end of the stream."""
        if not self._buffer:
            self.fill(0)
        return bytes(self._buffer[:1])

    def fill(self, limit: int) -> bool:
        """Wait for more; false at the end of the stream or where more than `limit` bytes wait to be understood."""
        if len(self._buffer) > limit:
            return False
        data = self._channel.recv(self.chunk)
        self._buffer += data
        return bool(data)

    def read_until(self, end: re.Pattern[bytes], limit: int) -> bytes | None:
        """Read up to and with the first match of `end`; nothing at the end of the stream or beyond `limit` bytes."""
        while (match := end.search(self._buffer)) is None:
            if not self.fill(limit):
                return None
        position = match.end()
        data = bytes(self._buffer[:position])
        del self._buffer[:position]
        return data

    def read_exactly(self, size: int) -> bytes | None:
        """Read `size` bytes; nothing where the stream ends before."""
        while len(self._buffer) < size:
            if not self.fill(size):
                return None
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


def linger(plain: socket.socket) -> None:
    """End what is sent, and take what still comes: closing with something unread would be a reset.

    A reset may overtake what was sent last. The caller closes.

    Raises:
        OSError: the client has left, or goes on to send for too long.
    """
    plain.shutdown(socket.SHUT_WR)
    plain.settimeout(_LINGER_SECONDS)
    while plain.recv(65_536):
        pass
