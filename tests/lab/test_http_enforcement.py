"""What owners demand, what their servers do, and what is said of it: the lab's enforcement environment, for real."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import scanner.lab
from scanner import config, policy
from scanner.evaluate import evaluate
from scanner.evidence import TargetEvidence
from scanner.inventory import Address, Environment, Target
from scanner.lab import Lab
from scanner.probe import ProbeSettings
from scanner.probe.http import probe_http
from scanner.probe.survey import survey
from scanner.rules import Observed
from scanner.verdict import Severity, Status, Verdict

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

Verdicts = dict[str, tuple[Verdict, ...]]


def name(verdict: Verdict) -> str:
    return f"{verdict.rule} {verdict.subject}".strip()


async def observe(lab: Lab, environments: tuple[Environment, ...]) -> list[Observed]:
    connect_to = {name: tuple(addresses) for name, addresses in lab.connect_to.items()}
    settings = ProbeSettings(timeout_s=2, deadline_s=20, connect_to=connect_to)
    scope = frozenset(endpoint.host for environment in environments for endpoint in environment.endpoints)

    async def one(target: Target, environment: Environment) -> Observed:
        (tls, first), (http, second) = await asyncio.gather(
            survey(target, settings), probe_http(target, environment, settings, scope)
        )
        return Observed(target, TargetEvidence(datetime.now(UTC), 1.0, first + second, tls=tls, http=http))

    observed = []
    for environment in environments:
        for endpoint in environment.endpoints:
            secure = connect_to[f"{endpoint.host}:{endpoint.port}"]
            plain = connect_to[f"{endpoint.host}:{endpoint.http_port}"]
            for tls_address, http_address in zip(secure, plain, strict=True):
                ip, _, port = tls_address.rpartition(":")
                address = Address(ip, int(port), int(http_address.rpartition(":")[2]))
                observed.append(await one(Target(endpoint, address), environment))
    return observed


@pytest.fixture(scope="module")
def verdicts() -> Iterator[Verdicts]:
    text = CONFIGURATION.read_text("utf-8")
    hosts = {target.partition("/")[2].partition(".")[0] for target in WRONG}
    with Lab(only=tuple(hosts)) as lab:
        assert not lab.skipped
        certificate = {
            "NIGHTSEAL_LAB_CLIENT_CERTIFICATE": str(lab.client_certificate_file),
            "NIGHTSEAL_LAB_CLIENT_KEY": str(lab.client_key_file),
        }
        configured = config.parse(text, source=CONFIGURATION.name, folder=Path(), environ=certificate)
        environments = configured.inventory.environments
        by_name = {environment.name: environment for environment in environments}
        default = policy.load("https-by-default")
        observed = asyncio.run(observe(lab, environments))
        yield dict(evaluate(observed, by_name, dict.fromkeys(by_name, default), (), datetime.now(UTC)))


def test_every_configured_target_is_in_the_table(verdicts):
    assert set(verdicts) == set(WRONG)


@pytest.mark.parametrize("target", WRONG)
def test_exactly_what_is_wrong_is_found(verdicts, target):
    found = {
        name(verdict): verdict.reason
        for verdict in verdicts[target]
        if verdict.rule.startswith("https.")
        and verdict.severity is not Severity.INFO
        and verdict.status in {Status.FAIL, Status.INDETERMINATE}
    }
    assert found == WRONG[target]


@pytest.mark.parametrize(("target", "rule"), RIGHT)
def test_what_is_right_is_seen_to_be(verdicts, target, rule):
    (verdict,) = (verdict for verdict in verdicts[target] if name(verdict) == rule)
    assert (verdict.status in {Status.PASS, Status.NOT_APPLICABLE}, verdict.reason) == (True, RIGHT[target, rule])


def test_each_finding_names_the_line_that_demands_it(verdicts):
    for target, expected in WRONG.items():
        for verdict in verdicts[target]:
            if verdict.rule in {"https.path", "https.integration"} and name(verdict) in expected:
                assert "[[environment" in verdict.message or verdict.reason == "redirected"


def test_a_redirected_call_weighs_less_than_a_served_one(verdicts):
    def severity(host: str) -> Severity:
        target = f"enforced/{host}.lab.example:443@127.0.0.1"
        return next(item.severity for item in verdicts[target] if name(item) == f"https.integration {SOAP}")

    assert severity("api-redirected").rank < severity("api-in-plain").rank
