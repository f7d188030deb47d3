"""The worked example of docs/enforcement.md is what Nightseal really says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scanner.app.cli import run
from scanner.jobs.exit_status import ExitStatus
from scanner.rules import all_rules
from tests.build.client_certificates import client_certificate
from tests.conftest import REPOSITORY

DOCUMENT = (REPOSITORY / "docs" / "enforcement.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", DOCUMENT, flags=re.DOTALL)
EXAMPLE = next(text for language, text in BLOCKS if language == "toml")


def shown(host: str) -> str:
    return next(text for _, text in BLOCKS if text.startswith(f"production/{host}:443"))


@pytest.fixture
def _example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text(EXAMPLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_example")
@pytest.mark.parametrize("host", ["shop.example.com", "monitor.example.com"])
def test_the_example_is_explained_as_the_document_says(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "explain", host]) == ExitStatus.OK
    assert capsys.readouterr().out == shown(host)


def test_a_platforms_host_name_is_explained_by_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[[environment]]\nname = "cloud"\nkind = "paas"\ndefault_domain = "tenant.platform.example"\n')
    assert run(["config", "explain", "tenant.platform.example", "--config", str(config)]) == ExitStatus.OK
    assert capsys.readouterr().out == next(text for _, text in BLOCKS if text.startswith("cloud/"))


@pytest.mark.usefixtures("_example")
def test_a_path_below_a_configured_one_is_explained_by_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "explain", "shop.example.com/Partners/List"]) == ExitStatus.OK
    (place,) = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  /")]
    assert place == "/Partners"


@pytest.mark.usefixtures("_example")
def test_the_lines_that_demand_less_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    client_certificate(Path("client.pem"), Path("client.key"))
    assert run(["config", "check"]) == ExitStatus.OK
    assert capsys.readouterr().err.count('"none" has no effect') == 2


def test_every_rule_that_it_names_exists() -> None:
    assert set(re.findall(r"`((?:https|cert)\.[a-z-]+)`", DOCUMENT)) <= set(all_rules())
