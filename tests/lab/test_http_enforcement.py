"""What owners demand, what their servers do, and what is said of it: the lab's enforcement environment, for real."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import scanner.lab
from scanner.config import loading as config
from scanner.lab import Lab
from scanner.verdict import Severity, Status
from tests.build.enforcement import Verdicts, judge, name, observe, wrong

CONFIGURATION = Path(scanner.lab.__file__).with_name("enforcement.toml")
SOAP, REST = "/soap/Orders.asmx", "/rest/v1/orders"

# By target: rule and subject to the reason of every verdict that is neither a pass nor not applicable. Fitness for the
# preload list is left out: it is judged for information, and repeats what https.redirect says.
WRONG = {
    "enforced/good.lab.example:443@127.0.0.1": {},
    "enforced/redirect-on-root-only.lab.example:443@127.0.0.1": {"https.path /app": "served-in-plain"},
    "enforced/meta-refresh.lab.example:443@127.0.0.1": {"https.redirect": "client-side"},
    "enforced/script-redirect.lab.example:443@127.0.0.1": {"https.redirect": "client-side"},
    "enforced/redirect-other-host-first.lab.example:443@127.0.0.1": {"https.redirect": "other-host"},
    "enforced/hsts-on-redirect-only.lab.example:443@127.0.0.1": {"https.hsts": "not-everywhere"},
    "enforced/hsts-on-one-node.lab.example:443@127.0.0.1": {"https.node-consistency": "different"},
    "enforced/hsts-on-one-node.lab.example:443@127.0.0.2": {
        "https.hsts": "missing",
        "https.node-consistency": "different",
    },
    "enforced/mixed-content.lab.example:443@127.0.0.1": {"https.no-downgrade": "posts"},
    "enforced/mobile-in-plain.lab.example:443@127.0.0.1": {
        f"https.integration {REST}": "served-in-plain",
        "https.always": "served-in-plain",
    },
    "enforced/api-refused.lab.example:443@127.0.0.1": {},
    "enforced/api-closed.lab.example:443@127.0.0.1": {},
    "enforced/api-redirected.lab.example:443@127.0.0.1": {
        f"https.integration {SOAP}": "redirected",
        f"https.integration {REST}": "redirected",
    },
    "enforced/api-in-plain.lab.example:443@127.0.0.1": {
        f"https.integration {SOAP}": "served-in-plain",
        f"https.integration {REST}": "served-in-plain",
    },
    "enforced/client-certificate-required.lab.example:443@127.0.0.1": {},
    "enforced/client-certificate-optional.lab.example:443@127.0.0.1": {"https.client-certificate /": "works-without"},
    "enforced/console-in-plain.lab.example:443@127.0.0.1": {
        "https.redirect": "served",
        "https.console": "served-in-plain",
    },
    "cloud/good-rsa.lab.example:443@127.0.0.1": {},
    "cloud/wrong-host.lab.example:443@127.0.0.1": {},
    "cloud-renamed/logged.lab.example:443@127.0.0.1": {},
    "open/no-redirect.lab.example:443@127.0.0.1": {"https.path /order": "served-in-plain"},
    "open/api-in-plain.lab.example:443@127.0.0.1": {f"https.integration {SOAP}": "served-in-plain"},
    "open/client-certificate-required.lab.example:443@127.0.0.1": {
        "https.client-certificate /": "demanded",
        **dict.fromkeys(
            ("https.no-downgrade", "https.hsts", "https.hsts-max-age", "https.hsts-subdomains", "https.secure-cookies"),
            "not-observed",
        ),
    },
}

# Some of what is right, and why: a rule that never looked would be silent, too.
RIGHT = {
    ("enforced/good.lab.example:443@127.0.0.1", "https.redirect"): "redirects",
    ("enforced/good.lab.example:443@127.0.0.1", "https.path /Shop/Checkout"): "as-configured",
    ("enforced/good.lab.example:443@127.0.0.1", "https.path /Shop/Public"): "as-configured",
    ("enforced/good.lab.example:443@127.0.0.1", "https.always"): "never-plain",
    ("enforced/redirect-on-root-only.lab.example:443@127.0.0.1", "https.redirect"): "redirects",
    ("enforced/api-refused.lab.example:443@127.0.0.1", f"https.integration {SOAP}"): "refused",
    ("enforced/api-refused.lab.example:443@127.0.0.1", f"https.integration {REST}"): "refused",
    ("enforced/api-closed.lab.example:443@127.0.0.1", f"https.integration {SOAP}"): "refused",
    ("enforced/client-certificate-required.lab.example:443@127.0.0.1", "https.client-certificate /"): "enforced",
    ("enforced/client-certificate-required.lab.example:443@127.0.0.1", "https.hsts"): "sent",
    ("enforced/console-in-plain.lab.example:443@127.0.0.1", "https.hsts"): "sent",
    ("open/no-redirect.lab.example:443@127.0.0.1", "https.path /brochure"): "not-required",
    ("open/no-redirect.lab.example:443@127.0.0.1", "https.redirect"): "not-required",
    ("open/api-in-plain.lab.example:443@127.0.0.1", f"https.integration {REST}"): "not-required",
}


@pytest.fixture(scope="module")
def verdicts() -> Iterator[Verdicts]:
    text = CONFIGURATION.read_text("utf-8")
    hosts = {target.partition("/")[2].partition(".")[0] for target in WRONG}
    # The one that is switched off is no target.
    with Lab(only=(*hosts, "closed-port")) as lab:
        assert not lab.skipped
        certificate = {
            "NIGHTSEAL_LAB_CLIENT_CERTIFICATE": str(lab.client_certificate_file),
            "NIGHTSEAL_LAB_CLIENT_KEY": str(lab.client_key_file),
        }
        configured = config.parse(text, source=CONFIGURATION.name, folder=Path(), environ=certificate)
        environments = configured.inventory.environments
        yield judge(environments, observe(environments, lab.connect_to))


def test_every_configured_target_is_in_the_table(verdicts):
    assert set(verdicts) == set(WRONG)


@pytest.mark.parametrize("target", WRONG)
def test_exactly_what_is_wrong_is_found(verdicts, target):
    assert wrong(verdicts[target]) == WRONG[target]


@pytest.mark.parametrize(("target", "rule"), RIGHT)
def test_what_is_right_is_seen_to_be(verdicts, target, rule):
    (verdict,) = (verdict for verdict in verdicts[target] if name(verdict) == rule)
    assert (verdict.status in {Status.PASS, Status.NOT_APPLICABLE}, verdict.reason) == (True, RIGHT[target, rule])


def test_each_finding_names_the_setting_that_demands_it_in_words(verdicts):
    """Whoever reads it does not have the configuration: no verdict quotes a line of it."""
    for target, expected in WRONG.items():
        for verdict in verdicts[target]:
            assert "[[" not in verdict.message
            if verdict.rule in {"https.path", "https.integration"} and name(verdict) in expected:
                said = re.search(r"by (environment|application) [^:]+: [^.]+\.$", verdict.message)
                assert said or verdict.reason == "redirected", verdict.message


def test_a_redirected_call_weighs_less_than_a_served_one(verdicts):
    def severity(host: str) -> Severity:
        target = f"enforced/{host}.lab.example:443@127.0.0.1"
        return next(item.severity for item in verdicts[target] if name(item) == f"https.integration {SOAP}")

    assert severity("api-redirected").rank < severity("api-in-plain").rank


CONSOLES = """
[[environment]]
name = "consoles"
kind = "on-premises"
  [[environment.endpoint]]
  host = "redirect-on-root-only.lab.example"
  role = "monitoring"
  paths = ["/app"]
  [[environment.endpoint]]
  host = "redirect-on-root-only.lab.example"
  role = "development"
  [[environment.application]]
  name = "Shop"
  kind = "traditional-web"
  host = "redirect-on-root-only.lab.example"
  [[environment.endpoint]]
  host = "good.lab.example"
  role = "monitoring"
  paths = ["/ServiceCenter"]
