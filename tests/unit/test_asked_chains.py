"""Which certificates of a chain authorities are asked about: looked at once a run, whatever bytes the chain has."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from scanner.evidence import (
    Attempt,
    Deployment,
    FailureReason,
    Protocol,
    RevocationAnswer,
    RevocationFailure,
    TargetEvidence,
    TlsEvidence,
)
from scanner.probe.authority import chains
from scanner.probe.authority.chains import chain_of, leaf_and_issuer
from scanner.probe.authority.revocation import Asker
from scanner.probe.authority.stage import AuthorityStage
from scanner.probe.x509.browser_stores import trusted_by
from scanner.probe.x509.chains import deployment_of
from scanner.probe.x509.ct_logs import load_logs
from scanner.probe.x509.trust import MOZILLA, load_store, roots_above
from tests.build.authority import Signed, certificate, der, name, pem

ROOT = certificate("Root", ca=True)
MIDDLE = certificate("Issuer", ROOT, ca=True, lists=["http://pki.example/root"])


def leaf(number: int = 0) -> Signed:
    return certificate(f"h{number}.example", MIDDLE, dns=[f"h{number}.example"], lists=["http://pki.example/issuer"])


def deployed(sent: list[bytes], store: str = MOZILLA) -> Deployment:
    found = deployment_of(sent, [store], with_sni=True, protocol=Protocol.TLS1_3)
    assert isinstance(found, Deployment)
    return found


def with_issuer(found: bytes, text: bytes) -> bytes:
    """The certificate with other bytes in its issuer's name, which has as many letters."""
    at = found.index(b"Issuer")
    return found[:at] + text + found[at + len(text) :]


class NobodyAsked(Asker):
    """Finds every source unreachable, without a request."""

    def __init__(self) -> None:
        self.asked: list[chains.Named] = []

    async def about(self, named: chains.Named) -> tuple[RevocationAnswer, ...]:
        self.asked.append(named)
        return named.failed(RevocationFailure.UNREACHABLE, "")


def completed(*sent: list[bytes], asker: Asker | None = None) -> list[Deployment]:
    """What the stage of a run makes of chains."""
    seen = [
        TargetEvidence(
            datetime.now(UTC), 1.0, 1, tls=Attempt.ok(TlsEvidence(certificates=Attempt.ok((deployed(one),))))
        )
        for one in sent
    ]

    async def run() -> list[TargetEvidence]:
        stage = AuthorityStage(load_logs(), asker=asker or NobodyAsked())
        for item in seen:
            stage.look_at(item)
        await stage.finish(60)
        return [stage.completed(item) for item in seen]

    return [
        deployment
        for item in asyncio.run(run())
        for deployment in (item.tls.value.certificates.value if item.tls.value else None) or ()
    ]


