"""The clock of tests that talk to servers: it waits for those that are at work, and lets silence take no time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from tests.build import virtual_time


async def first_word(port: int, within_s: float) -> tuple[bytes, float]:
    """What a server says first, and how much time has passed by then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(within_s):
            return await reader.read(100), asyncio.get_running_loop().time()
    finally:
        writer.close()


def test_a_server_of_another_thread_has_all_the_time_that_it_takes():
    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            time.sleep(0.5)
            connection.sendall(b"here")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        asked = first_word(listening.getsockname()[1], within_s=0.1)
        assert virtual_time.run(asked, at_work=lambda: True) == (b"here", 0.0)
        thread.join()


def test_silence_takes_no_time_and_is_heard():
    async def ask() -> float:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            with pytest.raises(TimeoutError):
                await first_word(server.sockets[0].getsockname()[1], within_s=36_000)
            return asyncio.get_running_loop().time()

    assert virtual_time.run_with_servers(ask()) == 36_000