"""


def test_consoles_on_paths_of_an_applications_host_are_judged_there() -> None:
    read = config.parse(CONSOLES, source="config.toml", folder=Path())
    with Lab(only=("redirect-on-root-only", "good")) as lab:
        verdicts = judge(read.inventory.environments, observe(read.inventory.environments, lab.connect_to))
    shared, good = (
        {name(item): item.reason for item in verdicts[f"consoles/{host}.lab.example:443@127.0.0.1"]}
        for host in ("redirect-on-root-only", "good")
    )

    assert shared["https.console /app"] == "served-in-plain", "where the console is"
    assert shared["https.console /"] == "https-alone", "the other one is at the root, which redirects"
    assert shared["https.path /app"] == "served-in-plain"
    assert shared["https.redirect"] == "redirects"
    assert good["https.console /ServiceCenter"] == "https-alone"
    assert "https.console" not in good


SERVERS = {
    "apps.example.com": "good.lab.example",
    "example.outsystemsenterprise.com": "api-refused.lab.example",
    "example-lt.outsystemsenterprise.com": "redirect-on-root-only.lab.example",
    "os.plant.example": "console-in-plain.lab.example",
    'trust_store = "plant-ca.pem"': "",
    '  client_certificate = { cert = "scanner.pem", key = "scanner.key" }': "",
}


def test_the_estate_of_the_platforms_page_is_judged_as_it_says() -> None:
    """docs/outsystems.md, with servers of the lab for its hosts."""
    page = (Path(__file__).parents[2] / "docs" / "outsystems.md").read_text("utf-8")
    text = page.partition("```toml\n")[2].partition("```")[0]
    for written, server in SERVERS.items():
        assert written in text
        text = text.replace(written, server)
    read = config.parse(text, source="outsystems.md", folder=Path())
    with Lab(only=tuple(item.removesuffix(".lab.example") for item in SERVERS.values() if item)) as lab:
        verdicts = judge(read.inventory.environments, observe(read.inventory.environments, lab.connect_to))
    found = {
        target.partition(":")[0].removesuffix(".lab.example"): {name(item): item.reason for item in of}
        for target, of in verdicts.items()
    }

    assert found["production/good"]["https.console /ServiceCenter"] == "https-alone"
    assert found["production/good"]["https.always"] == "never-plain"
    assert found["plant/console-in-plain"]["https.console /ServiceCenter"] == "served-in-plain"
    assert found["plant/console-in-plain"]["https.console /ServiceStudio"] == "served-in-plain"
    assert found["plant/console-in-plain"]["https.path /Warehouse/Login"] == "served-in-plain"
    assert found["lifetime/redirect-on-root-only"]["https.console /lifetime"] == "served-in-plain"