def test_an_issuer_is_looked_at_once_for_all_its_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own signature is verified for the first of them alone, and it is asked about once."""
    checked: list[str] = []
    real = chains.issued_by

    def counted(one: x509.Certificate, issuer: x509.Certificate) -> bool:
        checked.append(one.subject.rfc4514_string())
        return real(one, issuer)

    monkeypatch.setattr(chains, "issued_by", counted)
    asker = NobodyAsked()
    found = completed(
        *([der(item.certificate) for item in (leaf(number), MIDDLE, ROOT)] for number in range(5)), asker=asker
    )
    assert checked.count("CN=Issuer") == 1
    assert len(asker.asked) == 6
    assert all(len(item.revocation.value or ()) == 2 for item in found)


def test_roots_of_one_name_are_all_found(tmp_path: Path) -> None:
    roots = [certificate(text, ca=True) for text in ("Root", "Other", "Root")]
    (tmp_path / "roots.pem").write_bytes(b"".join(pem(item.certificate) for item in roots))
    store = load_store(str(tmp_path / "roots.pem"))
    assert roots_above(MIDDLE.certificate, store) == (roots[0].certificate, roots[2].certificate)
    assert roots_above(certificate("a", leaf()).certificate, store) == ()


def test_a_root_of_the_same_name_in_another_encoding_is_found(tmp_path: Path) -> None:
    """RFC 5280 section 7.1: names are compared by what they say, not by how that is encoded."""
    printable_string = x509.Name(
        [x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root", x509.name._ASN1Type.PrintableString)]
    )
    assert der_name(printable_string) != der_name(name("Root"))
    (tmp_path / "root.pem").write_bytes(pem(ROOT.certificate))
    below = der(MIDDLE.certificate).replace(der_name(name("Root")), der_name(printable_string))
    found = roots_above(x509.load_der_x509_certificate(below), load_store(str(tmp_path / "root.pem")))
    assert found == (ROOT.certificate,)


def der_name(item: x509.Name) -> bytes:
    return item.public_bytes()


@pytest.mark.parametrize("text", [b"\xff\xfesuer", b"Iss\x80er", b"\xed\xa0\x80uer"], ids=["bom", "bare", "surrogate"])
@pytest.mark.parametrize("place", [0, 1], ids=["leaf", "intermediate"])
def test_an_issuer_whose_name_cannot_be_read_does_not_end_a_run(text: bytes, place: int) -> None:
    own, middle = der(leaf().certificate), der(MIDDLE.certificate)
    sent = [with_issuer(own, text), middle] if place == 0 else [own, middle.replace(b"Root", text[:4])]
    asker = NobodyAsked()
    broken, whole = completed(sent, [own, middle], asker=asker)
    assert all(item.revocation.value for item in (broken, whole))
    signers = {named.fingerprint: named.signers for named in asker.asked}
    assert signers[broken.chain[place].fingerprint] == ()
    assert signers[whole.leaf.fingerprint] == (MIDDLE.certificate,)


@pytest.mark.parametrize("kind", [0, 7, 29, 55])
def test_an_issuer_whose_name_is_of_no_known_type_does_not_end_a_run(kind: int) -> None:
    own, middle = der(leaf().certificate), der(MIDDLE.certificate)
    at = own.index(b"Issuer") - 2  # the type of the text, and then its length
    odd = own[:at] + bytes([kind]) + own[at + 1 :]
    with pytest.raises((KeyError, ValueError)):
        _ = x509.load_der_x509_certificate(odd).issuer
    broken, whole = completed([odd, middle], [own, middle])
    assert all(item.revocation.value for item in (broken, whole))


def test_what_no_library_was_expected_to_raise_does_not_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bool:
        raise RecursionError("too deep")

    monkeypatch.setattr(chains, "issued_by", broken)
    (found,) = completed([der(leaf(7).certificate), der(certificate("Issuer", ROOT, ca=True).certificate)])
    failure = found.revocation.failure
    assert failure is not None
    assert failure.reason is FailureReason.MALFORMED
    assert "too deep" in failure.detail


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_no_damage_to_a_chain_raises(changes: list[tuple[int, int, int]]) -> None:
    sent = [bytearray(der(leaf().certificate)), bytearray(der(MIDDLE.certificate))]
    for which, at, value in changes:
        sent[which][at % len(sent[which])] = value
    found = deployment_of([bytes(item) for item in sent], [MOZILLA], with_sni=True, protocol=Protocol.TLS1_3)
    if isinstance(found, Deployment):
        assert len(chain_of(found)) <= 2
        leaf_and_issuer(found)
        assert len(trusted_by(found.chain)) == 6


def test_lists_that_are_not_asked_for_are_told_with_the_reason() -> None:
    """One that is whole is enough; where none answers, a reader wants to know that there were others."""
    urls = [f"http://pki.example/{number}" for number in range(6)]
    own = certificate("many.example", MIDDLE, dns=["many.example"], lists=[*urls, "ldap://directory.example/list"])
    asker = NobodyAsked()
    completed([der(item.certificate) for item in (own, MIDDLE, ROOT)], asker=asker)
    (named,) = [item for item in asker.asked if "many" in str(item.certificate)]
    assert list(named.lists) == urls[:4]
    assert [place for place, _ in named.unread] == [*urls[4:], "ldap://directory.example/list"]
    assert {why for _, why in named.unread} == {
        "not asked: 4 lists of a certificate are, of those with http:// addresses"
    }
