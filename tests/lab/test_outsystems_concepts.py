"""docs/outsystems.md, concept by concept: what the page says is judged there is what the lab's servers are told."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from scanner.config import loading as config
from scanner.lab import Lab
from scanner.verdict import Status
from tests.build.client_certificates import client_certificate
from tests.build.enforcement import Verdicts, judge, name, observe
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "outsystems.md").read_text("utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| (\*\*|HTTP Sec|reactive)", line)]

# The estate of "Use HTTPS by enabling SSL": a cloud with the provider's certificate, one with a custom domain, and
# infrastructures on premises, in each of which something is wrong.
ESTATE = """
[[environment]]
name = "cloud"
kind = "paas"
default_domain = "good-rsa.lab.example"
custom_domain = "wrong-host.lab.example"

[[environment]]
name = "forced"
kind = "on-premises"
hsts = true
force_https_screens = true
force_https_integrations = true
  [[environment.endpoint]]
  host = "self-signed.lab.example"
  [[environment.endpoint]]
  host = "plain-http-on-tls-port.lab.example"
  role = "monitoring"
  paths = ["/ServiceCenter", "/lifetime"]
  [[environment.endpoint]]
  host = "console-in-plain.lab.example"
  role = "monitoring"
  paths = ["/ServiceCenter", "/lifetime"]
  [[environment.endpoint]]
  host = "console-in-plain.lab.example"
  role = "development"
  paths = ["/ServiceStudio"]
  [[environment.application]]
  name = "Shop"
  kind = "reactive-web"
  host = "good.lab.example"
  [[environment.application]]
  name = "Intranet"
  kind = "traditional-web"
  host = "no-redirect.lab.example"
  paths = [{ path = "/Intranet/Staff" }]
  [[environment.application]]
  name = "Portal"
  kind = "traditional-web"
  host = "no-hsts.lab.example"
  [[environment.application]]
  name = "Invoices"
  kind = "service"
  host = "api-in-plain.lab.example"
  integrations = [{ path = "/soap/Orders.asmx", kind = "soap" }]
  [[environment.application]]
  name = "Catalogue"
  kind = "service"
  host = "api-redirected.lab.example"
  integrations = [{ path = "/rest/v1/orders", kind = "rest" }]

[[environment]]
name = "open"
kind = "on-premises"
  [[environment.application]]
  name = "Shop"
  kind = "{kind}"
  host = "mobile-in-plain.lab.example"
  https = "none"
  integrations = [{{ path = "/rest/v1/orders", kind = "rest", https = "none" }}]
  [[environment.application]]
  name = "Brochure"
  kind = "traditional-web"
  host = "no-redirect.lab.example"
  https = "none"
  paths = [{{ path = "/order", https = "tls" }}]
  [[environment.application]]
  name = "Payroll"
  kind = "traditional-web"
  host = "client-certificate-required.lab.example"
  https = "tls-client-certificate"
  client_certificate = {{ cert = "stranger.pem", key = "stranger.key" }}
  [[environment.application]]
  name = "Archive"
  kind = "traditional-web"
  host = "client-certificate-optional.lab.example"
  https = "tls-client-certificate"
  client_certificate = {{ cert = "{cert}", key = "{key}" }}
"""
ELSEWHERE = {
    "default",  # no server of the lab has a certificate that comes with software: tests/build/rule_cases
    "accepts-any",  # OpenSSL's servers refuse strangers: test_nginx_enforcement.py
}


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Verdicts]:
    """Verdicts on the estate, by the kind of the application that nothing forces."""
    folder = tmp_path_factory.mktemp("estate")
    client_certificate(folder / "stranger.pem", folder / "stranger.key")
    hosts = set(re.findall(r"([a-z.0-9-]+)\.lab\.example", ESTATE))
    found = {}
    with Lab(only=tuple(hosts)) as lab:
        assert not lab.skipped
        head, _, rest = ESTATE.partition('[[environment]]\nname = "open"')
        for kind in ("mobile-backend", "pwa", "reactive-web", "traditional-web"):
            text = f'[[environment]]\nname = "open"{rest}'.format(
                kind=kind, cert=lab.client_certificate_file, key=lab.client_key_file
            )
            text = text if found else head + text  # the rest is asked once
            read = config.parse(text, source="config.toml", folder=folder)
            environments = read.inventory.environments
            found[kind] = judge(environments, observe(environments, lab.connect_to))
    return found


def reasons(verdicts: Verdicts, target: str) -> dict[str, str]:
    return {name(item): item.reason for item in verdicts[f"{target}@127.0.0.1"]}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: re.sub(r"[^a-zA-Z ]", "", row[0])[:50])
def test_each_verdict_of_the_page_is_given(estate: Mapping[str, Verdicts], row: list[str]) -> None:
    rules = set(re.findall(r"`([a-z0-9-]+\.[a-z0-9.-]+)`", row[2]))
    given = {
        item.reason
        for found in estate.values()
        for verdicts in found.values()
        for item in verdicts
        if item.rule in rules and item.status is Status.FAIL
    }

    said = set(re.findall(r"`([a-z-]+)`", row[3])) if len(row) > 3 else set()
    assert said - ELSEWHERE <= given


def test_ssl_in_the_cloud(estate: Mapping[str, Verdicts]) -> None:
    found = estate["mobile-backend"]

    assert reasons(found, "cloud/good-rsa.lab.example:443")["cert.domain"] == "covers-domain"
    assert reasons(found, "cloud/wrong-host.lab.example:443")["cert.domain"] == "other-domain"


def test_ssl_on_premises(estate: Mapping[str, Verdicts]) -> None:
    found = estate["mobile-backend"]

    assert reasons(found, "forced/self-signed.lab.example:443")["cert.domain"] == "self-signed"
    assert reasons(found, "forced/good.lab.example:443")["cert.domain"] == "own"
    for environment in ("forced", "open"):
        assert reasons(found, f"{environment}/no-redirect.lab.example:443")["cert.domain"] == "shared"


@pytest.mark.parametrize("path", ["/ServiceCenter", "/lifetime", "/ServiceStudio"])
def test_development_environments_and_consoles_are_secured_too(estate: Mapping[str, Verdicts], path: str) -> None:
    found = reasons(estate["mobile-backend"], "forced/console-in-plain.lab.example:443")

    assert found[f"https.console {path}"] == "served-in-plain"


@pytest.mark.parametrize("kind", ["mobile-backend", "pwa", "reactive-web"])
def test_requests_to_such_a_back_end_are_always_over_https(estate: Mapping[str, Verdicts], kind: str) -> None:
    found = reasons(estate[kind], "open/mobile-in-plain.lab.example:443")

    assert found["https.always"] == "served-in-plain"
    assert found["https.integration /rest/v1/orders"] == "served-in-plain", "whatever its own setting says"


def test_requests_to_a_traditional_one_are_not(estate: Mapping[str, Verdicts]) -> None:
    found = reasons(estate["traditional-web"], "open/mobile-in-plain.lab.example:443")

    assert found["https.integration /rest/v1/orders"] == "not-required"
    assert "served-in-plain" not in found.values()


def test_parts_of_an_application_and_whole_environments(estate: Mapping[str, Verdicts]) -> None:
    found = estate["mobile-backend"]

    part = reasons(found, "open/no-redirect.lab.example:443")
    assert (part["https.path /order"], part["https.redirect"]) == ("served-in-plain", "not-required")
    whole = reasons(found, "forced/no-redirect.lab.example:443")
    assert (whole["https.path /Intranet/Staff"], whole["https.redirect"]) == ("served-in-plain", "served")
