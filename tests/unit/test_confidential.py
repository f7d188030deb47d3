"""What is secret in an address, and that it is taken out of whatever is written for people."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from scanner import confidential
from scanner.confidential import HidingFormatter, keep_parts, keep_variable, parts_of, without
from scanner.config.loading import parse
from scanner.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("mailtos://ops:S3CRET@mail.example.com:587?to=ops@example.com", "S3CRET"),
        ('"mailtos://ops:S3CRET@mail.example.com:587?to=ops@example.com"', "S3CRET"),
        ("'json://ops:S3CRET@127.0.0.1:1/'", "S3CRET"),
        (" json://ops:S3CRET@127.0.0.1:1/", "S3CRET"),
        ("mailto:ops:S3CRET@mail.example.com", "S3CRET"),
        ("ops:S3CRET@mail.example.com", "S3CRET"),
        ("mailtos:/ops:S3CRET@mail.example.com", "S3CRET"),
        ("xyz://ops:S3CRET@mail.example.com", "S3CRET"),
        ("json://ops:S3CRET@:99999/", "S3CRET"),
        ("json://ops:lowercase@host/", "lowercase"),
        ("json://ops:p%40ss/w%2Ford@host/", "p@ss/w/ord"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "TIiajkdnlazkcOXrIdevi7FQ"),
        ("https://hooks.example.com/services/S3CRET", "S3CRET"),
        ("tgram://123456:S3CRET", "S3CRET"),
        ("ntfys://ntfy.example.com/topic?token=tk_S3CRET", "tk_S3CRET"),
        ("sendgrid://SG.aVerYl0ngT0kenIndeed:from@example.com", "SG.aVerYl0ngT0kenIndeed"),
        ("socks5://user:S3CRET@bastion:1080", "S3CRET"),
    ],
)
def test_what_is_secret_in_an_address(address: str, secret: str) -> None:
    assert secret in parts_of(address)

    keep_parts(address)

    assert secret not in without(f"{address} and {secret} and {address.strip()!r}")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('[nightseal]\nhistory = "s3://key:S3CRET@bucket/h"', "S3CRET"),
        ('[nightseal]\nhistory = "az://box/h?sv=1&sig=S3CRET%2Ft"', "S3CRET/t"),
        ('[nightseal]\noutput = "https://ops:S3CRET@reports.example/"', "S3CRET"),
        ('[report]\ntsa = "htp://ops:S3CRET@tsa.example/"', "S3CRET"),
        ('[daemon]\nhttp = "http://ops:S3CRET@127.0.0.1"', "S3CRET"),
        ('[dispatch]\nengine = "celery"\nbroker = "rediss://ops:S3CRET@broker.example"', "S3CRET"),
        ('[[notify]]\nname = "ops"\nurls = ["json://ops:S3CRET@127.0.0.1/"]', "S3CRET"),
        ('[scan]\nproxi = "socks5://ops:S3CRET@127.0.0.1:1"', "S3CRET"),
    ],
)
def test_an_address_may_stand_anywhere_in_a_file(text: str, secret: str, tmp_path: Path) -> None:
    with contextlib.suppress(ConfigError):
        parse(text, source="config.toml", folder=tmp_path)

    assert secret not in without(f"cannot be used: {text}; {secret}")


@pytest.mark.parametrize(
    "address",
    [
        "mailto:security@example.com",
        "json://127.0.0.1:8080/nightseal",
        "mailtos://mail.example.com:587?to=ops@example.com&from=nightseal@example.com&mode=starttls",
        "https://reports.example.com/nightseal/",
    ],
)
def test_words_are_no_secrets(address: str) -> None:
    keep_parts(address)
    line = "nightseal: the receiver security at 127.0.0.1:8080, mail.example.com:587, for ops@example.com by starttls"

    assert without(line) == line


def test_variables_are_told_unless_they_hold_a_secret() -> None:
    for name, value, hidden in (
        ("HOST", "shop.example.com", False),
        ("HISTORY_URL", "s3://bucket/nightseal", False),
        ("HISTORY_URL", "s3://user:S3CRET@bucket/nightseal", True),
        ("NOTIFY_URL", "json://127.0.0.1/", True),
        ("DB_PASSWORD", "correct horse", True),
        ("PORT", "8443", False),
    ):
        keep_variable(name, value)
        assert (confidential.HIDDEN in without(f"{value} is no name")) is hidden, name


def test_log_lines_are_without_secrets_also_where_something_was_raised() -> None:
    keep_parts("json://ops:S3CRET@127.0.0.1/")
    try:
        int("json://ops:S3CRET@127.0.0.1/")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "it is %s", ("S3CRET",), info)

    line = HidingFormatter(logging.Formatter("%(message)s")).format(record)

    assert line.startswith("it is …")
    assert "ValueError: invalid literal for int() with base 10: '…'" in line
    assert "S3CRET" not in line


def test_a_scheme_alone_is_no_secret() -> None:
    """It is in every address that is told."""
    keep_variable("PROXY", "http://")
    keep_parts("https:///")
    assert without("http://a.example and https://b.example") == "http://a.example and https://b.example"
