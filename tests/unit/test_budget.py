"""What a run may ask of an address, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import math

import pytest

from scanner.inventory import Address, Endpoint, Target
from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Budget, DeadlineError, Limits, RunBudget
from scanner.probe.net.limits import Pace, Places, SharedPort, TargetTurns
from tests.build import virtual_time

IP, OTHER = "192.0.2.1", "192.0.2.2"


def now() -> float:
    return asyncio.get_running_loop().time()


def target(run: RunBudget, ip: str, deadline_s: float, port: int = 443) -> Budget:
    settings = ProbeSettings(deadline_s=deadline_s, connections_per_target=run.limits.connections)
    return run.of(Target(Endpoint("test", "name.example", 443), Address(ip, port)), settings)


async def begun(budget: Budget, count: int, *, takes_s: float = 0.0) -> list[float]:
    """When each of so many connections began that are asked for at once; those for which there was no time are missing."""
    times: list[float] = []

    async def one() -> None:
        try:
            async with budget.connection():
                times.append(now())
                await asyncio.sleep(takes_s)
        except DeadlineError:
            pass

    await asyncio.gather(*(one() for _ in range(count)))
    return times


def apart(times: list[float]) -> float:
    """The least time between two."""
    return min(later - earlier for earlier, later in itertools.pairwise(sorted(times)))


def test_a_rate_holds_for_an_address_over_all_its_targets():
    async def scan() -> list[float]:
        run = RunBudget(Limits(rate_per_s=5.0))
        times = await asyncio.gather(*(begun(target(run, IP, 60.0), 10) for _ in range(12)))
        return [time for of_target in times for time in of_target]

    times = virtual_time.run(scan())

    assert len(times) == 120
    assert apart(times) == pytest.approx(0.2)
    assert max(times) == pytest.approx(119 * 0.2)


def test_another_address_has_a_rate_of_its_own():
    async def scan() -> list[list[float]]:
        run = RunBudget(Limits(rate_per_s=5.0))
        return await asyncio.gather(*(begun(target(run, ip, 60.0), 10) for ip in (IP, OTHER)))

    assert [max(times) for times in virtual_time.run(scan())] == [pytest.approx(1.8)] * 2


def test_a_total_rate_holds_over_all_addresses_and_the_addresses_keep_theirs():
    async def scan() -> list[list[float]]:
        run = RunBudget(Limits(rate_per_s=2.0, total_rate_per_s=8.0))
        return await asyncio.gather(*(begun(target(run, f"192.0.2.{n}", 60.0), 5) for n in range(8)))

    of_each = virtual_time.run(scan())

    assert [len(times) for times in of_each] == [5] * 8
    assert apart([time for times in of_each for time in times]) >= 1 / 8 - 1e-9
    assert min(apart(times) for times in of_each) >= 1 / 2 - 1e-9


def test_a_rate_that_cannot_be_met_gives_what_there_was_time_for():
    async def scan() -> tuple[list[float], float, float]:
        budget = target(RunBudget(Limits(rate_per_s=1.0)), IP, 10.0)
        return await begun(budget, 100), now(), budget.ends

    times, ended, ends = virtual_time.run(scan())

    assert times == [float(second) for second in range(10)]
    assert ended <= ends == 9.0  # nobody sleeps past the end


def test_nobody_waits_for_a_turn_that_would_come_too_late():
    async def scan() -> float:
        budget = target(RunBudget(Limits(rate_per_s=0.01)), IP, 60.0)
        assert len(await begun(budget, 3)) == 1
        return now()

    assert virtual_time.run(scan()) == 0.0


def test_no_more_connections_at_once_than_allowed_whoever_asks():
    async def scan() -> int:
        run = RunBudget(Limits(connections=5))
        most, is_open = 0, 0

        async def one(budget: Budget) -> None:
            nonlocal most, is_open
            async with budget.connection():
                is_open += 1
                most = max(most, is_open)
                await asyncio.sleep(1.0)
                is_open -= 1

        await asyncio.gather(*(one(target(run, IP, 60.0)) for _ in range(30)))
        assert now() == 6.0
        return most

    assert virtual_time.run(scan()) == 5


def test_who_waits_for_a_place_is_told_when_time_is_up():
    async def scan() -> float:
        budget = target(RunBudget(Limits(connections=1)), IP, 10.0)
        async with budget.connection():
            with pytest.raises(DeadlineError):
                await budget.admit()
            return now() - budget.ends

    assert virtual_time.run(scan()) == 0.0


def test_places_are_given_back_by_who_is_cancelled_waiting_and_by_who_holds_one():
    async def scan() -> int:
        budget = target(RunBudget(Limits(connections=1)), IP, 60.0)
        holds = asyncio.create_task(begun(budget, 1, takes_s=30.0))
        waits = asyncio.create_task(begun(budget, 1))
        await asyncio.sleep(1.0)
        # Both at once: the place is handed to one who is being cancelled as well.
        holds.cancel()
        waits.cancel()
        await asyncio.gather(holds, waits, return_exceptions=True)
        return len(await begun(budget, 3))

    assert virtual_time.run(scan()) == 3


def test_a_cancelled_wait_for_a_turn_gives_its_place_back():
    async def scan() -> list[float]:
        budget = target(RunBudget(Limits(connections=1, rate_per_s=0.1)), IP, 60.0)
        await begun(budget, 1)
        waits = asyncio.create_task(begun(budget, 1))
        await asyncio.sleep(1.0)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        return await begun(budget, 1)

    assert virtual_time.run(scan()) == [10.0]


def test_who_goes_first_goes_before_all_who_wait():
    async def scan() -> list[str]:
        budget = target(RunBudget(Limits(connections=1)), IP, 60.0)
        order: list[str] = []

        async def one(name: str, *, first: bool = False) -> None:
            async with budget.connection(first=first):
                order.append(name)
                await asyncio.sleep(1.0)

        await asyncio.gather(one("a"), one("b"), one("c"), one("d", first=True))
        return order

    assert virtual_time.run(scan()) == ["a", "d", "b", "c"]


def test_after_a_sign_of_load_every_target_of_the_service_is_asked_one_connection_at_a_time():
    async def scan() -> tuple[list[float], list[float], list[float]]:
        run = RunBudget(Limits(connections=5))
        one, another, elsewhere = target(run, IP, 60.0), target(run, IP, 60.0), target(run, OTHER, 60.0)
        neighbour = target(run, IP, 60.0, port=8443)
        await begun(one, 1)
        one.slow_down(0.5)
        slowed = begun(another, 5, takes_s=0.2)
        return await asyncio.gather(slowed, begun(neighbour, 3), begun(elsewhere, 5))

    slowed, neighbouring, other = virtual_time.run(scan())

    assert min(slowed) == 0.5
    assert apart(slowed) == pytest.approx(0.2)
    # What else the address has is another program.
    assert neighbouring == [0.0] * 3
    assert other == [0.0] * 5


def test_a_service_that_was_slowed_down_is_trusted_with_more_as_other_targets_begin():
    async def scan() -> list[float]:
        run = RunBudget(Limits(connections=5))
        first = target(run, IP, 600.0)
        for _ in range(4):
            first.slow_down(0.0)
        spans = []
        for _ in range(5):
            began = now()
            await begun(target(run, IP, 600.0), 5, takes_s=0.01)
            spans.append(now() - began)
        return spans

    spans = virtual_time.run(scan())
    assert spans == sorted(spans, reverse=True)
    assert spans[0] > 0.7
    # Five places again, and no interval.
    assert spans[-1] == pytest.approx(0.01)


def test_the_interval_after_signs_of_load_doubles_up_to_a_second_and_never_shrinks():
    async def scan(rate: float | None, signs: int) -> float:
        budget = target(RunBudget(Limits(rate_per_s=rate)), IP, 600.0)
        await begun(budget, 1)
        for _ in range(signs):
            budget.slow_down(0.0)
        return apart(await begun(budget, 3))

    assert virtual_time.run(scan(None, 1)) == pytest.approx(0.05)
    assert virtual_time.run(scan(None, 3)) == pytest.approx(0.2)
    assert virtual_time.run(scan(None, 30)) == pytest.approx(1.0)
    assert virtual_time.run(scan(10.0, 1)) == pytest.approx(0.2)
    assert virtual_time.run(scan(0.25, 1)) == pytest.approx(4.0)


def test_the_probes_stop_asking_before_the_deadline():
    async def left(deadline_s: float) -> tuple[float, float]:
        budget = target(RunBudget(Limits()), IP, deadline_s)
        await asyncio.sleep(1.0)
        return budget.left, budget.bound(5.0)

    assert virtual_time.run(left(60.0)) == (57.0, 5.0)
    assert virtual_time.run(left(5.0)) == (3.5, 3.5)
    assert virtual_time.run(left(0.5)) == (0.0, 0.0)


def test_connections_are_counted_but_those_that_were_not_opened():
    async def scan() -> int:
        budget = target(RunBudget(Limits()), IP, 60.0)
        await begun(budget, 3)
        async with budget.connection() as place:
            place.unused()
        assert len(await begun(budget, 5)) == 5
        return budget.opened

    assert virtual_time.run(scan()) == 8


def test_who_is_given_a_place_and_leaves_at_the_same_moment_gives_it_back():
    async def scan() -> list[float]:
        budget = target(RunBudget(Limits(connections=1)), IP, 60.0)
        held = await budget.admit()
        waits = asyncio.ensure_future(budget.admit())
        await asyncio.sleep(1.0)
        held.give_back()  # the place goes to who waits, who has not woken up yet
        waits.cancel()
        await asyncio.wait({waits})
        return await begun(budget, 1)

    assert virtual_time.run(scan()) == [1.0]


def test_a_probe_that_runs_by_itself_has_the_time_that_its_settings_say():
    async def scan() -> tuple[float, float, int]:
        await asyncio.sleep(7.0)
        budget = Budget.alone(ProbeSettings(deadline_s=30.0, connections_per_target=2), IP)
        times = await begun(budget, 4, takes_s=1.0)
        return budget.deadline, budget.ends, len({*times})

    assert virtual_time.run(scan()) == (37.0, 35.0, 2)


class Elsewhere:
    """Who admits to the addresses of another process: takes note of what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, object]] = []

    async def admit(self, ip: str, ends: float, service: object, *, first: bool = False) -> None:
        self.asked.append(("admit", ip, (ends, service, first)))

    def give_back(self, ip: str, service: object) -> None:
        self.asked.append(("give back", ip, service))


