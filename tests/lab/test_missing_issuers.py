"""Intermediates that are not sent, fetched from where certificates say that they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from scanner.evidence import Deployment, Protocol
from scanner.grade import grade
from scanner.inventory import Role
from scanner.probe import ProbeSettings
from scanner.probe.x509.chains import deployment_of
from tests.build.authority import Signed, Site, certificate, der, pem, published, revocation_list
from tests.lab.test_revocation import SETTINGS, all_asked, asked, verdicts


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with published() as running:
        yield running


@dataclasses.dataclass
class Chain:
    """Root, two intermediates, and a leaf, each of which names where its issuer is."""

    site: Site
    store: Path
    root: Signed
    upper: Signed
    lower: Signed
    leaf: Signed

    def sent(self, *others: Signed) -> Deployment:
        found = deployment_of(
            [der(item.certificate) for item in (self.leaf, *others)],
            [str(self.store)],
            with_sni=True,
            protocol=Protocol.TLS1_3,
        )
        assert isinstance(found, Deployment)
        return found


@pytest.fixture
def chain(site: Site, tmp_path: Path) -> Chain:
    site.answers.clear()
    root = certificate("Root", ca=True, days=(-100, 3000))
    upper = certificate("Upper", root, ca=True, days=(-90, 1000), lists=[f"{site.base}/upper.crl"])
    lower = certificate("Lower", upper, ca=True, days=(-90, 1000), issuers=[f"{site.base}/upper"])
    leaf = certificate(
        "www", lower, dns=["www.example.com"], issuers=[f"{site.base}/lower"], lists=[f"{site.base}/leaf.crl"]
    )
    (tmp_path / "root.pem").write_bytes(pem(root.certificate))
    site.answers |= {
        "upper": der(upper.certificate),
        "lower": der(lower.certificate),
        "leaf.crl": revocation_list(lower),
        "upper.crl": revocation_list(root),
    }
    return Chain(site, tmp_path / "root.pem", root, upper, lower, leaf)


def test_what_is_missing_is_fetched_and_the_rest_is_judged_with_it(chain: Chain) -> None:
    before = chain.sent()
    assert verdicts(before, "cert.trusted") == {"unknown-issuer"}
    found = asked(before)
    assert verdicts(found, "cert.trusted") == {"trusted-completed"}
    assert verdicts(found, "cert.chain-complete") == {"missing-fetched"}
    assert verdicts(found, "cert.revocation") == {"good"}
    assert [item.certificate for item in found.revocation.value or ()] == [
        chain.sent().leaf.fingerprint,
        found.browser_chain[2].fingerprint,
    ]
    assert found.chain == before.chain, "what was fetched does not count as sent"


def test_one_that_is_sent_is_not_fetched(chain: Chain) -> None:
    chain.site.asked.clear()
    found = asked(chain.sent(chain.lower))
    assert verdicts(found, "cert.trusted") == {"trusted-completed"}
    assert [path for _, path in chain.site.asked if not path.endswith(".crl")] == ["upper"]


def test_a_whole_chain_costs_no_request(chain: Chain) -> None:
    chain.site.asked.clear()
    found = asked(chain.sent(chain.lower, chain.upper))
    assert found.completion is None
    assert verdicts(found, "cert.trusted") == {"trusted"}
    assert verdicts(found, "cert.chain-complete") == {"complete"}
    assert {path for _, path in chain.site.asked} <= {"leaf.crl", "upper.crl"}


def test_a_chain_is_not_climbed_without_end_and_the_verdict_says_so(chain: Chain) -> None:
    above = chain.root
    for number in range(5):
        above = certificate(
            f"Level {number}", above, ca=True, days=(-9, 900), issuers=[f"{chain.site.base}/{number - 1}"]
        )
        chain.site.answers[str(number)] = der(above.certificate)
    chain.leaf = certificate("www", above, dns=["www.example.com"], issuers=[f"{chain.site.base}/4"])
    found = asked(chain.sent())
    assert verdicts(found, "cert.chain-complete") == {"missing"}
    assert found.completion is not None
    assert "no more than 4 are fetched" in found.completion.detail


FORMS: dict[str, Callable[[Chain], Any]] = {
    "pem": lambda c: pem(c.lower.certificate),
    "pkcs7": lambda c: pkcs7.serialize_certificates([c.root.certificate, c.lower.certificate], Encoding.DER),
    "pkcs7-pem": lambda c: pkcs7.serialize_certificates([c.lower.certificate], Encoding.PEM),
    "among-others": lambda c: pem(c.root.certificate) + pem(c.lower.certificate),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_which_authorities_publish(chain: Chain, form: str) -> None:
    chain.site.answers["lower"] = FORMS[form](chain)
    assert verdicts(asked(chain.sent()), "cert.trusted") == {"trusted-completed"}


WRONG: dict[str, Callable[[Chain], Any]] = {
    "another key": lambda c: der(certificate("Lower", c.upper, ca=True).certificate),
    "not an authority": lambda c: der(certificate("Lower", c.upper, own_key=c.lower.key).certificate),
    "garbage": lambda _: b"<html>",
    "nothing": lambda _: b"",
    "gone": lambda _: 404,
    "huge": lambda _: b"\x30" * 70_000,
}


@pytest.mark.parametrize("form", WRONG)
def test_what_did_not_sign_the_leaf_changes_nothing(chain: Chain, form: str) -> None:
    chain.site.answers["lower"] = WRONG[form](chain)
    found = asked(chain.sent())
    assert verdicts(found, "cert.trusted") == {"unknown-issuer"}
    assert verdicts(found, "cert.chain-complete") == {"missing"}
    assert found.completion is not None
    assert found.completion.detail


def test_private_addresses_are_not_fetched_from(chain: Chain) -> None:
    chain.site.asked.clear()
    found = asked(chain.sent(), settings=dataclasses.replace(SETTINGS, fetch_from=()))
    assert verdicts(found, "cert.trusted") == {"unknown-issuer"}
    assert found.completion is not None
    assert found.completion.failure == "refused-by-gate"
    assert chain.site.asked == []


def test_switched_off_nothing_is_fetched(chain: Chain) -> None:
    chain.site.asked.clear()
    found = asked(chain.sent(), settings=ProbeSettings(online=False))
    assert (found.completion, chain.site.asked) == (None, [])


def test_endless_chains_end(site: Site, tmp_path: Path) -> None:
    """Each certificate names another issuer of its own: four are fetched."""
    root = certificate("Far", ca=True)
    above = root
    for number in range(9, 0, -1):
        above = certificate(f"I{number}", above, ca=True, issuers=[f"{site.base}/i{number + 1}"])
        site.answers[f"i{number}"] = der(above.certificate)
    leaf = certificate("www", above, issuers=[f"{site.base}/i1"])
    (tmp_path / "root.pem").write_bytes(pem(root.certificate))
    site.asked.clear()
    asked(Chain(site, tmp_path / "root.pem", root, root, root, leaf).sent())
    assert len(site.asked) == 4


def test_each_issuer_is_fetched_once_a_run(chain: Chain) -> None:
    others = [certificate(f"www{number}", chain.lower, issuers=[f"{chain.site.base}/lower"]) for number in range(10)]
    chain.site.asked.clear()
    found = all_asked([dataclasses.replace(chain, leaf=item).sent() for item in others])
    assert all(verdicts(item, "cert.trusted") == {"trusted-completed"} for item in found)
    assert len(chain.site.asked) == 2 + 1  # two certificates, and the list that the upper one names


def test_the_path_that_holds_longest_is_found(tmp_path: Path) -> None:
    root = certificate("Root", ca=True, days=(-100, 3000))
    old = certificate("Middle", root, ca=True, days=(-90, 10))
    new = certificate("Middle", root, ca=True, days=(-9, 900), own_key=old.key)
    leaf = certificate("www", old, dns=["www.example.com"])
    (tmp_path / "root.pem").write_bytes(pem(root.certificate))
    chain = Chain(Site(""), tmp_path / "root.pem", root, old, new, leaf)
    assert verdicts(chain.sent(old), "cert.chain-expiry") == {"ends-before"}
    for others in ((old, new), (new, old)):
        found = chain.sent(*others)
        assert verdicts(found, "cert.chain-expiry") == {"leaf-ends-first"}


def test_a_chain_that_browsers_mend_is_graded_b_and_not_t(chain: Chain) -> None:
    from scanner.evidence import Attempt, TargetEvidence
    from tests.build.authority import START
    from tests.build.facts import http, tls

    def graded(deployment: Deployment) -> str | None:
        evidence = TargetEvidence(START, 1.0, 1, tls=Attempt.ok(tls(deployment)), http=Attempt.ok(http()))
        return grade(evidence, "www.example.com", 443, Role.APPLICATION, START).letter

    assert graded(chain.sent()) == "T"
    assert graded(asked(chain.sent())) == "B"
