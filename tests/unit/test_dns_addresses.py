"""Names become addresses by the system's resolver, each within its time, and none is lost on the way."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from scanner.evidence import Failure, FailureReason
from scanner.inventory import Address, Endpoint
from scanner.probe import ProbeSettings
from scanner.probe import names as resolving
from scanner.probe.dns import Answer, Resolved
from scanner.probe.names import RunNames, in_order
from tests.build import virtual_time

BOTH = {"both.example": ("192.0.2.1", "2001:db8::1", "192.0.2.1")}


def endpoint(host: str, port: int = 443, http_port: int | None = 80) -> Endpoint:
    return Endpoint("production", host, port, http_port=http_port)


def resolved(*endpoints: Endpoint, mode="all", connect_to=None, timeout_s=5.0) -> list[Resolved]:
    settings = ProbeSettings(timeout_s=timeout_s, connect_to=connect_to or {})

    async def resolve() -> list[Resolved]:
        async with RunNames.of(endpoints, settings, mode) as names:
            return in_order({place: found async for place, found in names.resolved()})

    return asyncio.run(resolve())


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch):
    """What the system's resolver knows, instead of what it knows on this machine."""
    known: dict[str, tuple[str, ...]] = dict(BOTH)

    def getaddrinfo(host, _port, family=socket.AF_UNSPEC, kind=0):
        found = []
        for ip in known.get(host, ()):
            version = socket.AF_INET6 if ":" in ip else socket.AF_INET
            if family in {socket.AF_UNSPEC, version}:
                found.append((version, kind, 6, "", (ip, 0)))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("all", ["192.0.2.1", "2001:db8::1"]),
        ("first", ["192.0.2.1"]),
        ("ipv4", ["192.0.2.1"]),
        ("ipv6", ["2001:db8::1"]),
    ],
)
def test_a_name_gives_a_target_for_each_of_its_addresses(mode, expected):
    found = resolved(endpoint("both.example"), mode=mode)

    assert [item.target.ip for item in found] == expected
    assert {(item.target.address.port, item.target.address.http_port) for item in found} == {(443, 80)}


def test_addresses_stay_as_they_are():
    found = resolved(endpoint("192.0.2.9"), endpoint("2001:db8::9", 8443), mode="ipv4")

    assert [item.target.id for item in found] == [
        "production/192.0.2.9:443@192.0.2.9",
        "production/[2001:db8::9]:8443@2001:db8::9",
    ]


def test_this_machines_own_names_are_known():
    (first, *_) = resolved(endpoint("localhost"))

    assert first.target.ip in {"127.0.0.1", "::1"}


@pytest.mark.usefixtures("names")
def test_a_name_without_an_address_is_a_target_with_a_reason():
    unknown, known = resolved(endpoint("nowhere.example"), endpoint("both.example"), mode="first")

    assert (unknown.target.address, unknown.failure.reason) == (None, FailureReason.UNRESOLVABLE)
    assert unknown.target.id == "production/nowhere.example:443@unresolved"
    assert known.failure is None


def test_a_resolver_that_says_nothing_is_left_behind(monkeypatch):
    answered = threading.Event()

    def getaddrinfo(host, *_):
        if host == "slow.example":
            answered.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.3", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        slow, quick = resolved(endpoint("slow.example"), endpoint("quick.example"), timeout_s=0.2)
    finally:
        answered.set()

    assert slow.failure.reason is FailureReason.RESOLVER_FAILED
    assert quick.target.ip == "192.0.2.3"


def test_connect_to_stands_in_for_the_resolver(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("nothing should be asked"))
    where = {
        "shop.example:443": ["127.0.0.1:40001", "[::1]:40002"],
        "shop.example:80": ["127.0.0.1:40003"],
    }

    found = resolved(endpoint("shop.example"), connect_to=where)
    only_plain = resolved(endpoint("shop.example", http_port=None), connect_to=where, mode="first")

    # A plain port that is not mapped is not asked: the nominal one may belong to another server.
    assert [item.target.address for item in found] == [
        Address("127.0.0.1", 40001, 40003),
        Address("::1", 40002, None),
    ]
    assert [item.target.address for item in only_plain] == [Address("127.0.0.1", 40001, None)]


def test_an_endpoint_does_not_vanish_where_connect_to_has_no_fitting_address():
    (only,) = resolved(endpoint("shop.example"), connect_to={"shop.example:443": ["127.0.0.1:1"]}, mode="ipv6")

    assert only.target.address is None
    assert "ipv6" in only.failure.detail


