"""A budget that threads and other processes ask for: what they hold is counted here, and given back however they end."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from scanner.dispatch import WorkerProcesses
from scanner.inventory import Address, Endpoint, Target
from scanner.probe import ProbeSettings, WorkerError
from scanner.probe.net.budget import Budget, DeadlineError, Limits, RunBudget
from scanner.probe.net.remote import Access, RemoteBudget, serving

IP = "192.0.2.1"
TARGET = Target(Endpoint("test", "name.example", 443), Address(IP, 443))


def target(**settings) -> Budget:
    chosen = ProbeSettings(**settings)
    return RunBudget(Limits.of(chosen)).of(TARGET, chosen)


async def free(budget: Budget) -> bool:
    """Whether the one place that there is can be had."""
    try:
        async with asyncio.timeout(2.0), budget.connection():
            return True
    except TimeoutError:
        return False


def asked_by_processes(settings: dict, work: Callable, times: int, *arguments: object) -> tuple[list, Budget]:
    """What so many processes brought back that worked at once, and their target's budget."""

    async def ask() -> tuple[list, Budget]:
        budget = target(**settings)
        async with WorkerProcesses.running(times, tasks_each=10) as processes:
            tasks = [processes.run(work, *arguments, budget=budget) for _ in range(times)]
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert await free(budget)
        return found, budget

    return asyncio.run(ask())


def hold_some(count: int, seconds: float, budget: RemoteBudget) -> list[tuple[float, float]]:
    """Hold so many connections, one after the other, and tell from when to when."""
    held = []
    for _ in range(count):
        budget.admit()
        begun = time.monotonic()
        time.sleep(seconds)
        held.append((begun, time.monotonic()))
        budget.give_back()
    return held


def begin_some(count: int, budget: RemoteBudget) -> list[tuple[float, float]]:
    """Begin so many connections, one after the other, and tell when each was asked for and when it began."""
    begun = []
    for _ in range(count):
        asked = time.monotonic()
        budget.admit()
        begun.append((asked, time.monotonic()))
        budget.give_back()
    return begun


def die_holding(budget: RemoteBudget) -> None:
    """Take a place, and end as a crash would."""
    budget.admit()
    os.kill(os.getpid(), signal.SIGKILL)


def hang_holding(budget: RemoteBudget) -> None:
    """Take a place, and never come back."""
    budget.admit()
    while True:
        time.sleep(60)


def test_a_rate_holds_across_processes():
    begun, budget = asked_by_processes({"rate_per_s": 20.0}, begin_some, 2, 6)

    assert [len(of_one) for of_one in begun] == [6, 6]
    assert budget.opened == 13  # with the one that was asked for at the end
    # From when the first was asked for: it may be told of its turn late, and the last one in time.
    assert max(began for of_one in begun for _, began in of_one) - min(of_one[0][0] for of_one in begun) >= 11 / 20


def test_places_hold_across_processes():
    held, _ = asked_by_processes({"connections_per_target": 1}, hold_some, 2, 5, 0.02)

    in_order = sorted(span for of_one in held for span in of_one)
    assert len(in_order) == 10
    assert all(end <= begun for (_, end), (begun, _) in itertools.pairwise(in_order))


def test_a_process_that_dies_gives_its_places_back():
    (error,), _ = asked_by_processes({"connections_per_target": 1}, die_holding, 1)

    assert isinstance(error, WorkerError)


def test_a_process_that_never_returns_is_ended_soon_after_the_deadline_and_gives_its_places_back():
    begun = time.monotonic()

    # The place is tried for afterwards, for which there has to be time.
    async def ask() -> tuple[BaseException | None, float]:
        async with WorkerProcesses.running(1, tasks_each=10) as processes:
            budget = target(connections_per_target=1, deadline_s=1.5)
            nonlocal begun
            begun = time.monotonic()
            try:
                await processes.run(hang_holding, budget=budget)
            except DeadlineError as error:
                took = time.monotonic() - begun
                budget.ends += 10.0
                assert await free(budget)
                return error, took
        return None, 0.0

    error, took = asyncio.run(ask())

    assert isinstance(error, DeadlineError)
    assert 1.5 <= took < 20.0  # and not the minute that it would take by itself


