from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.evidence import Cookie
from scanner.probe.http.headers import charset_of, cookies_of, refresh_of, text_of, upgrades_insecure_requests


def cookies(*headers: bytes) -> tuple[Cookie, ...]:
    return cookies_of([(b"Set-Cookie", header) for header in headers])


def test_reads_a_cookie_without_its_value():
    (cookie,) = cookies(b"session=s3cret; Path=/; Secure; HttpOnly; SameSite=Lax; Domain=.Example.com")
    assert cookie == Cookie("session", secure=True, http_only=True, same_site="Lax", domain="example.com", path="/")
    assert "s3cret" not in repr(cookie)


def test_attributes_are_read_in_any_case_and_with_any_spaces():
    (cookie,) = cookies(b"a=b;SECURE;   httponly  ; samesite = None ")
    assert (cookie.secure, cookie.http_only, cookie.same_site) == (True, True, "None")


def test_secure_with_a_value_is_secure_and_a_longer_word_is_not():
    assert cookies(b"a=b; Secure=false")[0].secure
    assert not cookies(b"a=b; Secured")[0].secure
    assert not cookies(b"a=Secure")[0].secure


def test_of_an_attribute_given_twice_the_last_counts():
    assert cookies(b"a=b; SameSite=None; SameSite=Strict; Path=/x; Path=relative")[0].same_site == "Strict"
    assert cookies(b"a=b; Path=/x; Path=relative")[0].path is None


@pytest.mark.parametrize(
    ("attributes", "deleted"),
    [
        (b"Max-Age=0", True),
        (b"max-age=-1", True),
        (b"Max-Age=00", True),
        (b"Max-Age=1", False),
        (b"Max-Age=0x", False),
        (b"Expires=Thu, 01 Jan 1970 00:00:00 GMT", True),
        (b"Expires=Thu, 01-Jan-1970 00:00:10 GMT", True),
        (b"expires=Sun, 09 Sep 2001 01:46:40 GMT", True),
        (b"Expires=Sun, 09 Sep 2001 01:46:41 GMT", False),
        (b"Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", False),
        (b"Expires=Fri, 31 Dec 9999 23:59:59 GMT; Max-Age=0", True),
        (b"Expires=0", False),
        (b"Expires=\xff", False),
        (b"", False),
    ],
)
def test_a_cookie_that_has_ended_is_deleted(attributes, deleted):
    (cookie,) = cookies_of([(b"Set-Cookie", b"a=b; " + attributes)], now=1_000_000_000.0)
    assert cookie.deleted is deleted


@pytest.mark.parametrize("header", [b"", b";Secure", b"=", b"a=b\x00c", b"a=\x1b[31m", b"a=" + b"x" * 5000])
def test_leaves_out_what_browsers_drop(header):
    assert cookies(header) == ()


def test_a_cookie_may_have_no_name():
    assert [cookie.name for cookie in cookies(b"=value", b"value alone")] == ["", ""]


def test_an_attribute_that_is_too_long_is_ignored():
    assert cookies(b"a=b; Path=/" + b"x" * 2000)[0].path is None


def test_a_name_with_markup_and_broken_text_stays_printable():
    assert cookies("\u202ex<b>".encode() + b"\xff=1")[0].name == "\\u202ex<b>\\xff"


def test_the_number_of_cookies_is_bounded():
    assert len(cookies(*(b"a%d=1" % number for number in range(1000)))) == 50


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_give_printable_cookies(headers):
    for cookie in cookies(*headers):
        assert cookie.name.isprintable()
        assert (cookie.path or "/").startswith("/")


@pytest.mark.parametrize(
    ("content", "address"),
    [
        ("0; url=https://a.example/", "https://a.example/"),
        ("0;URL='https://a.example/x y'ignored", "https://a.example/x y"),
        ('5 , url = "/next"', "/next"),
        ("0 /next", "/next"),
        ("0.5;/next", "/next"),
        (".5;/next", "/next"),
        ("0;url=", None),
        ("30", None),
        ("  30 ", None),
        ("", None),
        ("soon; url=/x", None),
        ("-1; url=/x", None),
    ],
)
def test_refreshing(content, address):
    assert refresh_of(content) == address


@given(st.text(alphabet="0 .;,url='\"/x", max_size=50))
def test_any_refresh_is_read(content):
    address = refresh_of(content)
    assert address is None or address.strip() == address != ""


@pytest.mark.parametrize("content", ["1" * 16_000 + "x", "1" + " " * 16_000 + "x", "1;url" + " " * 16_000])
def test_a_long_refresh_takes_no_longer_than_its_length(content):
    refresh_of(content * 10)


def test_insecure_requests_are_upgraded_by_the_directive_alone():
    assert upgrades_insecure_requests(["default-src 'self'; Upgrade-Insecure-Requests"])
    assert upgrades_insecure_requests(["default-src 'self'", "img-src *, upgrade-insecure-requests;"])
    assert not upgrades_insecure_requests(["default-src upgrade-insecure-requests"])
    assert not upgrades_insecure_requests(["", ";", "upgrade-insecure-requests-not"])


def test_the_charset_of_a_type():
    assert charset_of('text/html; Charset="iso-8859-1"') == "iso-8859-1"
    assert charset_of("text/html") is None


def test_a_header_is_utf8_or_else_latin1():
    assert (text_of("ü".encode()), text_of(b"\xfc")) == ("ü", "ü")