def test_an_address_of_another_process_is_asked_for_there_and_ones_own_here():
    async def scan() -> tuple[list[tuple[str, str, object]], list[float], int]:
        there = Elsewhere()
        run = RunBudget(Limits(connections=1), elsewhere=there, ours=lambda ip: ip == IP)
        budget = target(run, IP, 60.0)
        own = await begun(budget, 2, takes_s=1.0)
        async with budget.connection(OTHER):
            pass
        return there.asked, own, budget.opened

    asked, own, opened = virtual_time.run(scan())

    assert asked == [("admit", OTHER, (58.0, None, False)), ("give back", OTHER, None)]
    assert (own, opened) == ([0.0, 1.0], 3)


def test_a_process_that_has_all_addresses_asks_nobody_elsewhere():
    async def scan() -> tuple[list[object], int]:
        there = Elsewhere()
        budget = target(RunBudget(Limits(), elsewhere=there), IP, 60.0)
        async with budget.connection(OTHER):
            pass
        return list(there.asked), budget.opened

    assert virtual_time.run(scan()) == ([], 1)


@pytest.mark.parametrize(
    ("rate", "deadline_s", "at_once"),
    [(None, 60.0, 50), (10.0, 60.0, 6), (10.0, 79.0, 7), (1000.0, 60.0, 50), (0.1, 60.0, 1), (3.0, 100.0, 3)],
)
def test_a_total_rate_says_how_many_targets_it_serves_at_once(rate: float | None, deadline_s: float, at_once: int):
    assert RunBudget(Limits(total_rate_per_s=rate)).targets_at_once(50, deadline_s) == at_once


