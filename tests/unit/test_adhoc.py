"""The TARGETs of `nightseal scan`."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.app.adhoc import endpoints_of, parse_target, targets_in, under_name
from scanner.errors import UsageError
from scanner.inventory import Role, StartTls


@pytest.mark.parametrize(
    ("text", "address", "role", "starttls", "http_port"),
    [
        ("www.example.com", "www.example.com:443", Role.APPLICATION, None, 80),
        ("WWW.Example.COM.", "www.example.com:443", Role.APPLICATION, None, 80),
        ("www.example.com:8443", "www.example.com:8443", Role.APPLICATION, None, None),
        ("https://www.example.com", "www.example.com:443", Role.APPLICATION, None, 80),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443", Role.APPLICATION, None, None),
        ("192.0.2.1", "192.0.2.1:443", Role.APPLICATION, None, 80),
        ("smtp://mail.example.com:25", "mail.example.com:25", Role.SERVER, StartTls.SMTP, None),
        ("smtp://mail.example.com", "mail.example.com:25", Role.SERVER, StartTls.SMTP, None),
        ("mail.example.com:143", "mail.example.com:143", Role.SERVER, StartTls.IMAP, None),
        ("mail.example.com:993", "mail.example.com:993", Role.SERVER, None, None),
        ("postgres://db.example.com", "db.example.com:5432", Role.SERVER, StartTls.POSTGRES, None),
        ("tls://db.example.com:6000", "db.example.com:6000", Role.SERVER, None, None),
        ("bücher.example", "xn--bcher-kva.example:443", Role.APPLICATION, None, 80),
    ],
)
def test_forms(text: str, address: str, role: Role, starttls: StartTls | None, http_port: int | None) -> None:
    endpoint = parse_target(text)

    assert (endpoint.address, endpoint.role, endpoint.starttls, endpoint.http_port) == (
        address, role, starttls, http_port,
    )  # fmt: skip


def test_a_path_is_looked_at_too() -> None:
    endpoint = parse_target("https://www.example.com/app/login")

    assert endpoint.applications[0].paths[0].path == "/app/login"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://", "it contains no host name"),
        ("www.example.com:0", "the port must be a number from 1 to 65535"),
        ("www.example.com:65536", "the port must be a number from 1 to 65535"),
        ("www.example.com:https", "the port must be a number from 1 to 65535"),
        ("2001:db8::1", r"in brackets: \[2001:db8::1\]:443"),
        ("http://www.example.com/x", "nightseal scan https://www.example.com/x"),
        ("smpt://mail.example.com", 'did you mean "smtp"'),
        ("gopher://x.example", "known schemes"),
        ("user@www.example.com", "it contains no host name"),
        ("exa mple.com", "is not a host name"),
        ("a..example", "is not a host name"),
        ("-", "is not a host name"),
        (f"{'a' * 64}.example", "is not a host name"),
        (f"{'a.' * 130}example", "is not a host name"),
        (f"é{'a' * 64}.example", "is not a host name: Label too long"),
        ("https://[::1/x", "write host, host:port or https://host/path"),
        ("smtp://[x.example", "write host, host:port or https://host/path"),
        ("10.0.0.256", "an IPv4 address is four numbers from 0 to 255"),
        ("10.0.0-3.1", "is not an IP address"),
        ("127.1:443", "is not an IP address"),
        ("https://10.0.0.9-1", "is not an IP address"),
    ],
)
def test_what_is_no_target(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_target(text)


def test_several_ports_of_a_host() -> None:
    found = endpoints_of(["shop.example.com:443,8443", "[2001:db8::1]:25,465", "https://a.example:443,444/x"])

    assert [(item.host, item.port) for item in found] == [
        ("shop.example.com", 443),
        ("shop.example.com", 8443),
        ("2001:db8::1", 25),
        ("2001:db8::1", 465),
        ("a.example", 443),
        ("a.example", 444),
    ]
    with pytest.raises(UsageError, match="the port must be"):
        endpoints_of(["a.example:443,99999"])


@pytest.mark.parametrize("text", ["127.0.0.0/30", "10.0.0.0/8", "[2001:db8::]/64", "2001:db8::/64", "192.0.2.1/32"])
def test_a_network_is_no_host_with_a_path(text: str) -> None:
    with pytest.raises(UsageError, match=r"is a network of \d+ hosts?.*--file"):
        endpoints_of([text])


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("127.0.0.1-9", "range of 9"),
        ("127.0.0.1-127.0.0.9:8443", "range of 9"),
        ("https://127.0.0.1-9", "range of 9"),
        ("[::1]-[::4]", "range of 4"),
        ("10.0.0.0/30:443", "network of 2"),
        ("smtp://10.0.0.0/30", "network of 2"),
    ],
)
def test_several_hosts_in_any_spelling_are_no_target(text: str, hosts: str) -> None:
    with pytest.raises(UsageError, match=rf"is a {hosts} hosts \(.*--file"):
        endpoints_of([text])


def test_the_url_of_a_network_says_how_its_path_is_written() -> None:
    with pytest.raises(
        UsageError, match=r"is a network of 2 hosts .*; to scan the path /30 of 10\.0\.0\.0, write /30/"
    ):
        endpoints_of(["https://10.0.0.0/30"])

    assert endpoints_of(["https://10.0.0.0/30/"])[0].applications[0].paths[0].path == "/30/"


def test_a_path_below_an_address_is_none() -> None:
    assert endpoints_of(["192.0.2.1/shop", "https://192.0.2.1/30"])[1].applications[0].paths[0].path == "/30"


def test_targets_from_a_file(tmp_path: Path) -> None:
    listed = tmp_path / "hosts.txt"
    listed.write_bytes(b"\xef\xbb\xbf# ours\r\na.example\r\n\r\n  b.example:8443,9443  # the old one\r\n")

    assert targets_in(str(listed)) == ["a.example", "b.example:8443,9443"]
    listed.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not UTF-8"):
        targets_in(str(listed))
    listed.write_bytes(b"a" * (5 << 20))
    with pytest.raises(UsageError, match="larger than 4 MiB"):
        targets_in(str(listed))
    with pytest.raises(UsageError, match="No such file"):
        targets_in(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="nothing to scan"):
        endpoints_of([])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "http://host.example:8080/x",
            "nightseal scan https://host.example/x; if port 8080 speaks TLS, https://host.example:8080",
        ),
        ("http://host.example:80/x", "nightseal scan https://host.example/x)"),
        ("http://host.example/x", "nightseal scan https://host.example/x)"),
        ("http://[2001:db8::1]/x", "nightseal scan https://[2001:db8::1]/x)"),
    ],
)
def test_plain_http_is_answered_with_a_port_that_can_speak_tls(text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_target(text)

    assert said in str(raised.value)


def test_starttls_is_of_targets_that_name_no_protocol() -> None:
    endpoints = endpoints_of(["mail.example.com:587", "imap://mail.example.com"], "smtp")

    assert [(item.port, item.starttls) for item in endpoints] == [(587, StartTls.SMTP), (143, StartTls.IMAP)]


def test_another_name_leads_to_where_the_target_is() -> None:
    (endpoint,), there = under_name(endpoints_of(["192.0.2.7"]), "www.example.com", {}, resolving=False)

    assert endpoint.host == "www.example.com"
    assert there == {"www.example.com:443": ["192.0.2.7:443"], "www.example.com:80": ["192.0.2.7:80"]}
    with pytest.raises(UsageError, match="needs the address"):
        under_name(endpoints_of(["elsewhere.example"]), "www.example.com", {}, resolving=False)
