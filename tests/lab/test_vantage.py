"""Where a run looks from is found out without a packet: the addresses of routes, their networks, who resolves."""

from __future__ import annotations

import dataclasses
import socket

import pytest

from scanner.probe import ProbeSettings
from scanner.probe.net.vantage import vantage_of


def test_a_run_over_loopback_looks_from_loopback() -> None:
    found = vantage_of("dmz-1", ["127.0.0.1", "127.9.9.9", "not an address"], ProbeSettings())

    assert found.name == "dmz-1"
    assert found.addresses == ("127.0.0.1",)
    assert found.networks == ("127.0.0.0/8",)
    assert found.proxy == ""


def test_no_packet_is_sent() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        vantage_of("", ["127.0.0.1"], ProbeSettings())
        with pytest.raises(TimeoutError):
            receiver.recv(1)


def test_a_source_address_is_where_it_looks_from() -> None:
    assert vantage_of("", ["127.0.0.1"], ProbeSettings(source_address="127.0.0.7")).addresses == ("127.0.0.7",)


def test_a_proxy_is_named_without_its_password_and_resolves_the_names() -> None:
    settings = ProbeSettings(proxy="socks5://user:secret@127.0.0.1:1080", resolver="127.0.0.53")
    found = vantage_of("", ["203.0.113.9"], settings)

    assert found.proxy == "socks5://127.0.0.1:1080"
    assert "secret" not in repr(found)
    assert found.addresses == ("127.0.0.1",), "the way to the proxy"
    assert found.resolvers == ()
    assert vantage_of("", [], dataclasses.replace(settings, proxy="http://proxy.example:3128")).addresses == ()


def test_the_name_server_that_was_asked_for_is_named() -> None:
    assert vantage_of("", [], ProbeSettings(resolver="127.0.0.53")).resolvers == ("127.0.0.53",)