def test_what_is_waited_for_on_our_own_account_is_put_off_and_no_more():
    async def wait() -> list[float]:
        await asyncio.sleep(5.0)
        budget, seen = target(RunBudget(Limits()), IP, 60.0), []
        for takes_s in (2.0, 3.0):
            async with budget.paused():
                await asyncio.sleep(takes_s)
                seen.append(budget.put_off_s)
            await asyncio.sleep(1.0)
            seen.append(budget.put_off_s)
        return seen

    assert virtual_time.run(wait()) == [2.0, 2.0, 5.0, 5.0]


def test_a_target_does_not_begin_while_those_that_have_wait_for_the_pace():
    async def scan() -> list[float]:
        run, settings = RunBudget(Limits(rate_per_s=2.0)), ProbeSettings(deadline_s=600.0)
        times: list[float] = []

        async def one(port: int, count: int) -> None:
            of = Target(Endpoint("test", "name.example", port), Address(IP, port))
            async with run.turn(of, settings):
                times.append(now())
                await begun(run.of(of, settings), count)
                await asyncio.sleep(100.0)

        await asyncio.gather(one(443, 5), one(8443, 1))
        return times

    first, second = virtual_time.run(scan())

    assert first == 0.0
    assert 2.5 <= second <= 5.0  # the last of five begins after two seconds, and half a second is between each