def test_a_name_with_addresses_of_the_other_family_alone_was_not_looked_at(monkeypatch):
    def getaddrinfo(*_):
        raise socket.gaierror(socket.EAI_NODATA, "no address of that family")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    (found,) = resolved(endpoint("a.example"), mode="ipv6")
    (nowhere,) = resolved(endpoint("a.example"), mode="all")

    assert (found.failure.reason, found.failure.detail) == (FailureReason.NOT_RUN, "it has no ipv6 address")
    assert nowhere.failure.reason is FailureReason.UNRESOLVABLE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (socket.EAI_NONAME, FailureReason.UNRESOLVABLE),
        (socket.EAI_AGAIN, FailureReason.RESOLVER_FAILED),
        (socket.EAI_FAIL, FailureReason.RESOLVER_FAILED),
    ],
)
def test_a_resolver_in_trouble_is_told_apart_from_a_name_that_does_not_exist(monkeypatch, code, reason):
    def getaddrinfo(*_):
        raise socket.gaierror(code, "as the resolver says")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    (found,) = resolved(endpoint("a.example"))

    assert (found.failure.reason, found.failure.detail) == (reason, "as the resolver says")


class Resolver:
    """Takes so long for each name, and answers those that it knows; counts who waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, dead_until: float = 0.0) -> None:
        self.asked: list[str] = []
        self.dead_until = dead_until
        monkeypatch.setattr(resolving, "look_up", self.look_up)

    async def look_up(self, host: str, _mode: str, timeout_s: float, _server: str | None) -> Answer:
        self.asked.append(host)
        if asyncio.get_running_loop().time() < self.dead_until:
            await asyncio.sleep(timeout_s)
            return Failure(FailureReason.RESOLVER_FAILED)
        await asyncio.sleep(1.0 if host.startswith("slow") else 0.02)
        return ("192.0.2.1",)


def in_virtual_time(hosts: list[str]) -> tuple[dict[str, float], list[Resolved]]:
    """When each name's targets were known, and all of them."""

    async def resolve() -> tuple[dict[str, float], list[Resolved]]:
        known, found = {}, {}
        async with RunNames.of([endpoint(host) for host in hosts], ProbeSettings(timeout_s=5.0)) as names:
            async for place, items in names.resolved():
                known[hosts[place]] = asyncio.get_running_loop().time()
                found[place] = items
        return known, in_order(found)

    return virtual_time.run(resolve())


def test_a_target_begins_when_its_own_name_is_resolved(monkeypatch):
    Resolver(monkeypatch)

    known, found = in_virtual_time(["slow.example", "quick.example", "192.0.2.7"])

    assert known == {"192.0.2.7": 0.0, "quick.example": pytest.approx(0.02), "slow.example": pytest.approx(1.0)}
    assert [item.target.endpoint.host for item in found] == ["slow.example", "quick.example", "192.0.2.7"]


def test_a_dead_resolver_does_not_hold_ten_thousand_names(monkeypatch):
    resolver = Resolver(monkeypatch, dead_until=float("inf"))

    known, found = in_virtual_time([f"name{number}.example" for number in range(10_000)])

    # Many at once, twice, then one after the other, and not 10,000 / 64 × 5 s.
    assert max(known.values()) == pytest.approx(2 * 5.0 + 12 * 5.0)
    assert len(resolver.asked) < 200
    assert {item.failure.reason for item in found} == {FailureReason.RESOLVER_FAILED}
    assert f"gave no answer to {len(resolver.asked)} names before it" in found[-1].failure.detail


def test_a_resolver_that_pauses_costs_the_names_that_it_was_asked_for_and_no_others(monkeypatch):
    Resolver(monkeypatch, dead_until=47.0)

    _, found = in_virtual_time([f"name{number}.example" for number in range(1000)])

    failed = [item for item in found if item.failure is not None]
    assert len(found) == 1000
    # Two rounds of 64 but for one, and those that were asked for alone.
    assert len(failed) == 127 + 8


def test_a_redirect_to_a_name_of_the_run_waits_for_the_runs_own_answer(monkeypatch):
    resolver = Resolver(monkeypatch)

    async def resolve() -> tuple[Answer, float]:
        async with RunNames.of([endpoint("slow.example")], ProbeSettings()) as names:
            return await names.addresses_of("slow.example"), asyncio.get_running_loop().time()

    assert virtual_time.run(resolve()) == (("192.0.2.1",), 1.0)
    assert resolver.asked == ["slow.example"], "it is not asked for again: another answer could lead elsewhere"


def test_names_of_a_dead_zone_do_not_take_the_others_with_them(monkeypatch):
    resolver = Resolver(monkeypatch)
    look_up = resolver.look_up

    async def zones(host: str, mode: str, timeout_s: float, server: str | None) -> Answer:
        resolver.dead_until = float("inf") if host.endswith(".dead.example") else 0.0
        return await look_up(host, mode, timeout_s, server)

    monkeypatch.setattr(resolving, "look_up", zones)

    _, found = in_virtual_time([*(f"{n}.dead.example" for n in range(400)), *(f"{n}.example" for n in range(400))])

    assert {item.failure for item in found[400:]} == {None}
