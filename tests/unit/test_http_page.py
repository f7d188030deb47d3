from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.evidence import InsecureReference, ReferenceKind
from scanner.probe.http.page import Page, read_page, srcset
from scanner.probe.http.url import Url

SECURE = Url.of("https", "shop.example", 443, "/a/page")
PLAIN = Url.of("http", "shop.example", 80, "/a/page")
SIZE = 262_144


def read(html: str, url: Url = SECURE) -> Page:
    return read_page(html.encode(), url, {"shop.example"})


def references(html: str, url: Url = SECURE) -> list[tuple[str, str, str]]:
    return [(item.kind.value, item.tag, item.url) for item in read(html, url).insecure_references]


@pytest.mark.parametrize(
    ("html", "kind", "tag"),
    [
        ("<script src=http://x.example/a></script>", "active", "script"),
        ("<iframe src=http://x.example/a></iframe>", "active", "iframe"),
        ("<link rel='alternate StyleSheet' href=http://x.example/a>", "active", "link"),
        ("<link rel=icon href=http://x.example/a>", "passive", "link"),
        ("<object data=http://x.example/a></object>", "active", "object"),
        ("<embed src=http://x.example/a>", "active", "embed"),
        ("<svg><script href=http://x.example/a></script></svg>", "active", "script"),
        ("<svg><use xlink:href=http://x.example/a /></svg>", "active", "use"),
        ("<svg><image href=http://x.example/a /></svg>", "passive", "image"),
        ("<img src=http://x.example/a>", "passive", "img"),
        ("<img srcset='/b 1x, http://x.example/a 2x'>", "passive", "img"),
        ("<picture><source srcset=http://x.example/a></picture>", "passive", "source"),
        ("<video><source src=http://x.example/a></video>", "passive", "source"),
        ("<video poster=http://x.example/a></video>", "passive", "video"),
        ("<audio src=http://x.example/a></audio>", "passive", "audio"),
        ("<input type=IMAGE src=http://x.example/a>", "passive", "input"),
        ("<form action=http://x.example/a></form>", "form", "form"),
        ("<button formaction=http://x.example/a></button>", "form", "button"),
        ("<style>@import 'http://x.example/a';</style>", "active", "style"),
        ("<style>p { background: url( http://x.example/a ) }</style>", "passive", "style"),
        ("<p style='background:url(\"http://x.example/a\")'>", "passive", "p"),
        ("<img src=' \nHT\tTP://X.example/a'>", "passive", "img"),
        (r"<img src='http:\\x.example\a'>", "passive", "img"),
        ("<img src='http&#58;//x.example/a'>", "passive", "img"),
    ],
)
def test_finds_what_a_page_fetches_in_plain(html, kind, tag):
    assert references(html) == [(kind, tag, "http://x.example/a")]


@pytest.mark.parametrize(
    "html",
    [
        "<script src=https://x.example/a></script><img src=/b><img src=//x.example/c>",
        "<!-- <script src=http://x.example/a></script> -->",
        "<script>var s = '<img src=http://x.example/a>'</script>",
        "<textarea><img src=http://x.example/a></textarea>",
        "<title><img src=http://x.example/a></title>",
        "<noscript><img src=http://x.example/a></noscript>",
        "<a href=http://elsewhere.example/>out</a>",
        "<link rel=canonical href=http://shop.example/>",
        "<svg xmlns=http://www.w3.org/2000/svg></svg>",
        "<input type=text src=http://x.example/a>",
        "<img src=''><form action></form><img src='http://'>",
    ],
)
def test_leaves_alone_what_no_browser_fetches(html):
    assert references(html) == []


def test_links_count_where_they_lead_to_the_owners_own_hosts():
    assert references("<a href=http://shop.example/login>") == [("link", "a", "http://shop.example/login")]


def test_the_base_decides_for_relative_addresses():
    html = "<base href='http://cdn.example/'><base href='https://later.example/'>"
    html += "<img src=a.png><script src=//x/y></script>"
    assert references(html) == [
        ("active", "script", "http://x/y"),
        ("passive", "img", "http://cdn.example/a.png"),
    ]


def test_a_page_in_plain_has_no_mixed_content():
    assert references("<script src=http://x.example/a></script>", PLAIN) == []


def test_references_are_bounded_and_the_worst_come_first():
    html = "".join(f"<img src=http://x.example/{number}>" for number in range(100))
    html += (
        "<img src=http://x.example/0><script src=http://x.example/s></script><form action=http://x.example/f></form>"
    )
    found = read(html).insecure_references
    assert len(found) == 50
    assert [item.kind for item in found[:3]] == [ReferenceKind.ACTIVE, ReferenceKind.FORM, ReferenceKind.PASSIVE]


def test_the_same_reference_is_listed_once():
    assert len(references("<img src=http://x.example/a>" * 10)) == 1


