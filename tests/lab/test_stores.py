"""The lists of roots side by side: the package's own, and one of its form with roots of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from scanner.evidence import Deployment, Protocol
from scanner.probe.x509 import browser_stores as module
from scanner.probe.x509.browser_stores import browser_stores, read_stores, trusted_by
from scanner.probe.x509.chains import deployment_of
from tests.build.authority import START, Signed, certificate, der, pem


def chain(root: Signed, tmp_path: Path, **changes: Any) -> Deployment:
    (tmp_path / "root.pem").write_bytes(pem(root.certificate))
    leaf = certificate("www", root, **{"dns": ["www.example.com"], **changes})
    found = deployment_of(
        [der(leaf.certificate)], [str(tmp_path / "root.pem")], with_sni=True, protocol=Protocol.TLS1_3
    )
    assert isinstance(found, Deployment)
    return found


def entry(root: Signed, **holders: list[dict[str, Any]]) -> dict[str, Any]:
    lines = pem(root.certificate).decode().strip().splitlines()
    return {
        "certificate": lines,
        "trust_stores": [{"owner": name, "constraints": value} for name, value in holders.items()],
    }


def test_the_lists_that_ship() -> None:
    sizes = {item.store.name: len(item.store.roots) for item in browser_stores()}
    assert set(sizes) == {"mozilla", "chrome", "apple", "microsoft", "android", "java"}
    assert all(size > 90 for size in sizes.values()), sizes
    conditions = {
        root.subject.rfc4514_string(): item.conditions[fingerprint]
        for item in browser_stores()
        for root in item.store.roots
        if (fingerprint := module.fingerprint_of(root)) in item.conditions
    }
    izenpe = next(value for name, value in conditions.items() if "Izenpe" in name)
    tubitak = next(value for name, value in conditions.items() if "TUBITAK" in name)
    assert izenpe.until is not None
    assert izenpe.until.date().isoformat() == "2026-04-15"
    assert tubitak.domains == ("*.tr",)


def test_every_root_that_ships_leads_to_itself() -> None:
    """A root stands for a chain that leads to it: each list knows its own, by the same look-up as a leaf's."""
    from scanner.probe.x509.chains import read_certificate

    for item in browser_stores():
        read = read_certificate(item.store.roots[0].public_bytes(Encoding.DER)).value
        assert read is not None
        found = {answer.store: answer.trusted for answer in trusted_by((read,))}
        assert found[item.store.name]


def test_lists_differ_and_conditions_bind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere, dropped, dated, confined = (
        certificate(f"Root {number}", ca=True, days=(-400, 3000)) for number in range(4)
    )
    after = [{"action": "DISTRUST", "domains": [], "date": f"{START:%Y-%m-%d}T00:00:00"}]
    only = [{"action": "DISTRUST", "domains": ["*.tr"]}]
    document = {
        "a": entry(everywhere, MOZILLA=[], GOOGLE=[], APPLE=[], OPENJDK=[]),
        "b": entry(dropped, APPLE=[], MICROSOFT=[]),
        "c": entry(dated, MOZILLA=after, GOOGLE=[]),
        "d": entry(confined, MOZILLA=only),
        "e": {"certificate": ["garbage"], "trust_stores": [{"owner": "APPLE"}]},
    }
    stores = read_stores(document)
    monkeypatch.setattr(module, "browser_stores", lambda: stores)

    def by(found: Deployment) -> set[str]:
        return {item.store for item in trusted_by(found.chain) if item.trusted}

    assert by(chain(everywhere, tmp_path)) == {"mozilla", "chrome", "apple", "java"}
    assert by(chain(dropped, tmp_path)) == {"apple", "microsoft"}
    assert by(chain(dated, tmp_path, days=(-300, 20))) == {"mozilla", "chrome"}
    assert by(chain(dated, tmp_path, days=(1, 20))) == {"chrome"}
    assert by(chain(confined, tmp_path, dns=["www.gov.tr"])) == {"mozilla"}
    assert by(chain(confined, tmp_path, dns=["www.gov.tr", "www.example.com"])) == set()
    assert by(chain(certificate("OtherService", ca=True), tmp_path)) == set()
    refused = [item for item in trusted_by(chain(confined, tmp_path).chain) if item.condition]
    assert [(item.store, item.condition) for item in refused] == [("mozilla", "only names under .tr are trusted")]
    assert isinstance(stores[0].store.roots[0], x509.Certificate)
