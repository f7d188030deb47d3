"""A relay that keeps what a client says on each of its connections, record by record."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

HEARTBEAT: Final = 24
CHANGE_CIPHER_SPEC: Final = 20
HANDSHAKE: Final = 22
_ROBOT_FINISHED: Final = bytes.fromhex("005091a3b6aaa2b64d126e5583b04c11")
"""How the Finished message of the published ROBOT test begins, which is the same each time."""


class Wiretap:
    """Passes everything on. `said` is what the client said, by connection; `begun` when each connection began."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.said: list[bytearray] = []
        self.begun: list[float] = []
        self.ended: list[float] = []
        self._port, self._address = port, address

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[int]:
        """Stand in front of the server, at the port that is given."""
        async with await asyncio.start_server(self._pass_on, "127.0.0.1", 0) as listening:
            yield listening.sockets[0].getsockname()[1]

    @property
    def attacks(self) -> set[str]:
        """What was said that looks like an attack, or like the use of a session that was kept."""
        return {name for said in self.said for name in attacks_of(bytes(said))}

    def refuses(self) -> bool:
        """Whether to turn the newest connection away, with a reset."""
        return False

    async def answered(self, said: bytes) -> None:
        """Wait for as long as an answer to what the client has said is to be held back."""

    async def _pass_on(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        said = bytearray()
        self.said.append(said)
        self.begun.append(time.monotonic())
        if self.refuses():
            back.transport.abort()
            return
        server, on = await asyncio.open_connection(self._address, self._port)

        async def upwards() -> None:
            with contextlib.suppress(OSError):
                while data := await client.read(65_536):
                    said.extend(data)
                    on.write(data)
            on.close()

        async def downwards() -> None:
            with contextlib.suppress(OSError):
                while data := await server.read(65_536):
                    await self.answered(bytes(said))
                    back.write(data)
            back.close()

        await asyncio.gather(upwards(), downwards())
        self.ended.append(time.monotonic())


def attacks_of(said: bytes) -> set[str]:
    """What was said on one connection that looks like an attack, or like the use of a session that was kept."""
    records = list(_records(said))
    kinds = [kind for kind, _ in records]
    found = set()
    if HEARTBEAT in kinds:
        found.add("heartbleed")
    if _ROBOT_FINISHED in said:
        found.add("robot")
    if kinds[1:2] == [CHANGE_CIPHER_SPEC] and not _is_tls13(records[0][1]):
        found.add("ccs" if _session_id(records[0][1]) == b"" else "resumption")
    # The key exchange, the Finished message, and what comes after it in a handshake that is made anew.
    if CHANGE_CIPHER_SPEC in kinds and kinds[kinds.index(CHANGE_CIPHER_SPEC) :].count(HANDSHAKE) > 1:
        found.add("renegotiation")
    return found


def _records(said: bytes) -> list[tuple[int, bytes]]:
    records = []
    while len(said) >= 5:
        length = int.from_bytes(said[3:5])
        records.append((said[0], said[5 : 5 + length]))
        said = said[5 + length :]
    return records


def _session_id(hello: bytes) -> bytes:
    return hello[39 : 39 + hello[38]] if len(hello) > 38 else b""


def _is_tls13(hello: bytes) -> bool:
    return b"\x00\x2b\x00\x03\x02\x03\x04" in hello or (b"\x03\x04" in hello[60:] and b"\x00\x33" in hello)
