"""A relay in front of a real server, which does to hellos what boxes on the way do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable


class Relay:
    """Passes on what it does not dislike. `dislikes` sees each hello and says what to do: pass, close, reset, hang.

    `at_work` is whether something will come of a connection by itself: one is open that does not hang.
    """

    def __init__(self, port: int, dislikes: Callable[[Relay, bytes], str], *, closes_for_alert: bool = False) -> None:
        self.port, self.dislikes, self.closes_for_alert = port, dislikes, closes_for_alert
        self.seen = 0
        self.open = 0
        self._hanging = 0
        self.begun: list[float] = []
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    def at_work(self) -> bool:
        return self.open > self._hanging

    async def until(self, true: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(true)

    async def _count(self, step: int) -> None:
        async with self._changed:
            self.open += step
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen += 1
        await self._count(1)
        self.begun.append(asyncio.get_running_loop().time())
        try:
            hello = await reader.read(65_536)
            verdict = self.dislikes(self, hello)
            if verdict == "hang":
                self._hanging += 1
                try:
                    await reader.read()
                finally:
                    self._hanging -= 1
            elif verdict == "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif verdict == "pass":
                passing = asyncio.create_task(self._pass_on(hello, writer))
                gone = asyncio.create_task(reader.read())
                _, pending = await asyncio.wait((passing, gone), return_when=asyncio.FIRST_COMPLETED)
                for task in pending:
                    task.cancel()
                await asyncio.gather(passing, gone, return_exceptions=True)
        except OSError:
            pass  # the survey hangs up as soon as it has heard enough
        finally:
            writer.close()
            await self._count(-1)

    async def _pass_on(self, hello: bytes, writer: asyncio.StreamWriter) -> None:
        reader, onward = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            onward.write(hello)
            while data := await reader.read(65_536):
                if self.closes_for_alert and data[0] == 21:
                    return
                writer.write(data)
                await writer.drain()
        finally:
            onward.close()
