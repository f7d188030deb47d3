"""Connections wait for their sockets alike, by epoll and by the event loop's own way."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import weakref
from collections.abc import Coroutine
from typing import Any

import pytest

from scanner.probe.net import readiness
from scanner.probe.net.connection import TcpStream

LARGE = 3_000_000


@pytest.fixture(params=["epoll", "loop"], autouse=True)
def way(request, monkeypatch):
    if request.param == "loop":
        monkeypatch.setattr(readiness, "_HAS_EPOLL", False)
    elif not readiness._HAS_EPOLL:
        pytest.skip("this system has no epoll")


def within(what: Coroutine[Any, Any, Any]) -> Any:
    """What it returns. A connection that is told nothing would wait for ever."""
    return asyncio.run(asyncio.wait_for(what, 60))


async def whole(stream: TcpStream) -> bytes:
    data = b""
    while more := await stream.receive():
        data += more
    return data


async def pair() -> tuple[TcpStream, TcpStream]:
    near, far = socket.socketpair()
    for end in (near, far):
        end.settimeout(0)
    return TcpStream(near), TcpStream(far)


def test_what_is_sent_before_the_end_is_read_and_then_the_end():
    async def both() -> bytes:
        near, far = await pair()
        await far.send(b"the last words")
        far.close()
        # Data and end are told of at once, and there is one change alone.
        await asyncio.sleep(0)
        try:
            return await whole(near)
        finally:
            near.close()

    assert within(both()) == b"the last words"


@pytest.mark.parametrize("pause", [False, True], ids=["asked before", "asked after"])
def test_an_answer_is_read_whether_it_comes_before_it_is_waited_for_or_after(pause):
    async def both() -> list[bytes]:
        near, far = await pair()
        heard = []
        for word in (b"one", b"two", b"three"):
            waiting = None if pause else asyncio.create_task(near.receive())
            await asyncio.sleep(0)
            await far.send(word)
            await asyncio.sleep(0)
            heard.append(await (waiting or near.receive()))
        near.close()
        far.close()
        return heard

    assert within(both()) == [b"one", b"two", b"three"]


def test_more_than_there_is_room_for_is_sent_and_read_both_ways_at_once():
    async def both() -> tuple[bool, bool]:
        near, far = await pair()
        here, there = os.urandom(LARGE), os.urandom(LARGE)

        async def exactly(stream: TcpStream) -> bytes:
            data = b""
            while len(data) < LARGE:
                data += await stream.receive()
            return data

        _, _, at_far, at_near = await asyncio.gather(near.send(here), far.send(there), exactly(far), exactly(near))
        near.close()
        far.close()
        return at_far == here, at_near == there

    assert within(both()) == (True, True)


def test_a_refusal_is_told_and_leaves_nothing_open():
    async def refused() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            await TcpStream.open("127.0.0.1", port)
        watch = readiness._watches.get(asyncio.get_running_loop())
        assert watch is None or not watch._watched

    within(refused())


def test_a_wait_that_is_broken_off_can_be_begun_again():
    async def both() -> bytes:
        near, far = await pair()
        waiting = asyncio.create_task(near.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await far.send(b"late")
        try:
            return await near.receive()
        finally:
            near.close()
            far.close()

    assert within(both()) == b"late"


@pytest.mark.parametrize("closed", ["first", "second"])
def test_a_connection_that_became_another_is_watched_no_more_whichever_is_closed(closed):
    class Other(TcpStream):
        pass

    async def both() -> bytes:
        near, far = await pair()
        other = near.become(Other)
        await far.send(b"for the other")
        heard = await other.receive()
        (near if closed == "first" else other).close()
        far.close()
        watch = readiness._watches.get(asyncio.get_running_loop())
        assert watch is None or not watch._watched
        return heard

    assert within(both()) == b"for the other"


def test_a_socket_that_was_given_away_is_waited_for_by_whoever_has_it():
    async def both() -> bytes:
        near, far = await pair()
        with near.detach() as given:
            await far.send(b"for somebody else")
            far.close()
            return given.recv(100)

    assert within(both()) == b"for somebody else"


def test_numbers_of_sockets_are_used_again_and_again():
    async def many() -> None:
        for turn in range(300):
            near, far = await pair()
            await far.send(str(turn).encode())
            assert await near.receive() == str(turn).encode()
            near.close()
            far.close()
            near.close()

    within(many())


def test_who_sends_faster_than_is_read_leaves_others_their_turn():
    async def turns_while_reading(times: int) -> int:
        near, far = await pair()
        await far.send(bytes(times * 100))
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(other())
        for _ in range(times):
            assert len(await near.receive(100)) == 100
        ticking.cancel()
        near.close()
        far.close()
        return turns

    assert within(turns_while_reading(200)) >= 200


def test_what_is_watched_goes_with_its_loop():
    async def begun() -> weakref.ref[Any]:
        near, far = await pair()
        watch = readiness._watches.get(asyncio.get_running_loop())
        near.close()
        far.close()
        return weakref.ref(watch or near)

    left = within(begun())
    gc.collect()
    assert left() is None
