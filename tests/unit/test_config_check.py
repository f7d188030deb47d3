"""What `config check` says, and how long it takes to say it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.jobs.exit_status import ExitStatus

LATER = f"{datetime.now(UTC).date() + timedelta(days=90)}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def waiver(scope: str, rule: str = "https.path") -> str:
    return f'[[waiver]]\nrule = "{rule}"\nscope = "{scope}"\nreason = "r"\nowner = "o"\nexpires = {LATER}\n'


ESTATE = """
[[environment]]
name = "production"
kind = "on-premises"
  [[environment.endpoint]]
  host = "a.example"
  [[environment.application]]
  name = "Shop"
  kind = "traditional-web"
  host = "shop.example"
  paths = [{ path = "/Shop/Public", https = "none" }]
"""


@pytest.mark.parametrize(
    ("scope", "warned"),
    [
        ("production/shop.example/Shop/*", None),
        ("production/shop.example/Shop/Public", None),
        ("production/Shop.EXAMPLE.:443/Shop/Public", None),
        ("production/*/", None),
        ("production/shop.example/Else/*", "covers no configured path"),
        ("production/a.example/Shop/Public", "covers no configured path"),
        ("production/b.example/Shop/Public", "covers no configured endpoint"),
        ("test/shop.example", "covers no configured endpoint"),
    ],
)
def test_a_waiver_that_covers_nothing_is_warned_of_and_no_other(
    folder: Path, scope: str, warned: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.toml").write_text(ESTATE + waiver(scope), "utf-8")

    assert run(["config", "check"]) == ExitStatus.OK

    said = capsys.readouterr().err
    if warned is None:
        assert said == ""
    else:
        assert f'waiver[1].scope: "{scope}" {warned}' in said


def test_not_all_is_well_where_something_is_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.toml").write_text(ESTATE + waiver("staging/gone.example"), "utf-8")

    assert run(["config", "check"]) == ExitStatus.OK
    assert capsys.readouterr().out.endswith("1 waiver: it can be used, with 1 warning.\n")


def test_a_waiver_for_rules_that_there_are_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.toml").write_text(ESTATE + waiver("*", "headres.*") + waiver("*", "https.pth"), "utf-8")

    assert run(["config", "check"]) == ExitStatus.OK

    said = capsys.readouterr().err
    assert 'waiver[1].rule: no rule matches "headres.*"' in said
    assert 'waiver[2].rule: there is no rule "https.pth" (did you mean "https.path"?)' in said


def test_thousands_of_hosts_and_hundreds_of_waivers_are_a_matter_of_seconds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environments = (
        f'[[environment]]\nname = "env{number}"\nkind = "on-premises"\n'
        + "".join(f'[[environment.endpoint]]\nhost = "h{host}.env{number}.example.com"\n' for host in range(500))
        for number in range(10)
    )
    waivers = (waiver(f"*/gone{number}*.example.com", "cert.expiry") for number in range(200))
    (folder / "config.toml").write_text("".join((*environments, *waivers)), "utf-8")
    begun = time.process_time()

    assert run(["config", "check"]) == ExitStatus.OK

    # Of the processor's time, since others may be busy beside this test; it was 24 s when each pair was asked anew.
    assert time.process_time() - begun < 4
    assert capsys.readouterr().err.count("covers no configured endpoint") == 200


def test_what_decides_is_asked_for_in_any_spelling(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = ("bücher.example", "2001:db8::1")
    endpoints = "".join(f'[[environment.endpoint]]\nhost = "{host}"\n' for host in hosts)
    (folder / "config.toml").write_text(f'[[environment]]\nname = "e"\nkind = "on-premises"\n{endpoints}', "utf-8")

    for spelling, shown in (
        ("BÜCHER.example.", "xn--bcher-kva.example:443"),
        ("xn--bcher-kva.example:443", "xn--bcher-kva.example:443"),
        ("https://bücher.example/x", "xn--bcher-kva.example:443"),
        ("[2001:DB8:0::1]:443", "[2001:db8::1]:443"),
    ):
        assert run(["config", "explain", spelling]) == ExitStatus.OK, spelling
        assert f"e/{shown} (application)" in capsys.readouterr().out
    for wrong in ("a_b..example", "bücher.example:x", "[::1"):
        assert run(["config", "explain", wrong]) == ExitStatus.USAGE
        assert "nightseal: " in capsys.readouterr().err


def test_what_shares_a_place_is_called_by_its_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.toml").write_text(
        """
[[environment]]
name = "e"
kind = "on-premises"
force_https_screens = true
  [[environment.application]]
  name = "Shop"
  kind = "traditional-web"
  host = "a.example"
  [[environment.endpoint]]
  host = "a.example"
  role = "monitoring"
""",
        "utf-8",
    )
    assert run(["config", "explain", "a.example"]) == ExitStatus.OK
    shown = [line for line in capsys.readouterr().out.splitlines() if " / " in line or " /" in line.split("(")[0]]
    assert any("/ (Shop)" in line for line in shown), shown
    assert any("/ (monitoring)" in line for line in shown), shown
