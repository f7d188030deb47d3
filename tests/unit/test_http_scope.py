from __future__ import annotations

import pytest

from scanner.inventory import Address, Endpoint, Target
from scanner.probe.http.chain import RedirectScope
from scanner.probe.http.url import Url

ADDRESS = Address("192.0.2.7", 10_443, 10_080)
TARGET = Target(Endpoint("production", "shop.example", 443, http_port=80), ADDRESS)
CONNECT_TO = {
    "shop.example:8443": ("192.0.2.9:1", "192.0.2.7:2"),
    "other.example:443": ("192.0.2.20:3",),
    "six.example:443": ("[2001:db8::1]:4",),
}
SCOPE = RedirectScope.of(TARGET, ADDRESS, {"Other.Example", "six.example", "dns.example"}, CONNECT_TO)


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("https://shop.example/", ("192.0.2.7", 10_443)),
        ("https://shop.example./", ("192.0.2.7", 10_443)),
        ("http://shop.example/x", ("192.0.2.7", 10_080)),
        ("https://shop.example:8443/", ("192.0.2.7", 2)),
        ("https://other.example/", ("192.0.2.20", 3)),
        ("https://six.example/", ("2001:db8::1", 4)),
        ("https://dns.example/", ("dns.example", 443)),
        ("http://dns.example/", ("dns.example", 80)),
    ],
)
def test_where_a_configured_host_is_reached(url, destination):
    assert SCOPE.destination(Url.parse(url)) == destination


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://192.0.2.7/",
        "https://shop.example.evil.example/",
        "http://shop.example:22/",
        "http://dns.example:6379/",
    ],
)
def test_nobody_configured_these(url):
    assert SCOPE.destination(Url.parse(url)) is None


def test_an_endpoint_without_a_plain_port_keeps_its_address_on_the_usual_one():
    target = Target(Endpoint("production", "shop.example", 443), Address("192.0.2.7", 443))
    scope = RedirectScope.of(target, Address("192.0.2.7", 443), (), {})
    assert scope.destination(Url.parse("http://shop.example/")) == ("192.0.2.7", 80)
