"""What authorities publish is fetched through the proxy too: counted there and at the authority, nothing goes past it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import ocsp

from scanner.evidence import Attempt, Deployment, Protocol, TargetEvidence
from scanner.probe import ProbeSettings
from scanner.probe.authority.stage import opened
from scanner.probe.x509.chains import deployment_of
from scanner.rules import get_rule
from tests.build.authority import START, Signed, Site, certificate, der, pem, published, response, revocation_list
from tests.build.facts import World, facts, tls
from tests.build.proxies import Proxies

NAME = "pki.nowhere.invalid"
"""Nobody here can resolve it, so what reaches the authority came through the proxy."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with published() as running:
        yield running


def completed(deployment: Deployment, proxy: Proxies) -> Deployment:
    """The deployment with what the stage of a run found through a proxy."""
    settings = ProbeSettings(timeout_s=20.0, deadline_s=60.0, proxy=proxy.url)
    evidence = TargetEvidence(START, 1.0, 1, tls=Attempt.ok(tls(deployment)))

    async def run() -> TargetEvidence:
        async with opened(settings, None) as stage:
            stage.look_at(evidence)
            await stage.finish(settings.deadline_s)
            return stage.completed(evidence)

    found: Any = asyncio.run(run()).tls.value
    return found.certificates.value[0]


def shown(tmp_path: Path, root: Signed, *chain: Signed) -> Deployment:
    store = tmp_path / "root.pem"
    store.write_bytes(pem(root.certificate))
    sent = [der(item.certificate) for item in chain]
    found = deployment_of(sent, [str(store)], with_sni=True, protocol=Protocol.TLS1_3)
    assert isinstance(found, Deployment)
    return found


def reasons(deployment: Deployment) -> set[str]:
    checked = get_rule("cert.revocation")
    world = World(tls=tls(deployment), now=datetime.now(UTC))
    return {finding.reason for finding in checked.check(facts(world), checked.parameters())}


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_lists_responders_and_missing_issuers_are_asked_through_the_proxy(
    site: Site, tmp_path: Path, scheme: str
) -> None:
    root = certificate("Root", ca=True, days=(-100, 3000))
    middle = certificate("Middle", root, ca=True, days=(-90, 1000))
    dns = ["www.example.com"]
    by_list = certificate(
        "www.example.com", middle, dns=dns, lists=[f"http://{NAME}/list"], issuers=[f"http://{NAME}/middle"]
    )
    by_responder = certificate("www.example.com", middle, dns=dns, responders=[f"http://{NAME}/ocsp"])
    site.answers["list"] = revocation_list(middle, revoked=[(by_list.certificate.serial_number, None)])
    site.answers["middle"] = der(middle.certificate)
    site.answers["ocsp"] = response(by_responder, middle, ocsp.OCSPCertStatus.GOOD)
    site.asked.clear()
    with Proxies(scheme, {(NAME, 80): ("127.0.0.1", site.port)}).running() as proxy:
        listed = completed(shown(tmp_path, root, by_list), proxy)  # the intermediate is not sent
        answered = completed(shown(tmp_path, root, by_responder, middle), proxy)
        assert reasons(listed) == {"revoked"}
        assert reasons(answered) == {"good"}
        assert proxy.reached == [(NAME, 80)] * 3
    assert sorted(path.partition("/")[0] for _, path in site.asked) == ["list", "middle", "ocsp"]
    assert len(site.asked) == proxy.carried == 3


def test_an_address_that_is_not_public_is_not_asked_of_the_proxy_either(site: Site, tmp_path: Path) -> None:
    root = certificate("Root", ca=True, days=(-100, 3000))
    leaf = certificate("www.example.com", root, dns=["www.example.com"], lists=["http://169.254.169.254/list"])
    with Proxies("http", {("169.254.169.254", 80): ("127.0.0.1", site.port)}).running() as proxy:
        found = completed(shown(tmp_path, root, leaf), proxy)
    assert reasons(found) == {"refused-by-gate"}
    assert (proxy.reached, proxy.carried) == ([], 0)
