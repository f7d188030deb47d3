"""Names become addresses by the system's resolver, each within its time, and none is lost on the way."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from scanner.evidence import FailureReason
from scanner.inventory import Address, Endpoint
from scanner.probe.dns import Resolved, resolve

BOTH = {"both.example": ("192.0.2.1", "2001:db8::1", "192.0.2.1")}


def endpoint(host: str, port: int = 443, http_port: int | None = 80) -> Endpoint:
    return Endpoint("production", host, port, http_port=http_port)


def resolved(*endpoints: Endpoint, mode="all", connect_to=None, timeout_s=5.0) -> tuple[Resolved, ...]:
    return asyncio.run(resolve(endpoints, mode=mode, connect_to=connect_to or {}, timeout_s=timeout_s))


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
