"""Microsoft SQL Server: TDS 7, whose TLS handshake travels in packets of TDS until it is done ([MS-TDS] 2.2.6.5).

A server that demands TDS 8.0 ("strict") speaks TLS at once instead.
"""

from __future__ import annotations

import socket
from typing import Final

from scanner.evidence import FailureReason, PlainLogin
from scanner.inventory import StartTls
from scanner.probe.net.connection import CHUNK, PreludeError, TcpStream
from scanner.probe.net.starttls.replies import Names

_PRELOGIN: Final = 0x12
_ANSWER: Final = 0x04
_HEAD: Final = 8
_LARGEST: Final = 4096
_END_OF_MESSAGE: Final = 1
_ENCRYPTION: Final = 1
_TERMINATOR: Final = 0xFF
_OPTION: Final = 5
_RECORDS: Final = range(20, 24)
"""The first bytes of TLS records."""
NOT_SUPPORTED: Final = 2
ENCRYPT: Final = 1


def packets(data: bytes) -> bytes:
    """Bytes as packets of TDS, none larger than may be before anything was agreed."""
    size = _LARGEST - _HEAD
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(
        bytes([_PRELOGIN, _END_OF_MESSAGE * (number == len(parts))])
        + (_HEAD + len(part)).to_bytes(2)
        + bytes([0, 0, number % 256, 0])
        + part
        for number, part in enumerate(parts, 1)
    )


async def encryption(stream: TcpStream, wanted: int) -> int:
    """Say what we want of encryption, and give what the server says of it (0 off, 1 on, 2 not supported, 3 required).

    Raises:
        PreludeError: it speaks something else.
    """
    version, choice = bytes(6), bytes([wanted])
    offset = 2 * _OPTION + 1
    options = bytes([0, *offset.to_bytes(2), 0, len(version)])
    options += bytes([_ENCRYPTION, *(offset + len(version)).to_bytes(2), 0, 1, _TERMINATOR])
    await stream.send(packets(options + version + choice))
    head = await stream.exactly(_HEAD)
    if head[0] != _ANSWER:
        raise PreludeError(FailureReason.MALFORMED, "the answer is not TDS's to a prelogin")
    body = await stream.exactly(max(0, int.from_bytes(head[2:4]) - _HEAD))
    for at in range(0, len(body), _OPTION):
        if body[at] == _TERMINATOR:
            break
        place = int.from_bytes(body[at + 1 : at + 3])
        if body[at] == _ENCRYPTION and place < len(body):
            return body[place]
    raise PreludeError(FailureReason.MALFORMED, "the server says nothing of encryption")


class Wrapping:
    """Takes the handshake's records in and out of packets of TDS, whoever sends and receives."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._raw = False
        self._done = False

    def out(self, data: bytes) -> bytes:
        """What is to be sent for these bytes: after the server's last packet of TDS, they stay as they are."""
        return data if self._raw else packets(data)

    def into(self, data: bytes) -> bytes:
        """The TLS in what was received; a packet of which a part is missing waits for it."""
        self._buffer += data
        out = bytearray()
        while self._buffer:
            if self._buffer[0] in _RECORDS:
                self._raw = True
                out += self._buffer
                self._buffer.clear()
                break
            length = int.from_bytes(self._buffer[2:4]) if len(self._buffer) >= _HEAD else 0
            if not length or len(self._buffer) < length:
                if length and length < _HEAD:
                    raise PreludeError(FailureReason.MALFORMED, "a packet of TDS that is shorter than its head")
                break
            out += self._buffer[_HEAD:length]
            del self._buffer[:length]
        return bytes(out)


class TdsStream(TcpStream):
    """A connection whose TLS handshake travels in packets of TDS."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(connected)
        self._wrapping = Wrapping()

    async def send(self, data: bytes) -> None:
        """Send all of `data`, in packets."""
        await super().send(self._wrapping.out(data))

    async def _more(self, most: int = CHUNK) -> bytes:
        while True:
            data = await super()._more(most)
            if not data:
                return b""
            if inner := self._wrapping.into(data):
                return inner

    def detach(self) -> socket.socket:
        """Give the socket away, to somebody who waits for it."""
        return TdsSocket(super().detach())


class TdsSocket(socket.socket):
    """The same for who waits for a socket."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(connected.family, connected.type, connected.proto, connected.detach())
        self._wrapping = Wrapping()
        self._inner = bytearray()

    def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]  # any buffer is bytes here
        """Send all of `data`, in packets."""
        super().sendall(self._wrapping.out(bytes(data)), flags)
        return len(data)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """What came in packets, at most so much."""
        while not self._inner:
            data = super().recv(CHUNK, flags)
            if not data:
                return b""
            self._inner += self._wrapping.into(data)
        part = bytes(self._inner[:size])
        del self._inner[:size]
        return part


async def _mssql(stream: TcpStream, _: Names) -> TcpStream:
    if await encryption(stream, ENCRYPT) == NOT_SUPPORTED:
        raise PreludeError(FailureReason.STARTTLS_REFUSED, "the server says that it does not encrypt")
    return stream.become(TdsStream)


async def _login(stream: TcpStream, _: Names) -> tuple[PlainLogin, bytes]:
    """Say that we do not encrypt: who demands it says so all the same."""
    said = await encryption(stream, NOT_SUPPORTED)
    demanded = said in {ENCRYPT, _REQUIRED}
    return (PlainLogin.REFUSED if demanded else PlainLogin.TAKEN), f"ENCRYPTION {said}".encode()


_REQUIRED: Final = 3


PRELUDES: Final = {StartTls.MSSQL: _mssql}
LOGINS: Final = {StartTls.MSSQL: _login}
