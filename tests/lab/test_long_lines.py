"""A line of a plain protocol is bounded, however it is cut into pieces on its way."""

from __future__ import annotations

import asyncio
import socket

import pytest

from scanner.evidence import FailureReason
from scanner.probe.net.connection import LINE_LIMIT, PreludeError, TcpStream


def line_of(data: bytes) -> bytes:
    async def read() -> bytes:
        near, far = socket.socketpair()
        with near, far:
            near.settimeout(0)
            far.sendall(data)
            return await TcpStream(near).line()

    return asyncio.run(read())


@pytest.mark.parametrize("data", [b"x" * LINE_LIMIT + b"x\nmore", b"x" * 8_192 + b"\n", b"x" * 8_192])
def test_a_line_that_is_too_long_is_so_with_its_end_and_without(data: bytes) -> None:
    with pytest.raises(PreludeError) as raised:
        line_of(data)
    assert raised.value.failure.reason is FailureReason.TOO_LARGE


@pytest.mark.parametrize("size", [0, 10, LINE_LIMIT])
def test_others_are_read_to_their_end(size: int) -> None:
    assert line_of(b"x" * size + b"\nmore") == b"x" * size