def test_waiting_for_a_process_costs_a_target_none_of_its_time():
    async def ask() -> tuple[list[float], float]:
        async with WorkerProcesses.running(1, tasks_each=10) as processes:
            first, second = target(deadline_s=20.0), target(deadline_s=1.0)
            holding = asyncio.create_task(processes.run(hold_some, 1, 1.5, budget=first))
            await asyncio.sleep(0.2)
            # It has to wait for longer than it may take.
            spans = await processes.run(hold_some, 1, 0.0, budget=second)
            await holding
        return spans, second.put_off_s

    spans, put_off_s = asyncio.run(ask())

    assert len(spans) == 1
    assert put_off_s > 1.0


def with_a_server(talk: Callable[[Access], object], budget_of: Callable[[], Budget] = target) -> tuple[object, Budget]:
    """What a thread got out of a server of budgets."""

    async def serve() -> tuple[object, Budget]:
        budget = budget_of()
        async with serving() as server:
            with server.lend(budget) as access:
                return await asyncio.to_thread(talk, access), budget

    return asyncio.run(serve())


def test_nobody_is_heard_without_a_token():
    def talk(access: Access) -> bytes:
        with socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(5)
            connected.connect(access.address)
            connected.sendall(bytes(16) + b"+")
            try:
                return connected.recv(100)
            except ConnectionResetError:
                return b""

    answer, budget = with_a_server(talk)

    assert answer == b""
    assert budget.opened == 0


def test_what_is_not_understood_ends_the_talk_and_gives_back():
    def talk(access: Access) -> bytes:
        with socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(5)
            connected.connect(access.address)
            connected.sendall(access.token + b"+")
            assert connected.recv(9) == b"1"
            connected.sendall(b"?")
            try:
                return connected.recv(100)
            except ConnectionResetError:
                return b""

    async def serve() -> bool:
        budget = target(connections_per_target=1)
        async with serving() as server:
            with server.lend(budget) as access:
                assert await asyncio.to_thread(talk, access) == b""
                return await free(budget)

    assert asyncio.run(serve())


def test_a_sign_of_load_told_from_elsewhere_slows_all_down():
    def talk(access: Access) -> float:
        with RemoteBudget.of(access) as budget:
            budget.admit()
            budget.give_back()
            begun = time.monotonic()
            budget.slow_down(0.3)
            budget.admit()
            return time.monotonic() - begun

    waited, _ = with_a_server(talk)

    assert waited >= 0.3


def test_who_waits_is_woken_when_all_is_ended():
    def talk(access: Access) -> bool:
        with RemoteBudget.of(access) as budget:
            budget.admit()
            denied = threading.Event()

            def wait() -> None:
                try:
                    budget.admit()
                except DeadlineError:
                    denied.set()

            thread = threading.Thread(target=wait)
            thread.start()
            budget.end()
            thread.join(60)
            return denied.is_set()

    assert with_a_server(talk, lambda: target(connections_per_target=1))[0]


def test_a_probe_in_a_loop_of_its_own_asks_as_well():
    def talk(access: Access) -> list[float]:
        async def ask(remote: RemoteBudget) -> list[float]:
            budget, begun = remote.in_a_loop(IP), []
            for _ in range(3):
                begun.append(time.monotonic())
                async with budget.connection():
                    begun.append(time.monotonic())
            assert budget.left == pytest.approx(remote.left, abs=0.5)
            return begun

        with RemoteBudget.of(access) as budget:
            return asyncio.run(ask(budget))

    begun, budget = with_a_server(talk, lambda: target(rate_per_s=10.0, connections_per_target=1))

    assert begun[-1] - begun[0] >= 0.2  # from when the first was asked for
    assert budget.opened == 3
