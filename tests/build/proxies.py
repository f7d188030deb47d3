"""Proxies that resolve names themselves, in threads of this process: SOCKS5 and CONNECT, with a password."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

_SOON = 0.05
USER, PASSWORD = "me", "p:w-0123"


class Proxies:
    """A proxy of either kind. `names` leads each name to an address and port on loopback; `reached` counts what was asked for.

    `in_one`: what the server says first is sent in one packet with the proxy's own answer, where it says anything soon.
    """

    def __init__(self, scheme: str, names: Mapping[tuple[str, int], tuple[str, int]], *, in_one: bool = False) -> None:
        self.scheme, self.names, self.in_one = scheme, names, in_one
        self.reached: list[tuple[str, int]] = []
        self.carried = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://{USER}:p%3Aw-0123@127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxies]:
        started = threading.Event()
        end: Callable[[], object] = list

        async def serve() -> None:
            nonlocal end
            ended = asyncio.Event()
            end = partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set)
            async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
                self.port = server.sockets[0].getsockname()[1]
                started.set()
                await ended.wait()
                # A connection that is open still would keep newer Pythons waiting for its end.
                server.close()
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()

        thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
        thread.start()
        started.wait()
        try:
            yield self
        finally:
            end()
            thread.join()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await (self._socks if self.scheme == "socks5" else self._http)(reader, writer)
        writer.close()

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x02")
        _, length = await reader.readexactly(2)
        user = await reader.readexactly(length)
        password = await reader.readexactly((await reader.readexactly(1))[0])
        assert (user.decode(), password.decode()) == (USER, PASSWORD)
        writer.write(b"\x01\x00")
        head = await reader.readexactly(4)
        if head[3] == 1:
            name = ".".join(map(str, await reader.readexactly(4)))
            assert name in {known for known, _ in self.names}, "it was given an address, not the name"
        else:
            name = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        there = name, int.from_bytes(await reader.readexactly(2))
        self.reached.append(there)
        if there not in self.names:
            writer.write(b"\x05\x05\x00\x01\0\0\0\0\0\0")
            return
        await self._carry(there, b"", reader, writer, b"\x05\x00\x00\x01\0\0\0\0\0\0")

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode())
        assert b"Proxy-Authorization: Basic " + credentials in request
        method, target, _ = request.split(b"\r\n")[0].decode().split()
        place = target if method == "CONNECT" else target.partition("://")[2].partition("/")[0]
        name, _, port = place.partition(":")
        there = name, int(port or 80)
        self.reached.append(there)
        if there not in self.names:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        elif method == "CONNECT":
            await self._carry(there, b"", reader, writer, b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            # Servers are given the path alone (RFC 9112 section 3.2.1).
            path = "/" + target.partition("://")[2].partition("/")[2]
            await self._carry(there, request.replace(target.encode(), path.encode(), 1), reader, writer)

    async def _carry(
        self,
        there: tuple[str, int],
        begun: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: bytes = b"",
    ) -> None:
        self.carried += 1
        far_reader, far = await asyncio.open_connection(*self.names[there])
        far.write(begun)
        greeting = b""
        if self.in_one and answer:
            with contextlib.suppress(TimeoutError):
                greeting = await asyncio.wait_for(far_reader.read(65_536), _SOON)
        writer.write(answer + greeting)
        passing = [asyncio.create_task(_pass(reader, far)), asyncio.create_task(_pass(far_reader, writer))]
        await asyncio.gather(*passing, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
