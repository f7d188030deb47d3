"""What is wrong with a command line is found before anything is scanned or started: the guard of this folder refuses both."""

from __future__ import annotations

import pytest

from scanner.app.options import parse_connect_to
from tests.conftest import Runner


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run"], 2, "there is no such file"),
        (["scan", "a.example:70000"], 2, "the port must be a number from 1 to 65535"),
        (["scan", "a.example", "--policy", "no-such"], 2, 'there is no policy "no-such"'),
        (["scan", "a.example", "--ca-file", "missing.pem"], 2, "missing.pem cannot be read"),
        (["scan", "a.example", "-f", "json", "-f", "html"], 2, "several formats need a directory"),
        (["scan", "a.example", "--connect-to", "a:b"], 2, "should be HOST:PORT=IP:PORT"),
        (["scan", "a.example", "--connect-to", "\u00fc..example:443=127.0.0.1:1"], 2, "Empty Label"),
        (["explain", "no.such"], 2, 'there is no rule "no.such"'),
        (["report"], 2, "there is no such file"),
        (["demo", "--config", "missing.toml"], 2, "there is no such file"),
    ],
)
def test_wrong_use_scans_nothing(nightseal: Runner, arguments: list[str], status: int, message: str) -> None:
    done = nightseal(*arguments)

    assert done.status == status, done
    assert message in done.err
    assert "Starting the lab" not in done.err


def test_a_name_is_the_same_however_it_is_written() -> None:
    written = ("Shop.Example:443=127.0.0.1:1", "shop.example.:443=127.0.0.1:2", "B\u00fccher.example:443=127.0.0.1:3")
    assert parse_connect_to(written) == {
        "shop.example:443": ["127.0.0.1:1", "127.0.0.1:2"],
        "xn--bcher-kva.example:443": ["127.0.0.1:3"],
    }
