"""What people type who slip, or come from another tool, is told by what they mean."""

from __future__ import annotations

import re

import click
import pytest

from scanner.app.adhoc import endpoints_of
from scanner.app.commands import scan
from scanner.app.slips import OTHERS, options_in
from scanner.errors import UsageError
from tests.conftest import Runner


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https//www.example.com", "https://www.example.com"),
        ("https:/www.example.com", "https://www.example.com"),
        ("HTTPS:/www.example.com/a", "HTTPS://www.example.com/a"),
        ("smtp:mail.example.com", "smtp://mail.example.com"),
        ("imap:mail.example.com:143", "imap://mail.example.com:143"),
        ("www.example.com:https", "https://www.example.com"),
        ("mail.example.com:smtp", "smtp://mail.example.com"),
    ],
)
def test_a_target_that_is_nearly_one_names_the_one_that_is_meant(text: str, meant: str) -> None:
    with pytest.raises(UsageError, match=rf'"{text}": .*did you mean "{meant}"\?'):
        endpoints_of([text])
    assert endpoints_of([meant])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("443", "a port is written behind its host: www.example.com:443"),
        ("www.example.com:443:8443", "separated by commas: www.example.com:443,8443"),
        ("www.example.com,mail.example.com", "separated by spaces"),
        ("www.example.com:443,mail.example.com:25", "separated by spaces"),
        ("www.example.com 443", "a separate argument"),
        ("*.example.com", "a wildcard is not a host"),
        ("https://*.example.com", "a wildcard is not a host"),
        ("mx:", "names no domain"),
    ],
)
def test_what_is_no_target_is_called_what_it_is(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f'"{text}": ')) as caught:
        endpoints_of([text])
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["https://me:s3cret@www.example.com", "me:s3cret@www.example.com"])
def test_a_password_in_a_target_is_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match=r"a user before .*www\.example\.com.*--header") as caught:
        endpoints_of([text])
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "imap:993",
        "imap:143,993",
        "smtp:25/path",
        "www.example.com:443,8443",
        "https://www.example.com/a,b*c@d e",
        "[::1]:443",
        "[fe80::1]",
        "https.example.com",
        "http.example.com:8443",
        "a_b.example.com",
    ],
)
def test_what_only_looks_like_a_slip_is_a_target(text: str) -> None:
    assert endpoints_of([text])


def options_of(command: click.Command) -> set[str]:
    return {name for option in command.params for name in (*option.opts, *option.secondary_opts)}


def test_every_answer_names_options_that_are_there() -> None:
    ours = options_of(scan.command)
    for other, answer in OTHERS.items():
        assert other not in ours
        named = options_in(answer)
        assert named <= ours, other
        assert named or "www.example.com" in answer


@pytest.mark.parametrize("command", ["scan", "clients"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-connect", "a.example:443"], "No such option '-connect' (here: a TARGET needs no option"),
        (["--resolve=a.example:443:192.0.2.7", "a.example"], "'--resolve' (here: --connect-to HOST:PORT=IP:PORT)"),
        (["a.example", "-x", "socks5://b.example:1"], "'-x' (here: --proxy URL)"),
        (["a.example", "--prxy", "socks5://b.example:1", "-x"], "No such option '--prxy'"),
    ],
)
def test_an_option_of_another_tool_is_answered_with_ours(
    nightseal: Runner, command: str, arguments: list[str], said: str
) -> None:
    done = nightseal(command, *arguments)
    assert done.status == 2
    assert said in done.err


def test_a_command_is_answered_with_its_own_options(nightseal: Runner) -> None:
    assert "'-tls1_2' (here: --protocols)" in nightseal("scan", "-tls1_2", "a.example").err
    assert "--protocols" not in nightseal("clients", "-tls1_2", "a.example").err


def test_a_host_in_place_of_a_command_is_answered_with_scan(nightseal: Runner) -> None:
    done = nightseal("www.example.com")
    assert done.status == 2
    assert "nightseal scan www.example.com" in done.err


def test_part_of_a_rule_is_answered_with_the_rule(nightseal: Runner) -> None:
    assert 'did you mean "https.hsts"?' in nightseal("explain", "hsts").err
    assert 'did you mean "vuln.heartbleed"?' in nightseal("scan", "a.example", "--rule", "heartbleed").err