def test_what_a_page_says_stays_printable_and_short():
    (found,) = read(f"<img src='http://x.example/\x1b[31m\u202e{'a' * 2000}'>").insecure_references
    assert found.url.isprintable()
    assert len(found.url) <= 500


@pytest.mark.parametrize(
    ("html", "target"),
    [
        ("<meta http-equiv=Refresh content='0; url=https://shop.example/'>", "https://shop.example/"),
        ("<meta http-equiv=refresh content='0;url=next'>", "http://shop.example/a/next"),
        ("<meta http-equiv=refresh content=30>", None),
        ("<meta name=refresh content='0;url=/x'>", None),
        ("<noscript><meta http-equiv=refresh content='0;url=/noscript'></noscript>", None),
        ("<meta http-equiv=refresh content='0;url=javascript:alert(1)'>", "javascript:alert(1)"),
    ],
)
def test_meta_refresh(html, target):
    assert read(html, PLAIN).meta_refresh == target


@pytest.mark.parametrize(
    ("script", "target"),
    [
        ("location = 'https://shop.example/'", "https://shop.example/"),
        ('window.location.href = "/in"', "http://shop.example/in"),
        ("top.location.replace('https://shop.example/x')", "https://shop.example/x"),
        ("document.location.assign(`/y`)", "http://shop.example/y"),
        ("location.protocol = 'https:'", "https://shop.example/a/page"),
        ("location.href = location.href.replace('http:', 'https:')", "https://shop.example/a/page"),
        ("window.location = 'https://' + location.host + location.pathname", "https://shop.example/a/page"),
        ("location.replace('https:' + location.href.substring(5))", "https://shop.example/a/page"),
        ("if (location.href == 'https://shop.example/') {}", None),
        ("var mylocation = '/x'", None),
        ("person.location = 'Lisbon'", None),
        ("var a = 1", None),
    ],
)
def test_script_redirect(script, target):
    assert read(f"<script>{script}</script>", PLAIN).script_redirect == target


def test_scripts_that_are_data_do_not_run_and_onload_does():
    assert read("<script type=application/json>location='/x'</script>", PLAIN).script_redirect is None
    assert read("<body onload=\"location='/x'\">", PLAIN).script_redirect == "http://shop.example/x"


def test_a_policy_in_the_page_upgrades_insecure_requests():
    html = "<meta http-equiv=Content-Security-Policy content='default-src *; upgrade-insecure-requests'>"
    assert read(html).upgrade_insecure_requests
    assert not read("<p>upgrade-insecure-requests").upgrade_insecure_requests


@pytest.mark.parametrize("charset", ["utf-16", "iso-8859-1", "no-such-thing", None])
def test_any_charset_is_taken(charset):
    html = "<script src=http://x.example/a></script>"
    page = read_page(html.encode(charset if charset == "utf-16" else "ascii"), SECURE, (), charset)
    assert page.insecure_references == (InsecureReference(ReferenceKind.ACTIVE, "script", "http://x.example/a"),)


def filled(part: str) -> str:
    return (part * (SIZE // len(part) + 1))[:SIZE]


HOSTILE = {
    "nested": filled("<div>"),
    "misnested": filled("<b><p></b>"),
    "distinct formatting": "".join(f"<b a{number}>" for number in range(30_000))[:SIZE],
    "foster parents": "<table>" + filled("<a>x"),
    "attributes": "<p " + " ".join(f"a{number}=1" for number in range(30_000)),
    "comments": filled("<!--"),
    "brackets": filled("<"),
    "srcset of commas": f"<img srcset='{filled(',')}'>",
    "srcset of spaces": f"<img srcset='{filled(' ')}'>",
    "srcset": f"<img srcset='{filled('http://x/y 1x,')}'>",
    "references": filled("<img src=http://x.example>"),
    "relative references under a plain base": "<base href=http://x/>" + filled("<img src=a>"),
    "scripts that never end a string": "<script>" + filled("location='"),
    "scripts that nearly upgrade": "<script>" + filled("location="),
    "styles": "<style>" + filled("@import url("),
    "refreshes": filled("<meta http-equiv=refresh content='1'>"),
    "a long refresh": f"<meta http-equiv=refresh content='{'1' * SIZE}'>",
    "zeros": filled("\0"),
}


@pytest.mark.timeout(90)  # each takes well below a second; what is quadratic takes minutes
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_is_read_in_bounded_time(name):
    page = read_page(HOSTILE[name].encode(), SECURE, {"shop.example"})
    assert len(page.insecure_references) <= 50


@given(st.binary(max_size=300))
def test_any_bytes_are_a_page(body):
    read_page(body, SECURE, ())


@given(st.text(alphabet="a ,x1\n", max_size=60))
def test_any_srcset_gives_addresses_without_spaces_and_outer_commas(value):
    for address in srcset(value):
        assert address == address.strip(", \n") != ""


def test_a_srcset_with_and_without_spaces():
    assert list(srcset("a, b 2x,c 3x ,d")) == ["a", "b", "c", "d"]
