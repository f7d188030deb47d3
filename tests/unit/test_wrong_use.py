"""What is wrong with a command line is found before anything is scanned or started: the guard of this folder refuses both."""

from __future__ import annotations

import pytest

from tests.conftest import Runner


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run"], 2, "there is no such file"),
        (["scan", "a.example:70000"], 2, "the port must be a number from 1 to 65535"),
        (["scan", "a.example", "--policy", "no-such"], 2, 'there is no policy "no-such"'),
        (["scan", "a.example", "--ca-file", "missing.pem"], 2, "missing.pem cannot be read"),
        (["scan", "a.example", "-f", "json", "-f", "html"], 2, "several formats need a folder"),
        (["scan", "a.example", "--connect-to", "a:b"], 2, "should be HOST:PORT=IP:PORT"),
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