def test_who_is_told_that_it_is_late_and_leaves_at_the_same_moment_gives_nothing_back():
    async def scan() -> tuple[bool, bool]:
        places = Places(1)
        await places.take(60.0)
        waits = asyncio.ensure_future(places.take(10.0))
        await asyncio.sleep(0.0)
        # Just after its time is up, before it has woken up to hear of it.
        asyncio.get_running_loop().call_at(10.0 + 1e-10, waits.cancel)
        await asyncio.wait({waits})
        return waits.cancelled(), places.free

    assert virtual_time.run(scan()) == (True, False)


class Turns:
    """Targets at several ports of one address, and when each began."""

    def __init__(self, connections: int) -> None:
        self.run = RunBudget(Limits(connections=connections))
        self.times: dict[int, float] = {}

    async def one(self, port: int, takes_s: float) -> None:
        """Have a turn for so long, asking nothing."""
        settings = ProbeSettings(deadline_s=600.0)
        async with self.run.turn(Target(Endpoint("test", "name.example", port), Address(IP, port)), settings):
            self.times[port] = now()
            await asyncio.sleep(takes_s)

    def begin(self, port: int, takes_s: float = 10.0) -> asyncio.Task[None]:
        return asyncio.ensure_future(self.one(port, takes_s))


def test_a_target_that_leaves_as_it_is_let_in_lets_the_next_one_in():
    async def scan() -> dict[int, float]:
        turns = Turns(1)
        waits: list[asyncio.Task[None]] = []

        async def first() -> None:
            await turns.one(1, 5.0)
            waits[0].cancel()  # it has its turn, and has not woken up yet

        begun = asyncio.ensure_future(first())
        await asyncio.sleep(0.0)
        waits += [turns.begin(2), turns.begin(3)]
        async with asyncio.timeout(100.0):
            await asyncio.wait({begun, *waits})
        return turns.times

    assert virtual_time.run(scan()) == {1: 0.0, 3: 5.0}


def test_a_target_that_leaves_before_its_turn_lets_nobody_in():
    async def scan() -> dict[int, float]:
        turns = Turns(1)
        tasks = [turns.begin(1), turns.begin(2), turns.begin(3)]
        await asyncio.sleep(1.0)
        tasks[1].cancel()
        async with asyncio.timeout(100.0):
            await asyncio.wait(tasks)
        return turns.times

    assert virtual_time.run(scan()) == {1: 0.0, 3: pytest.approx(10.0)}


def test_no_more_targets_of_an_address_begin_than_it_may_have_connections():
    async def scan() -> dict[int, float]:
        turns = Turns(2)
        async with asyncio.timeout(100.0):
            await asyncio.wait([turns.begin(port) for port in (1, 2, 3, 4)])
        return turns.times

    # Another may begin when it has been seen that there is room, and then when one is done.
    assert virtual_time.run(scan()) == {1: 0.0, 2: pytest.approx(0.2), 3: pytest.approx(10.0), 4: pytest.approx(10.2)}


def test_a_service_has_its_places_back_when_it_has_no_interval_any_more():
    async def recover() -> list[tuple[float, int]]:
        service, seen = SharedPort(5), []
        service.slow_down(0.0, usual_s=0.12)
        for _ in range(5):
            seen.append((service.pace.interval_s, service.places.most))
            service.recover()
        return seen

    # A rate makes intervals that halving does not bring to the shortest.
    assert virtual_time.run(recover()) == [(0.24, 1), (0.12, 1), (0.06, 1), (0.03, 1), (0.0, 5)]


def test_a_place_at_once_is_had_only_where_nobody_has_to_wait():
    async def scan() -> None:
        run = RunBudget(Limits(connections=2))
        budget = target(run, IP, 60.0)
        first, second = budget.place_at_once(), budget.place_at_once()
        assert first is not None
        assert second is not None
        assert budget.place_at_once() is None, "there are two places"
        waiting = asyncio.create_task(budget.admit())
        await asyncio.sleep(0)
        first.give_back()
        assert budget.place_at_once() is None, "who waits has it"
        (await waiting).give_back()
        second.give_back()
        assert budget.opened == 3
        held = target(run, IP, 60.0, port=8443).place_at_once()
        assert held is not None
        held.give_back()

        budget.slow_down(5.0)
        assert budget.place_at_once() is None, "the service is left alone"
        late = target(run, OTHER, 10.0)
        await asyncio.sleep(late.left)
        assert late.place_at_once() is None, "there is no time"
        later = late.place_at_once(later_s=1.0)
        assert later is not None
        for limits in (Limits(rate_per_s=100.0), Limits(total_rate_per_s=100.0)):
            assert target(RunBudget(limits), IP, 60.0).place_at_once() is None, "each start waits for its turn"

    virtual_time.run(scan())


