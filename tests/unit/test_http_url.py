from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.probe.http.url import Url

BASE = Url.of("https", "shop.example.com", 443, "/shop/cart?id=1")

JOINED = {
    "https://other.example/x": "https://other.example/x",
    "HTTP://Other.Example:8080/x?y#z": "http://other.example:8080/x?y",
    "//cdn.example/a": "https://cdn.example/a",
    "/login": "https://shop.example.com/login",
    "login": "https://shop.example.com/shop/login",
    "../login": "https://shop.example.com/login",
    "?id=2": "https://shop.example.com/shop/cart?id=2",
    "": "https://shop.example.com/shop/cart?id=1",
    "#top": "https://shop.example.com/shop/cart?id=1",
    "  https://other.example/\n": "https://other.example/",
    "ht\ttps://other.example/": "https://other.example/",
    r"https:\\evil.example\x": "https://evil.example/x",
    r"/\evil.example": "https://evil.example/",
    r"\\evil.example/x": "https://evil.example/x",
    "///evil.example/x": "https://evil.example/x",
    "https:////evil.example/x": "https://evil.example/x",
    "http:/other.example/x": "http://other.example/x",
    "http:other.example/x": "http://other.example/x",
    "https:login": "https://shop.example.com/shop/login",
    "https://shop.example.com@evil.example/": "https://evil.example/",
    "https://[2001:DB8::1]:8443/": "https://[2001:db8::1]:8443/",
    "https://bücher.example/ä b?ü": "https://xn--bcher-kva.example/%C3%A4%20b?%C3%BC",
    "https://other.example": "https://other.example/",
    "https://other.example?x": "https://other.example/?x",
    '/?"><script>': "https://shop.example.com/?%22%3E%3Cscript%3E",
}


@pytest.mark.parametrize(("reference", "expected"), JOINED.items())
def test_reads_an_address_as_browsers_do(reference, expected):
    assert str(BASE.join(reference)) == expected


@pytest.mark.parametrize(
    "reference",
    [
        "javascript:alert(1)",
        "JaVaScript:alert(1)",
        "java\nscript:alert(1)",
        "file:///etc/passwd",
        "ftp://other.example/",
        "data:text/html,x",
        "mailto:a@b.example",
        "https://[::1/",
        "https://other.example:99999/",
        "https://other.example:0/",
        "https://other.example:port/",
        "https:// /",
        "https://a b/",
        "https://%00/",
        "https://-/",
        "https://" + "a" * 300 + "/",
        "/" + "a" * 20_000,
        "//",
    ],
)
def test_refuses_what_browsers_could_not_or_would_not_fetch(reference):
    assert BASE.join(reference) is None


def test_the_authority_leaves_the_schemes_own_port_out():
    assert Url.of("http", "a.example", 80, "/").authority == "a.example"
    assert Url.of("http", "a.example", 443, "/").authority == "a.example:443"
    assert Url.of("https", "::1", 8443, "/").authority == "[::1]:8443"


def test_a_configured_path_is_encoded_as_far_as_it_must_be():
    assert Url.of("https", "A.example", 443, "/Päge one?q=%20|").target == "/P%C3%A4ge%20one?q=%20|"


@given(st.text(max_size=200))
def test_whatever_comes_back_can_stand_in_a_request_line(reference):
    url = BASE.join(reference)
    if url is not None:
        assert url.scheme in {"http", "https"}
        assert url.target.startswith("/")
        assert all(0x21 <= ord(character) < 0x7F for character in str(url))
        assert Url.parse(str(url)) == url


@given(st.text(alphabet="htps:/\\@[].?#a0%\t ", max_size=40))
def test_addresses_made_of_the_signs_that_matter_are_read_the_same_twice(reference):
    url = BASE.join(reference)
    assert url is None or BASE.join(str(url)) == url
