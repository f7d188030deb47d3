"""Small servers for probes to talk to, in the event loop of the test that asks."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Log:
    """What a server saw: the requests' heads and bodies, how many connections came, and how many at once."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    stop: Callable[[], None] = lambda: None
    """Takes no more connections from now on."""


@contextlib.asynccontextmanager
async def serving(
    handler: Handler, context: ssl.SSLContext | None = None, ip: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Log]:
    """Serve on a port of loopback; what a handler raises for a client that left is forgotten.

    Where it is to stop and to refuse, it wants a port of `free_port`: any other might be taken over by another test.
    """
    log = Log()
    tasks = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tasks.add(task)
        log.connections += 1
        log.open += 1
        log.most_open = max(log.most_open, log.open)
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            log.open -= 1
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(handle, ip, port, ssl=context, limit=2**20)
    log.port = server.sockets[0].getsockname()[1]
    log.stop = server.close
    try:
        yield log
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader, log: Log | None = None) -> bytes:
    """Read one request, body and all."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    request = head + await reader.readexactly(length)
    if log is not None:
        log.requests.append(request)
    return request


def saying(answer: bytes) -> Handler:
    """Answer every request with the same bytes and close the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    return handle
