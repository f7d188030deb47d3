"""Whether a certificate is its environment's own: on a provider's two host names, and on the owners' machines."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scanner.app.cli import run
from scanner.config import loading as config
from scanner.lab import Lab
from tests.build.enforcement import Verdicts, judge, observe
from tests.conftest import reach


def environment(name: str, head: str, *hosts: str) -> str:
    endpoints = "".join(f'[[environment.endpoint]]\nhost = "{host}.lab.example"\n' for host in hosts)
    return f'[[environment]]\nname = "{name}"\n{head}\n{endpoints}'


CONFIGURATION = "".join(
    (
        environment(
            "platform",
            'kind = "paas"\ndefault_domain = "good.lab.example"\ncustom_domain = "wrong-host.lab.example"',
            "good",
            "wrong-host",
        ),
        # No endpoint names the two: they are scanned all the same.
        environment(
            "bare", 'kind = "paas"\ndefault_domain = "logged.lab.example"\ncustom_domain = "expired.lab.example"'
        ),
        environment("premises", 'kind = "on-premises"', "good-rsa", "self-signed", "good-dual-address"),
        environment("copy", 'kind = "on-premises"', "good-rsa"),
    )
)

EXPECTED = {
    # Both host names answer, and each is judged by the domain that it belongs to.
    "platform/good.lab.example": "covers-domain",
    "platform/wrong-host.lab.example": "other-domain",
    "bare/logged.lab.example": "covers-domain",
    "bare/expired.lab.example": "covers-domain",
    "premises/good-rsa.lab.example": "shared",
    "copy/good-rsa.lab.example": "shared",
    "premises/self-signed.lab.example": "self-signed",
    "premises/good-dual-address.lab.example": "own",
}


@pytest.fixture(scope="module")
def verdicts() -> Iterator[Verdicts]:
    with Lab(only=("good", "wrong-host", "good-rsa", "self-signed", "good-dual-address", "logged", "expired")) as lab:
        environments = config.parse(CONFIGURATION, source="test", folder=Path()).inventory.environments
        yield judge(environments, observe(environments, lab.connect_to))


@pytest.mark.parametrize("place", EXPECTED)
def test_the_certificate_is_the_environments_own_or_not(verdicts, place):
    reasons = {
        verdict.reason
        for target, found in verdicts.items()
        if target.startswith(f"{place}:")
        for verdict in found
        if verdict.rule == "cert.domain"
    }
    assert reasons == {EXPECTED[place]}


@dataclass(frozen=True)
class Ran:
    """A command: its exit status, what it printed, and the report of it."""

    status: int
    out: str
    report: dict[str, Any]
    page: str


SWITCHED_OFF = """
[[environment]]
name = "cloud"
kind = "paas"
hsts = true
default_domain = "closed-port.lab.example"
custom_domain = "logged.lab.example"
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    """A run whose default domain is switched off, and one where that is all there is; told again from the history."""
    folder = tmp_path_factory.mktemp("domains")
    with Lab(only=("closed-port", "logged")) as lab:
        found = {}
        alone = SWITCHED_OFF.replace("custom_domain", "# custom_domain")
        for name, text in (("both", SWITCHED_OFF), ("alone", alone)):
            place = folder / name
            place.mkdir()
            (place / "config.toml").write_text(text)
            command = [
                "run",
                "--config",
                str(place / "config.toml"),
                "--output",
                f"{place / 'out'}/",
                "--format",
                "json",
            ]
            found[name] = _ran(place / "out", [*command, *reach(lab)])
        again = ["report", "--config", str(folder / "both" / "config.toml"), "--format", "json", "--format", "html"]
        found["again"] = _ran(folder / "again", [*again, "--output", str(folder / "again")])
        yield found


def _ran(output: Path, command: list[str]) -> Ran:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = run(command)
    (report,), pages = output.glob("*.json"), output.glob("*.html")
    return Ran(status, out.getvalue(), json.loads(report.read_text()), "".join(page.read_text() for page in pages))


def test_a_domain_that_is_switched_off_is_no_gap(ran):
    assert ran["both"].status == 0
    assert "1 target in" in ran["both"].out
    assert "No answer at closed-port.lab.example:443 (cloud, default_domain): refused" in ran["both"].out


@pytest.mark.parametrize("which", ["both", "again"])
def test_it_is_said_everywhere_and_nothing_is_claimed_of_it(ran, which):
    report = ran[which].report
    (absent,) = report["run"]["absent_domains"]
    (target,) = report["targets"]

    assert (absent["environment"], absent["host"], absent["port"]) == ("cloud", "closed-port.lab.example", 443)
    assert (absent["named_by"], absent["error"]["reason"]) == ("default_domain", "refused")
    assert (target["host"], target["implied_by"], target["status"]) == (
        "logged.lab.example",
        "custom_domain",
        "assessed",
    )
    assert {
        verdict["status"] for verdict in target["verdicts"] if verdict["rule"] in {"cert.domain", "https.hsts"}
    } == {"pass"}
    assert report["run"]["expected_targets"] == report["summary"]["targets"] == 1


def test_the_page_says_which_is_no_target_and_where_the_other_comes_from(ran):
    page = ran["again"].page
    absent = re.search(r'<table class="data absent.*?</table>', page, flags=re.DOTALL)
    assert absent is not None
    assert all(text in absent[0] for text in ("closed-port.lab.example:443", "cloud", "default_domain", "refused"))
    assert "from custom_domain" in page


def test_an_environments_only_host_name_that_is_silent_is_a_gap(ran):
    (target,) = ran["alone"].report["targets"]

    assert ran["alone"].status == 3
    assert (target["status"], target["implied_by"]) == ("unreachable", "default_domain")
    assert ran["alone"].report["run"]["absent_domains"] == []
    assert {verdict["status"] for verdict in target["verdicts"] if verdict["rule"] == "cert.domain"} == {
        "indeterminate"
    }
