"""The gate for URLs that scanned hosts name: what is let through, and every hostile form that is not."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.evidence import Failure, FailureReason
from scanner.probe.net.gate import Gate, GateError, UnresolvedError, UrlParts

GATE = Gate.of()
PUBLIC = "192.88.98.7"
MAPPED = str(ipaddress.ip_address("::ffff:8.8.8.8"))  # from Python 3.13 on with the dots of IPv4


def let_through(url: str, gate: Gate = GATE, answers: tuple[str, ...] = ()) -> tuple[UrlParts, str]:
    """Where a URL leads, and the address to connect to, where names have these addresses."""

    async def resolve(_host: str) -> tuple[str, ...] | Failure:
        return answers or Failure(FailureReason.UNRESOLVABLE)

    place = gate.read(url, ("http", "https"))
    return place, asyncio.run(gate.address_of(place.host, resolve))


@pytest.mark.parametrize(
    ("url", "place", "ip"),
    [
        ("http://crl.example/a.crl", UrlParts("http", "crl.example", 80, "/a.crl"), PUBLIC),
        ("HTTP://CRL.Example./a.crl?b=c", UrlParts("http", "crl.example", 80, "/a.crl?b=c"), PUBLIC),
        ("http://crl.example", UrlParts("http", "crl.example", 80, "/"), PUBLIC),
        ("http://crl.example:80/#part", UrlParts("http", "crl.example", 80, "/"), PUBLIC),
        ("https://crl.example/", UrlParts("https", "crl.example", 443, "/"), PUBLIC),
        ("http://crl.bücher.example/", UrlParts("http", "crl.xn--bcher-kva.example", 80, "/"), PUBLIC),
        ("http://8.8.8.8/", UrlParts("http", "8.8.8.8", 80, "/"), "8.8.8.8"),
        ("http://[2606:4700:0::1111]/", UrlParts("http", "2606:4700::1111", 80, "/"), "2606:4700::1111"),
        ("http://[::ffff:8.8.8.8]/", UrlParts("http", MAPPED, 80, "/"), MAPPED),
    ],
)
def test_what_is_let_through(url, place, ip):
    assert let_through(url, answers=(PUBLIC,)) == (place, ip)


HOSTILE_FORMS = [
    # other schemes
    *(
        "file:///etc/passwd",
        "ldap://crl.example/",
        "ftp://crl.example/",
        "gopher://crl.example/",
        "javascript:alert(1)",
    ),
    *("data:text/plain,x", "crl.example/a", "//crl.example/", "", "http:", "http:///a", "http://", "https:crl.example"),
    # user information, and hosts that two readers read differently
    *(
        "http://user@crl.example/",
        "http://user:pw@crl.example/",
        "http://crl.example@127.0.0.1/",
        "http://@crl.example/",
    ),
    *("http://crl.example\\@127.0.0.1/", "http:\\\\127.0.0.1\\", "http://crl.example\t/", "http://crl.exa\nmple/"),
    *("http:// crl.example/", " http://crl.example/", "http://crl.example%2f@127.0.0.1/", "http://%31%32%37.0.0.1/"),
    *("http://crl.example#@127.0.0.1/\x00", "http://crl..example/", "http://-crl-/", "http://crl.example:80:80/"),
    # other ports
    *("http://crl.example:22/", "http://crl.example:8080/", "http://crl.example:443/", "https://crl.example:80/"),
    *("http://crl.example:0/", "http://crl.example:65536/", "http://crl.example:-1/", "http://crl.example:x/"),
    # this machine
    *("http://127.0.0.1/", "http://127.1.2.3/", "http://0.0.0.0/", "http://[::1]/", "http://[::]/"),
    *("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[::ffff:0:127.0.0.1]/"),
    # numbers that some read as addresses
    *(
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://017700000001/",
        "http://127.1/",
        "http://0/",
    ),
    *("http://0177.0.0.1/", "http://127.0.0.0x1/", "http://1.2.3.4.5/", "http://127.0.0.1.:80/", "http://0x/"),
    *("http://\uff11\uff12\uff17.0.0.1/", "http://127\u3002\u0030.0.1/", "http://\u2460\u2461\u2466.0.0.1/"),
    # private, shared, link-local and other addresses that are not public
    *("http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "http://100.64.0.1/", "http://169.254.1.1/"),
    *("http://192.0.2.1/", "http://198.18.0.1/", "http://224.0.0.1/", "http://240.0.0.1/", "http://255.255.255.255/"),
    *("http://[fe80::1]/", "http://[fe80::1%25eth0]/", "http://[fc00::1]/", "http://[fec0::1]/", "http://[ff02::1]/"),
    *("http://[2001:db8::1]/", "http://[::ffff:10.0.0.1]/", "http://[::10.0.0.1]/", "http://[v1.a]/", "http://[::1/"),
    *("http://192.0.0.8/", "http://192.88.99.1/", "http://[3fff::1]/", "http://[5f00::1]/"),
    # metadata services
    *("http://169.254.169.254/latest/", "http://[fd00:ec2::254]/", "http://100.100.100.200/", "http://192.0.0.192/"),
    *("http://168.63.129.16/", "http://[::ffff:169.254.169.254]/", "http://[::ffff:168.63.129.16]/"),
    # addresses that lead to others
    *(
        "http://[2002:7f00:1::]/",
        "http://[2002:0808:0808::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::808:808]/",
    ),
    *("http://[64:ff9b:1::a00:1]/", "http://[2001:0:4136:e378::1]/", "http://[2606:4700::5efe:127.0.0.1]/"),
    "http://[2606:4700::200:5efe:10.0.0.1]/",
    # without measure
    *("http://" + "a" * 300 + ".example/", "http://" + "a." * 200 + "example/", "http://crl.example/" + "a" * 3000),
]


@pytest.mark.parametrize("url", HOSTILE_FORMS, ids=lambda url: ascii(url)[:60])
def test_hostile_forms_are_not_let_through(url):
    with pytest.raises(GateError) as refused:
        let_through(url, answers=(PUBLIC,))
    assert not isinstance(refused.value, UnresolvedError)
    assert str(refused.value).isprintable()


def test_there_are_enough_hostile_forms():
    assert len(set(HOSTILE_FORMS)) >= 90


@pytest.mark.parametrize(
    "answers",
    [
        *(("127.0.0.1",), ("::1",), ("10.0.0.1",), ("169.254.169.254",), ("fe80::1%eth0",), ("::ffff:192.168.0.1",)),
        *(("64:ff9b::a00:1",), ("2002:a00:1::",)),
        # One of several is enough: which of them is taken is the host's choice.
        *((PUBLIC, "127.0.0.1"), ("10.0.0.1", PUBLIC), (PUBLIC, "64:ff9b::1")),
    ],
)
def test_a_name_is_judged_by_all_its_addresses(answers):
    with pytest.raises(GateError):
        let_through("http://crl.example/", answers=answers)


def test_a_name_is_resolved_once_and_the_address_that_was_judged_is_the_one():
    asked = []

    async def rebinding(host: str) -> tuple[str, ...]:
        asked.append(host)
        return (PUBLIC,) if len(asked) == 1 else ("127.0.0.1",)

    assert asyncio.run(GATE.address_of("crl.example", rebinding)) == PUBLIC
    assert asked == ["crl.example"]


def test_a_name_without_an_address_is_told_apart():
    with pytest.raises(UnresolvedError) as unresolved:
        let_through("http://crl.example/")
    assert unresolved.value.failure.reason is FailureReason.UNRESOLVABLE


EXCEPTING = Gate.of(["pki.intra.example", "10.1.0.0/16", "fd00:1::/32", "192.168.7.7", "64:ff9b::/96", "Shop.Example."])


@pytest.mark.parametrize(
    ("url", "answers", "ip"),
    [
        ("http://pki.intra.example/", ("127.0.0.1",), "127.0.0.1"),
        ("http://PKI.intra.example.:8080/a", ("10.9.9.9",), "10.9.9.9"),
        ("http://shop.example:8443/", ("192.168.0.1",), "192.168.0.1"),
        ("http://crl.example/", ("10.1.2.3",), "10.1.2.3"),
        ("http://crl.example/", ("::ffff:10.1.2.3",), "::ffff:10.1.2.3"),
        ("http://crl.example/", ("64:ff9b::808:808",), "64:ff9b::808:808"),
        ("http://10.1.2.3:8080/", (), "10.1.2.3"),
        ("http://192.168.7.7/", (), "192.168.7.7"),
        ("http://[fd00:1::7]/", (), "fd00:1::7"),
    ],
)
def test_exceptions_are_let_through(url, answers, ip):
    assert let_through(url, EXCEPTING, answers)[1] == ip


@pytest.mark.parametrize(
    ("url", "answers"),
    [
        ("http://crl.example/", ("10.2.0.1",)),
        ("http://evil-pki.intra.example/", ("10.2.0.1",)),
        ("http://pki.intra.example.evil.example/", ("10.2.0.1",)),
        ("http://pki.intra.example@10.2.0.1/", ()),
        ("http://crl.example:8080/", ("10.1.2.3",)),
        ("http://crl.example/", ("10.1.2.3", "10.2.0.1")),
        # A network of translated addresses is an exception, what they are translated to is not.
        ("http://crl.example/", ("64:ff9b::7f00:1",)),
        ("file://pki.intra.example/", ("10.1.2.3",)),
    ],
)
def test_an_exception_is_for_itself_alone(url, answers):
    with pytest.raises(GateError):
        let_through(url, EXCEPTING, answers)


@pytest.mark.parametrize("entry", ["10.1.2.3/16", "http://pki.example/", "pki.example:80", "*.example", "a b", ""])
def test_an_exception_that_is_none_is_said_so(entry):
    with pytest.raises(ValueError, match=r"."):
        Gate.of([entry])


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    for url in (text, f"http://{text}", f"http://crl.example/{text}", f"http://{text}@127.0.0.1/"):
        try:
            place = GATE.read(url)
        except GateError:
            continue
        assert place.port == 80
        assert place.authority.isascii()
        assert place.target.isascii()


@given(st.ip_addresses(v=4))
def test_no_form_of_an_address_that_is_not_public_is_let_through(address):
    forms = [str(address), f"::ffff:{address}", f"64:ff9b::{address}", f"::{address}", f"2606:4700::5efe:{address}"]
    for form in forms:
        try:
            GATE.judge(form)
        except GateError:
            continue
        assert address.is_global
        assert not address.is_multicast
