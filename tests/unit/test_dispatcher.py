"""Many targets within their bounds, in virtual time: the dispatcher with probes that do what probes must not."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tomllib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from scanner.config.form_scan import ScanForm
from scanner.dispatch import LocalDispatcher, Progress, Stage
from scanner.evidence import Attempt, Failure, FailureReason, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, StartTls, Target
from scanner.jobs.session import Overrides, probe_settings
from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Budget, DeadlineError, Limits
from scanner.probe.net.cutoff import cut_off
from tests.build import virtual_time

ENVIRONMENTS = {"test": Environment("test", EnvironmentKind.ON_PREMISES)}
SETTINGS = ProbeSettings(deadline_s=60.0)
GRACE_S = 1.0
"""How long after its deadline a probe is cut off."""

Asks = Callable[[Target, Budget], Awaitable[Attempt]]


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Asking:
    """A probe that does what it is given to do."""

    asks: Asks
    name: Literal["tls", "http", "dns"] = "tls"

    async def observe(self, target: Target, _: Environment, budget: Budget) -> Attempt:
        return await self.asks(target, budget)


def at(ip: str, name: str = "name", **endpoint) -> Target:
    return Target(Endpoint("test", f"{name}.example", 443, **endpoint), Address(ip, 443))


def sharing(count: int, ip: str = "192.0.2.1") -> list[Target]:
    """Targets of so many names at one address."""
    return [at(ip, f"name{number}") for number in range(count)]


def dispatched(
    targets: Sequence[Target],
    *probes: Asking,
    settings: ProbeSettings = SETTINGS,
    on_progress: Callable[[Progress], None] | None = None,
    concurrency: int = 50,
) -> tuple[dict[str, TargetEvidence], float]:
    """What was found of each target, by its host, and how long all of it took."""

    async def dispatch() -> tuple[dict[str, TargetEvidence], float]:
        dispatcher = LocalDispatcher(settings, probes, concurrency, on_progress)
        found = {target.endpoint.host: seen async for target, seen in dispatcher.dispatch(targets, ENVIRONMENTS)}
        return found, now()

    return virtual_time.run(dispatch())


@dataclass
class Server:
    """Takes connections, each for `takes_s` seconds, and notes when they began and how many were open at once."""

    takes_s: float = 0.01
    begun: list[float] = field(default_factory=list)
    open: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def connection(self, ip: str) -> None:
        self.begun.append(now())
        self.open[ip] += 1
        self.most[ip] = max(self.most[ip], self.open[ip])
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.open[ip] -= 1

    def asked(self, times: int, *, side_by_side: int = 8) -> Asks:
        """What asks it so many questions, some of them side by side, as the survey does; all, or those in time."""

        async def asks(target: Target, budget: Budget) -> Attempt:
            answered = 0
            left = iter(range(times))

            async def some() -> None:
                nonlocal answered
                with contextlib.suppress(DeadlineError):
                    for _ in left:
                        async with budget.connection():
                            await self.connection(target.ip or "")
                            answered += 1

            await asyncio.gather(*(some() for _ in range(side_by_side)))
            cut_off = Failure(FailureReason.DEADLINE) if answered < times else None
            return Attempt.partial(answered, cut_off)

        return asks


async def never(_target: Target, _budget: Budget) -> Attempt:
    await asyncio.Event().wait()
    raise AssertionError


async def at_once(_target: Target, _budget: Budget) -> Attempt:
    return Attempt.ok("seen")


def test_a_probe_that_never_returns_is_cut_off_a_second_after_the_deadline_and_takes_nothing_with_it():
    found, ended = dispatched([at("192.0.2.1")], Asking(never), Asking(at_once, "http"))

    assert ended == SETTINGS.deadline_s + GRACE_S
    assert found["name.example"].tls.failure.reason is FailureReason.DEADLINE
    assert found["name.example"].http.value == "seen"


@pytest.mark.parametrize("late_s", [0.9, 1.1, 30.0])
def test_a_probe_that_overruns_is_heard_within_its_grace_and_not_after(late_s: float):
    async def overruns(_target: Target, budget: Budget) -> Attempt:
        await asyncio.sleep(budget.deadline - now() + late_s)
        return Attempt.ok("late")

    found, ended = dispatched([at("192.0.2.1")], Asking(overruns))

    assert ended == pytest.approx(SETTINGS.deadline_s + min(late_s, GRACE_S))
    assert found["name.example"].tls.value == ("late" if late_s < GRACE_S else None)


def test_a_probe_that_does_not_heed_its_end_is_left_behind_and_that_is_logged(caplog: pytest.LogCaptureFixture):
    async def stubborn(_target: Target, _budget: Budget) -> Attempt:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)
        await asyncio.sleep(1000)
        return Attempt.ok("too late")

    found, ended = dispatched([at("192.0.2.1")], Asking(stubborn))

    assert ended <= SETTINGS.deadline_s + 2.0
    assert found["name.example"].tls.failure.reason is FailureReason.DEADLINE
    assert "a probe does not end, and is left behind" in caplog.text


def test_a_probe_that_is_cut_off_has_left_before_anybody_hears_of_it(caplog: pytest.LogCaptureFixture):
    left = []

    async def hangs() -> Failure:
        try:
            await asyncio.Event().wait()
        finally:
            left.append(now())
        raise AssertionError

    async def scan() -> tuple[Failure, list[float]]:
        return await cut_off(hangs(), lambda: 5.0, lambda failure: failure), list(left)

    assert virtual_time.run(scan()) == (Failure(FailureReason.DEADLINE), [5.0])
    assert not caplog.records, "it heeded its end"


def test_a_probe_that_fails_by_itself_is_an_engine_error():
    async def mistaken(_target: Target, _budget: Budget) -> Attempt:
        raise ZeroDivisionError("a mistake")

    found, _ = dispatched([at("192.0.2.1")], Asking(mistaken), Asking(at_once, "http"))

    assert found["name.example"].tls.failure == Failure(FailureReason.ENGINE_ERROR, "ZeroDivisionError: a mistake")
    assert found["name.example"].http.value == "seen"


def test_places_are_given_back_by_a_probe_that_is_cut_off():
    async def hangs(target: Target, budget: Budget) -> Attempt:
        if target.endpoint.host != "name0.example":
            return await Server().asked(46)(target, budget)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(4):
                await stack.enter_async_context(budget.connection())
            return await never(target, budget)

    found, ended = dispatched(sharing(3), Asking(hangs))

    assert found["name0.example"].tls.failure.reason is FailureReason.DEADLINE
    assert found["name1.example"].tls == found["name2.example"].tls == Attempt.ok(46)
    assert ended == pytest.approx(SETTINGS.deadline_s + GRACE_S, abs=2)


def test_what_waits_for_something_of_our_own_has_its_time_afterwards():
    async def kept_waiting(_target: Target, budget: Budget) -> Attempt:
        async with budget.paused():
            await asyncio.sleep(500.0)
        await budget.admit(later_s=budget.put_off_s)
        await asyncio.sleep(50.0)
        return Attempt.ok("seen")

    found, ended = dispatched([at("192.0.2.1")], Asking(kept_waiting), Asking(never, "http"))

    assert found["name.example"].tls.value == "seen"
    assert ended == pytest.approx(500.0 + SETTINGS.deadline_s + GRACE_S)


@pytest.mark.parametrize(("rate", "seen"), [(1.0, 46), (2.0, 46), (5.0, 46), (0.5, 30)])
def test_a_rate_that_cannot_be_met_gives_what_there_was_time_for(rate: float, seen: int):
    server = Server()
    found, ended = dispatched(
        [at("192.0.2.1")], Asking(server.asked(46)), settings=ProbeSettings(deadline_s=60.0, rate_per_s=rate)
    )

    tls = found["name.example"].tls
    assert tls.value == pytest.approx(seen, abs=1)
    assert (tls.incomplete is None) == (seen == 46)
    assert tls.incomplete is None or tls.incomplete.reason is FailureReason.DEADLINE
    assert ended <= 60.0
    assert min(b - a for a, b in itertools.pairwise(server.begun)) >= 1 / rate - 1e-9


def test_names_at_one_address_share_its_rate_and_each_has_its_whole_time():
    server = Server()
    settings = ProbeSettings(deadline_s=60.0, rate_per_s=5.0)

    found, ended = dispatched(sharing(12), Asking(server.asked(46)), settings=settings)

    assert {evidence.tls for evidence in found.values()} == {Attempt.ok(46)}
    assert len(server.begun) == 12 * 46
    within_a_second = [sum(start <= other < start + 1.0 - 1e-6 for other in server.begun) for start in server.begun]
    assert max(within_a_second) <= 5
    # As long as the rate needs, and nothing more.
    assert ended == pytest.approx(12 * 46 / 5.0, rel=0.02)


def test_names_at_one_slow_address_begin_as_it_has_room_for_them():
    server = Server(takes_s=2.0)
    began: dict[str, float] = {}
    done: dict[str, float] = {}

    async def asks(target: Target, budget: Budget) -> Attempt:
        began[target.endpoint.host] = now()
        seen = await server.asked(46)(target, budget)
        done[target.endpoint.host] = now()
        return seen

    found, _ = dispatched(sharing(12), Asking(asks))

    # All at once, none would be seen whole: together they need 220 s of the 60 that each of them has.
    assert {evidence.tls for evidence in found.values()} == {Attempt.ok(46)}
    assert server.most == {"192.0.2.1": 5}
    assert max(done[host] - began[host] for host in found) < 45.0


def test_names_at_one_quick_address_run_side_by_side():
    # Each of them asks one question after the other: the address has room for more than one.
    server = Server(takes_s=0.1)

    _, ended = dispatched(sharing(10), Asking(server.asked(50, side_by_side=1)))

    assert server.most["192.0.2.1"] == 5
    assert 10.0 <= ended < 12.0


def test_a_silent_name_does_not_keep_its_neighbours_waiting():
    server = Server()

    async def asks(target: Target, budget: Budget) -> Attempt:
        if target.endpoint.host != "name0.example":
            return await server.asked(46)(target, budget)
        async with budget.connection():
            return await never(target, budget)

    done: dict[str, float] = {}
    dispatched(
        sharing(4),
        Asking(asks),
        settings=ProbeSettings(deadline_s=60.0, rate_per_s=10.0),
        on_progress=lambda step: done.update({step.target_id: now()}) if step.stage is Stage.DONE else None,
    )

    assert sorted(done.values())[2] == pytest.approx(3 * 46 / 10.0, rel=0.1)


def test_other_addresses_do_not_wait_for_one_that_many_share():
    server = Server(takes_s=1.0)
    done: list[str] = []

    dispatched(
        [*sharing(12), at("192.0.2.2", "other")],
        Asking(server.asked(46)),
        on_progress=lambda step: done.append(step.target_id) if step.stage is Stage.DONE else None,
    )

    assert "other" in "".join(done[:2])


def test_a_total_rate_holds_over_all_addresses_and_lets_no_target_starve():
    server = Server()
    settings = ProbeSettings(deadline_s=60.0, total_rate_per_s=10.0)
    targets = [at(f"192.0.2.{number}", f"name{number}") for number in range(30)]

    found, ended = dispatched(targets, Asking(server.asked(46)), settings=settings)

    assert {evidence.tls for evidence in found.values()} == {Attempt.ok(46)}
    assert min(b - a for a, b in itertools.pairwise(sorted(server.begun))) >= 0.1 - 1e-9
    assert ended == pytest.approx(30 * 46 / 10.0, rel=0.02)


@pytest.mark.parametrize(
    ("endpoint", "settings", "most"),
    [
        (Endpoint("test", "name.example", 443), SETTINGS, 5),
        (Endpoint("test", "name.example", 25, starttls=StartTls.SMTP), SETTINGS, 2),
        (Endpoint("test", "name.example", 389, starttls=StartTls.LDAP), SETTINGS, 2),
        (Endpoint("test", "name.example", 21, starttls=StartTls.FTP), SETTINGS, 2),
        (Endpoint("test", "name.example", 5222, starttls=StartTls.XMPP), SETTINGS, 2),
        (Endpoint("test", "name.example", 993), SETTINGS, 2),
        (Endpoint("test", "name.example", 5432, starttls=StartTls.POSTGRES), SETTINGS, 5),
        (Endpoint("test", "name.example", 25, starttls=StartTls.SMTP), ProbeSettings(connections_per_target=7), 7),
        (Endpoint("test", "name.example", 443), ProbeSettings(connections_per_target=1), 1),
    ],
)
def test_connections_at_once_depend_on_what_is_spoken(endpoint: Endpoint, settings: ProbeSettings, most: int):
    server = Server()

    dispatched([Target(endpoint, Address("192.0.2.1", endpoint.port))], Asking(server.asked(40)), settings=settings)

    assert server.most["192.0.2.1"] == most


def test_probes_of_one_target_share_its_connections():
    server = Server()

    found, _ = dispatched([at("192.0.2.1")], Asking(server.asked(30)), Asking(server.asked(30), "http"))

    assert server.most["192.0.2.1"] == 5
    assert found["name.example"].connections == 60


def test_no_more_targets_at_once_than_asked_for_in_their_order():
    told: list[tuple[str, Stage]] = []
    targets = [at(f"192.0.2.{number}", f"name{number}") for number in range(6)]

    dispatched(
        targets,
        Asking(Server().asked(3)),
        on_progress=lambda step: told.append((step.target_id, step.stage)),
        concurrency=1,
    )

    assert told == [(target.id, stage) for target in targets for stage in (Stage.STARTED, Stage.DONE)]


def test_cancelled_it_ends_every_probe():
    ended: list[str] = []

    async def hangs(target: Target, _budget: Budget) -> Attempt:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(target.endpoint.host)
        raise AssertionError

    async def cancelled() -> float:
        targets = [at(f"192.0.2.{number}", f"name{number}") for number in range(3)]

        async def all_of_them() -> None:
            async for _ in LocalDispatcher(SETTINGS, [Asking(hangs)]).dispatch(targets, ENVIRONMENTS):
                raise AssertionError

        task = asyncio.create_task(all_of_them())
        await asyncio.sleep(1.0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return now()

    assert virtual_time.run(cancelled()) == 1.0
    assert len(ended) == 3


@pytest.mark.parametrize(("written", "at_once"), [("", None), ("connections_per_target = 5", 5)])
def test_connections_are_few_for_some_unless_they_are_configured(tmp_path: Path, written: str, at_once: int | None):
    form = ScanForm.model_validate(tomllib.loads(f"{written}\nrate = 4.0\ntotal_rate = 40.0\n"))

    settings = probe_settings(form, [], tmp_path, Overrides())

    assert settings.connections_per_target == at_once
    assert (settings.rate_per_s, settings.total_rate_per_s) == (4.0, 40.0)
    assert Limits.of(settings) == Limits(5, 4.0, 40.0)


def test_a_probe_may_use_the_last_second_and_none_that_is_past():
    async def scan() -> tuple[Failure | str, Failure | str]:
        async def answers() -> Failure | str:
            await asyncio.sleep(0.5)
            return "in time"

        async def goes_on() -> Failure | str:
            for _ in range(1000):
                await asyncio.sleep(0.0)
            return "late"

        in_time = await cut_off(answers(), lambda: 0.9, lambda failure: failure)
        return in_time, await cut_off(goes_on(), lambda: 0.1, lambda failure: failure)

    assert virtual_time.run(scan()) == ("in time", Failure(FailureReason.DEADLINE))


def test_a_probe_that_is_cut_off_may_take_a_moment_to_leave(caplog: pytest.LogCaptureFixture):
    async def scan() -> tuple[Failure | str, float]:
        async def leaves_late() -> Failure | str:
            try:
                await asyncio.sleep(60.0)
            finally:
                await asyncio.sleep(0.25)
            return "never"

        return await cut_off(leaves_late(), lambda: 5.0, lambda failure: failure), now()

    assert virtual_time.run(scan()) == (Failure(FailureReason.DEADLINE), 5.25)
    assert not caplog.records, "it is not left behind"