def test_a_place_of_another_process_is_not_had_at_once():
    class Elsewhere:
        def __getattr__(self, name: str):
            raise AssertionError(name)

    async def scan() -> None:
        run = RunBudget(Limits(), Elsewhere(), lambda ip: ip == IP)
        assert target(run, OTHER, 60.0).place_at_once() is None
        assert target(run, IP, 60.0).place_at_once() is not None

    virtual_time.run(scan())


def test_no_connection_begins_at_the_end_or_after_it():
    async def scan() -> None:
        budget = target(RunBudget(Limits()), IP, 60.0)
        for after_s in (budget.ends - now(), 1.0):
            await asyncio.sleep(after_s)
            with pytest.raises(DeadlineError):
                await budget.admit()

    virtual_time.run(scan())


@pytest.mark.parametrize(("ip", "at_once"), [("192.0.2.0", 2), (OTHER, 2), ("".join(list(IP)), 1)])
def test_a_connection_to_another_address_takes_no_place_of_the_targets_service(ip: str, at_once: int):
    async def scan() -> int:
        run, settings = RunBudget(Limits(connections=5)), ProbeSettings(deadline_s=60.0, connections_per_target=1)
        budget = run.of(Target(Endpoint("test", "name.example", 443), Address(IP, 443)), settings)
        async with budget.connection():
            try:
                await budget.admit(ip)
            except DeadlineError:
                return 1
            return 2

    assert virtual_time.run(scan()) == at_once


def test_nobody_is_let_in_while_more_are_open_than_a_slowed_service_may_have():
    async def scan() -> tuple[list[bool], list[float]]:
        places = Places(3)
        for _ in range(3):
            await places.take(60.0)
        places.slow_down()
        seen, begins = [places.free], list[float]()

        async def one() -> None:
            await places.take(60.0)
            begins.append(now())

        waits = asyncio.ensure_future(one())
        for _ in range(3):
            await asyncio.sleep(1.0)
            places.give_back()
            seen.append(places.free)
        await waits
        return seen, begins

    # The third that is given back goes to who waits.
    assert virtual_time.run(scan()) == ([False] * 4, [3.0])


def test_no_target_begins_while_more_have_begun_than_a_slowed_service_may_have_connections():
    async def scan() -> dict[int, float]:
        places = Places(3)
        turns, times = TargetTurns(places, Pace()), dict[int, float]()

        async def one(number: int) -> None:
            async with turns.held():
                times[number] = now()
                await asyncio.sleep(10.0)

        tasks = [asyncio.ensure_future(one(number)) for number in range(4)]
        await asyncio.sleep(0.5)
        places.slow_down()
        async with asyncio.timeout(100.0):
            await asyncio.wait(tasks)
        return times

    times = virtual_time.run(scan())
    assert [times[number] for number in range(3)] == [0.0, pytest.approx(0.2), pytest.approx(0.4)]
    assert times[3] == pytest.approx(10.4), "when all three are done"


def test_a_pace_says_for_how_long_it_was_not_used():
    async def scan() -> tuple[bool, float, list[float]]:
        free, pace, seen = Pace(), Pace(2.0), list[float]()
        for after_s in (10.0, 0.6, 1.0):
            await asyncio.sleep(after_s)
            seen.append(pace.unused_s)
            if after_s == 10.0:
                async with pace.turn(60.0):
                    seen.append(pace.unused_s)
        return free.free, free.unused_s, seen

    assert virtual_time.run(scan()) == (True, math.inf, [10.0, 0.0, pytest.approx(0.1), pytest.approx(1.1)])


def test_the_shortest_interval_is_left_off_at_once():
    async def recover() -> tuple[float, float]:
        service = SharedPort(5)
        service.slow_down(0.0)
        slowed = service.pace.interval_s
        service.recover()
        return slowed, service.pace.interval_s

    assert virtual_time.run(recover()) == (0.05, 0.0)
