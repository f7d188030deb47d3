"""The TARGETs of `nightseal scan`."""

from __future__ import annotations

import pytest

from scanner.app.adhoc import parse_target
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
        ("https://", "there is no host name in it"),
        ("www.example.com:0", "the port must be a number from 1 to 65535"),
        ("www.example.com:65536", "the port must be a number from 1 to 65535"),
        ("www.example.com:https", "the port must be a number from 1 to 65535"),
        ("2001:db8::1", r"in brackets: \[2001:db8::1\]:443"),
        ("http://www.example.com/x", "nightseal scan https://www.example.com/x"),
        ("smpt://mail.example.com", 'did you mean "smtp"'),
        ("gopher://x.example", "known schemes"),
        ("user@www.example.com", "there is no host name in it"),
        ("exa mple.com", "is not a host name"),
        ("a..example", "is not a host name"),
        ("-", "is not a host name"),
    ],
)
def test_what_is_no_target(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_target(text)
