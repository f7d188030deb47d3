"""Revocation, live: lists and responders on loopback, asked by the stage of a run, judged by the rule."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from scanner.evidence import Attempt, Deployment, Protocol, RevocationAnswer, TargetEvidence, from_json, to_json
from scanner.probe import ProbeSettings
from scanner.probe.authority import fetching, stage
from scanner.probe.authority.stage import opened
from scanner.probe.x509.chains import deployment_of
from scanner.rules import get_rule
from tests.build.authority import (
    DAY,
    DELEGATE,
    NO_CHECK,
    START,
    Signed,
    Site,
    certificate,
    der,
    distribution,
    key,
    name,
    pem,
    published,
    response,
    revocation_list,
    unsuccessful,
)
from tests.build.facts import World, facts, tls
from tests.build.servers import program

LOOPBACK = ("127.0.0.0/8",)
S, R, F = ocsp.OCSPCertStatus, ocsp.OCSPResponseStatus, x509.ReasonFlags


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with published() as running:
        yield running


@dataclass
class Authority:
    """A root that clients trust, an intermediate, and where their lists and responders are."""

    site: Site
    store: Path
    root: Signed
    middle: Signed
    others: dict[str, Signed] = field(default_factory=dict)

    def leaf(self, **changes: Any) -> Signed:
        return certificate("www.example.com", self.middle, dns=["www.example.com"], **changes)

    def deployment(self, *chain: Signed) -> Deployment:
        sent = [der(item.certificate) for item in chain]
        found = deployment_of(sent, [str(self.store)], with_sni=True, protocol=Protocol.TLS1_3)
        assert isinstance(found, Deployment)
        return found

    def url(self, path: str) -> str:
        return f"{self.site.base}/{path}"


@pytest.fixture(scope="module")
def authority(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    root = certificate("Root", ca=True, days=(-100, 3000))
    middle = certificate("Middle", root, ca=True, days=(-90, 1000))
    store = tmp_path_factory.mktemp("store") / "root.pem"
    store.write_bytes(pem(root.certificate))
    return Authority(site, store, root, middle)


SETTINGS = ProbeSettings(timeout_s=20.0, deadline_s=120.0, fetch_from=LOOPBACK)
IMPATIENT = dataclasses.replace(SETTINGS, timeout_s=0.5)
"""For what never ends."""


def asked(deployment: Deployment, folder: Path | None = None, settings: ProbeSettings = SETTINGS) -> Deployment:
    """The deployment with what the stage found."""
    return all_asked([deployment], folder, settings)[0]


def all_asked(
    deployments: list[Deployment], folder: Path | None = None, settings: ProbeSettings = SETTINGS
) -> list[Deployment]:
    evidence = [TargetEvidence(START, 1.0, 1, tls=Attempt.ok(tls(item))) for item in deployments]

    async def run() -> list[TargetEvidence]:
        async with opened(settings, folder) as stage:
            for item in evidence:
                # As evidence comes from workers: read again.
                stage.look_at(from_json(to_json(item)))
            await stage.finish(settings.deadline_s)
            return [stage.completed(item) for item in evidence]

    completed = asyncio.run(run())
    return [item.tls.value.certificates.value[0] for item in completed]  # type: ignore[union-attr, index]


def verdicts(deployment: Deployment, rule: str = "cert.revocation") -> set[str]:
    """The reasons that the rule gives, judged from what a history would hold."""
    world = World(tls=tls(deployment), now=datetime.now(UTC))
    checked = get_rule(rule)
    return {finding.reason for finding in checked.check(facts(world), checked.parameters())}


def answers(deployment: Deployment) -> tuple[RevocationAnswer, ...]:
    assert deployment.revocation.value is not None
    return deployment.revocation.value


# Each case publishes something at a path that the leaf names, and says what the rule must make of it.
Publish = Callable[[Authority, Signed], Any]
LISTS: dict[str, tuple[Publish, str]] = {
    "good": (lambda a, _: revocation_list(a.middle, revoked=[(99, None)]), "good"),
    "empty": (lambda a, _: revocation_list(a.middle), "good"),
    "pem": (lambda a, _: pem(x509.load_der_x509_crl(revocation_list(a.middle))), "good"),
    "revoked": (lambda a, x: revocation_list(a.middle, revoked=[(5, None), (x.certificate.serial_number, F.key_compromise), (7, None)]), "revoked"),
    "revoked-stale": (lambda a, x: revocation_list(a.middle, revoked=[(x.certificate.serial_number, None)], since=START - 20 * DAY, until=START - DAY), "revoked"),
    "hold": (lambda a, x: revocation_list(a.middle, revoked=[(x.certificate.serial_number, F.certificate_hold)]), "revoked"),
    "hold-stale": (lambda a, x: revocation_list(a.middle, revoked=[(x.certificate.serial_number, F.certificate_hold)], since=START - 20 * DAY, until=START - DAY), "stale"),
    "stale": (lambda a, _: revocation_list(a.middle, since=START - 20 * DAY, until=START - DAY), "stale"),
    "future": (lambda a, _: revocation_list(a.middle, since=START + DAY, until=START + 2 * DAY), "stale"),
    "stranger": (lambda a, _: revocation_list(a.middle, signer=key()), "not-signed"),
    "other-issuer": (lambda a, _: revocation_list(a.root), "other-scope"),
    "shard": (lambda a, _: revocation_list(a.middle, more=[distribution(a.url("l-shard"), users=True)]), "good"),
    "other-shard": (lambda a, _: revocation_list(a.middle, more=[distribution("http://elsewhere.example/2")]), "other-scope"),
    "only-authorities": (lambda a, _: revocation_list(a.middle, more=[distribution(cas=True)]), "other-scope"),
    "indirect": (lambda a, _: revocation_list(a.middle, more=[distribution(indirect=True)]), "other-scope"),
    "some-reasons": (lambda a, _: revocation_list(a.middle, more=[distribution(reasons=frozenset([F.key_compromise]))]), "other-scope"),
    "delta": (lambda a, _: revocation_list(a.middle, more=[(x509.DeltaCRLIndicator(3), True)]), "other-scope"),
    "critical": (lambda a, _: revocation_list(a.middle, more=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]), "malformed"),
    "removed": (lambda a, x: revocation_list(a.middle, revoked=[(x.certificate.serial_number, F.remove_from_crl)]), "malformed"),
    "entry-of-another-issuer": (lambda a, x: revocation_list(a.middle, revoked=[(x.certificate.serial_number, None)], entry_more=[(x509.CertificateIssuer([x509.DirectoryName(a.root.certificate.subject)]), True)]), "other-scope"),
    "gone": (lambda _a, _x: None, "unreachable"),
    "error": (lambda _a, _x: 503, "unreachable"),
    "cut": (lambda a, _: revocation_list(a.middle)[:-9], "malformed"),
    "longer": (lambda a, _: revocation_list(a.middle) + b"\x00", "malformed"),
    "garbage": (lambda _a, _x: b"<html>captive portal</html>", "malformed"),
    "nothing": (lambda _a, _x: b"", "malformed"),
    "broken-off": (lambda _a, _x: _broken_off, "unreachable"),
    "drip": (lambda _a, _x: _drip, "unreachable"),
    "redirect": (lambda a, _: _redirect(a.url("l-good")), "good"),
    "redirect-to-metadata": (lambda _a, _x: _redirect("http://169.254.169.254/latest"), "refused-by-gate"),
    "redirect-to-file": (lambda _a, _x: _redirect("file:///etc/passwd"), "refused-by-gate"),
    "redirect-in-circles": (lambda a, _: _redirect(a.url("l-redirect-in-circles")), "unreachable"),
    "coded": (lambda _a, _x: _coded, "malformed"),
}  # fmt: skip
RESPONSES: dict[str, tuple[Publish, str]] = {
    "good": (lambda a, x: response(x, a.middle), "good"),
    "sha256": (lambda a, x: response(x, a.middle, digest=hashes.SHA256()), "good"),
    "revoked": (lambda a, x: response(x, a.middle, S.REVOKED), "revoked"),
    "revoked-stale": (lambda a, x: response(x, a.middle, S.REVOKED, since=START - 9 * DAY, until=START - 2 * DAY), "revoked"),
    "unknown": (lambda a, x: response(x, a.middle, S.UNKNOWN), "unknown"),
    "stale": (lambda a, x: response(x, a.middle, since=START - 9 * DAY, until=START - 2 * DAY), "stale"),
    "no-end": (lambda a, x: response(x, a.middle, until=None), "stale"),
    "future": (lambda a, x: response(x, a.middle, since=START + DAY), "stale"),
    "try-later": (lambda _a, _x: unsuccessful(R.TRY_LATER), "try-later"),
    "unauthorized": (lambda _a, _x: unsuccessful(R.UNAUTHORIZED), "responder-error"),
    "internal-error": (lambda _a, _x: unsuccessful(R.INTERNAL_ERROR), "responder-error"),
    "delegated": (lambda a, x: response(x, a.middle, signer=_delegate(a, DELEGATE, NO_CHECK)), "good"),
    "delegated-without-nocheck": (lambda a, x: response(x, a.middle, signer=_delegate(a, DELEGATE)), "good"),
    "delegated-revoked": (lambda a, x: response(x, a.middle, S.REVOKED, signer=_delegate(a, DELEGATE, NO_CHECK)), "revoked"),
    "delegated-not-sent": (lambda a, x: response(x, a.middle, signer=_delegate(a, DELEGATE), with_signer=False), "not-signed"),
    "delegated-without-right": (lambda a, x: response(x, a.middle, signer=_delegate(a, [ExtendedKeyUsageOID.SERVER_AUTH])), "not-signed"),
    "delegated-by-the-root": (lambda a, x: response(x, a.middle, signer=certificate("r", a.root, usages=DELEGATE)), "not-signed"),
    "delegated-expired": (lambda a, x: response(x, a.middle, signer=_delegate(a, DELEGATE, days=(-30, -2))), "not-signed"),
    "by-itself": (lambda a, x: response(x, a.middle, signer=x), "not-signed"),
    "stranger": (lambda a, x: response(x, a.middle, signer=certificate("Middle", ca=True)), "not-signed"),
    "other-serial": (lambda a, _: response(a.leaf(), a.middle), "other-scope"),
    "garbage": (lambda _a, _x: b"<html>", "malformed"),
    "huge": (lambda _a, _x: b"\x30" * 100_000, "too-large"),
    "gone": (lambda _a, _x: 500, "unreachable"),
}  # fmt: skip


def _delegate(a: Authority, usages: Any, more: Any = (), **changes: Any) -> Signed:
    return certificate("Responder", a.middle, usages=usages, more=more, **changes)


def _broken_off(handler: Any, _body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b"\x30" * 100)


def _drip(handler: Any, _body: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(60):
            handler.wfile.write(b"\x30")
            time.sleep(0.1)


def _redirect(to: str) -> Callable[[Any, bytes], None]:
    def answer(handler: Any, _body: bytes) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def _coded(handler: Any, _body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", "4")
    handler.end_headers()
    handler.wfile.write(b"\x1f\x8b\x08\x00")


@pytest.mark.parametrize("name", LISTS)
def test_a_list(authority: Authority, name: str) -> None:
    publish, reason = LISTS[name]
    leaf = authority.leaf(lists=[authority.url(f"l-{name}")])
    authority.site.answers[f"l-{name}"] = publish(authority, leaf)
    if name == "redirect":
        authority.site.answers["l-good"] = revocation_list(authority.middle)
    settings = IMPATIENT if name == "drip" else SETTINGS
    found = asked(authority.deployment(leaf, authority.middle), settings=settings)
    assert verdicts(found) == {reason}, answers(found)
    again = from_json(to_json(TargetEvidence(START, 1.0, 1, tls=Attempt.ok(tls(found)))))
    assert again.tls.value is not None
    assert again.tls.value.certificates.value == (found,)


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response(authority: Authority, name: str) -> None:
    publish, reason = RESPONSES[name]
    leaf = authority.leaf(responders=[authority.url(f"o-{name}")])
    authority.site.answers[f"o-{name}"] = publish(authority, leaf)
    found = asked(authority.deployment(leaf, authority.middle))
    assert verdicts(found) == {reason}, answers(found)


def test_the_reason_and_the_time_of_a_revocation_are_told_and_the_answer_has_a_digest(authority: Authority) -> None:
    leaf = authority.leaf(lists=[authority.url("told")])
    authority.site.answers["told"] = revocation_list(
        authority.middle, revoked=[(leaf.certificate.serial_number, F.superseded)]
    )
    (answer,) = answers(asked(authority.deployment(leaf, authority.middle)))
    assert (answer.reason, answer.revoked_at) == ("superseded", START - 2 * DAY)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(authority.site.answers["told"])  # type: ignore[arg-type]
    assert answer.digest == digest.finalize().hex()
    assert (answer.this_update, answer.next_update) == (START - DAY, START + 6 * DAY)


@pytest.mark.parametrize("serial", [1, 0x7F, 0x80, 0xFF, 0x0201, 2**63, 2**159 - 1])
def test_serial_numbers_of_every_length_are_found_and_their_neighbours_are_not(
    authority: Authority, serial: int
) -> None:
    leaf, other = (
        authority.leaf(serial=serial, lists=[authority.url("serials")]),
        authority.leaf(serial=serial - 1 or 2, lists=[authority.url("serials")]),
    )
    revoked = [(1000 + number, F.key_compromise) for number in range(200)]
    authority.site.answers["serials"] = revocation_list(authority.middle, revoked=[*revoked, (serial, None)])
    found = all_asked([authority.deployment(item, authority.middle) for item in (leaf, other)])
    assert [verdicts(item) for item in found] == [{"revoked"}, {"good"}]


def test_a_revoked_intermediate_takes_its_leaves_with_it(authority: Authority) -> None:
    middle = certificate("Second", authority.root, ca=True, lists=[authority.url("roots")])
    leaf = certificate("www", middle, dns=["www.example.com"], lists=[authority.url("seconds")])
    authority.site.answers["seconds"] = revocation_list(middle)
    authority.site.answers["roots"] = revocation_list(
        authority.root, revoked=[(middle.certificate.serial_number, F.ca_compromise)]
    )
    assert verdicts(asked(authority.deployment(leaf, middle))) == {"intermediate-revoked"}
    authority.site.answers["roots"] = revocation_list(authority.root)
    assert verdicts(asked(authority.deployment(leaf, middle))) == {"good"}
    authority.site.answers["roots"] = 404
    assert verdicts(asked(authority.deployment(leaf, middle))) == {"good", "unreachable"}


def test_an_issuer_that_may_not_sign_lists_signs_none(authority: Authority) -> None:
    middle = certificate("Mute", authority.root, ca=True, crl_sign=False)
    leaf = certificate("www", middle, lists=[authority.url("mute")])
    authority.site.answers["mute"] = revocation_list(middle)
    assert verdicts(asked(authority.deployment(leaf, middle))) == {"not-signed"}


def test_a_list_signed_with_the_roots_key_before_its_change_counts(site: Site, tmp_path: Path) -> None:
    old, new = (certificate("Rolled", ca=True, days=(-10, 900)) for _ in range(2))
    store = tmp_path / "both.pem"
    store.write_bytes(pem(old.certificate) + pem(new.certificate))
    rolled = Authority(site, store, new, new)
    leaf = rolled.leaf(lists=[rolled.url("rolled")])
    site.answers["rolled"] = revocation_list(old, revoked=[(leaf.certificate.serial_number, None)])
    assert verdicts(asked(rolled.deployment(leaf))) == {"revoked"}
    # A stranger of that name, whose certificate a server sends along, has no say.
    stranger = certificate("Rolled", ca=True)
    site.answers["rolled"] = revocation_list(stranger)
    assert verdicts(asked(rolled.deployment(leaf, stranger))) == {"not-signed"}


@pytest.mark.parametrize("pss", [False, True])
def test_rsa_keys_sign_lists_and_responses(site: Site, tmp_path: Path, pss: bool) -> None:  # noqa: FBT001  # a parameter of the test
    own = rsa.generate_private_key(65537, 2048)
    used = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else None
    root = certificate("RSA", ca=True, own_key=own)
    store = tmp_path / "root.pem"
    store.write_bytes(pem(root.certificate))
    own_site = Authority(site, store, root, root)
    leaf = own_site.leaf(lists=[own_site.url("rsa")])
    site.answers["rsa"] = revocation_list(root, padding=used)
    assert verdicts(asked(own_site.deployment(leaf))) == {"good"}


def test_the_list_comes_first_and_the_responder_is_asked_where_it_does_not_decide(authority: Authority) -> None:
    leaf = authority.leaf(lists=[authority.url("first")], responders=[authority.url("then")])
    authority.site.answers |= {"first": revocation_list(authority.middle), "then": response(leaf, authority.middle)}
    authority.site.asked.clear()
    assert verdicts(asked(authority.deployment(leaf, authority.middle))) == {"good"}
    assert authority.site.asked == [("GET", "first")]
    authority.site.answers["first"] = 404
    found = asked(authority.deployment(leaf, authority.middle))
    assert verdicts(found) == {"good"}
    assert [answer.source for answer in answers(found)] == ["crl", "ocsp"]


def test_a_responder_without_get_is_asked_by_post_and_that_is_told(authority: Authority) -> None:
    leaf = authority.leaf(responders=[authority.url("post")])

    def answer(handler: Any, body: bytes) -> None:
        good = handler.command == "POST"
        data = response(leaf, authority.middle) if good else b""
        assert ocsp.load_der_ocsp_request(body).serial_number == leaf.certificate.serial_number
        handler.send_response(200 if good else 405)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    authority.site.answers["post"] = answer
    found = asked(authority.deployment(leaf, authority.middle))
    assert verdicts(found) == {"good"}
    assert verdicts(found, "cert.revocation-service") == {"no-get"}


def test_what_the_authority_publishes_is_judged_for_itself(authority: Authority) -> None:
    for path, reason in (
        ("l-stale", "stale"),
        ("l-good", "in-order"),
        ("l-other-shard", "unfit"),
        ("l-critical", "unfit"),
    ):
        leaf = authority.leaf(lists=[authority.url(path)])
        authority.site.answers[path] = LISTS[path[2:]][0](authority, leaf)
        assert verdicts(asked(authority.deployment(leaf, authority.middle)), "cert.revocation-service") == {reason}
    leaf = authority.leaf(responders=[authority.url("bare")])
    authority.site.answers["bare"] = response(leaf, authority.middle, signer=_delegate(authority, DELEGATE))
    found = asked(authority.deployment(leaf, authority.middle))
    assert verdicts(found, "cert.revocation-service") == {"no-nocheck"}


def test_private_addresses_are_not_asked_unless_they_are_named(authority: Authority) -> None:
    leaf = authority.leaf(lists=[authority.url("private")])
    authority.site.answers["private"] = revocation_list(authority.middle)
    authority.site.asked.clear()
    closed = dataclasses.replace(SETTINGS, fetch_from=())
    assert verdicts(asked(authority.deployment(leaf, authority.middle), settings=closed)) == {"refused-by-gate"}
    # A name that leads there is not asked either, whatever connect_to says; fetch_from by name lets it be asked.
    named = authority.leaf(lists=["http://crl.example.com/private"])
    mapped = {"crl.example.com:80": (f"127.0.0.1:{authority.site.port}",)}
    closed = dataclasses.replace(closed, connect_to=mapped)
    assert verdicts(asked(authority.deployment(named, authority.middle), settings=closed)) == {"refused-by-gate"}
    assert authority.site.asked == []
    allowed = dataclasses.replace(closed, fetch_from=("crl.example.com",))
    assert verdicts(asked(authority.deployment(named, authority.middle), settings=allowed)) == {"good"}


@pytest.mark.parametrize(
    "url", ["ldap:///CN=ca?certificateRevocationList", "https://127.0.0.1/x", "file:///etc/passwd"]
)
def test_other_schemes_are_refused(authority: Authority, url: str) -> None:
    leaf = authority.leaf(lists=[url])
    assert verdicts(asked(authority.deployment(leaf, authority.middle))) == {"refused-by-gate"}
    both = authority.leaf(lists=[url, authority.url("beside")])
    authority.site.answers["beside"] = revocation_list(authority.middle)
    assert verdicts(asked(authority.deployment(both, authority.middle))) == {"good"}


def _point(url: str | None, **more: Any) -> x509.DistributionPoint:
    full = [x509.UniformResourceIdentifier(url)] if url else None
    return x509.DistributionPoint(full, **{"relative_name": None, "reasons": None, "crl_issuer": None, **more})


_KEY_COMPROMISE = frozenset([F.key_compromise])
_RELATIVE = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "1")])


@pytest.mark.parametrize(
    ("points", "revoked", "reason"),
    [
        # Lists that are named in ways that are not followed: nobody knows what is in them.
        (lambda u, _m: [_point(u, crl_issuer=[x509.DirectoryName(name("Other"))])], True, "other-scope"),
        (lambda _u, _m: [_point(None, crl_issuer=[x509.DirectoryName(name("Other"))])], True, "other-scope"),
        (lambda _u, _m: [_point(None, relative_name=_RELATIVE)], True, "other-scope"),
        (
            lambda _u, _m: [x509.DistributionPoint([x509.DirectoryName(name("List 1"))], None, None, None)],
            True,
            "other-scope",
        ),
        # A list for some reasons shows a revocation, and not that there is none.
        (lambda u, _m: [_point(u, reasons=_KEY_COMPROMISE)], True, "revoked"),
        (lambda u, _m: [_point(u, reasons=_KEY_COMPROMISE)], False, "other-scope"),
        (lambda u, _m: [_point(u, reasons=_KEY_COMPROMISE), _point(u)], False, "good"),
        # The issuer may name itself, and another list may be one that is followed.
        (lambda u, m: [_point(u, crl_issuer=[x509.DirectoryName(m)])], False, "good"),
        (lambda u, _m: [_point(None, relative_name=_RELATIVE), _point(u)], False, "good"),
        (lambda u, _m: [_point(u + "x", crl_issuer=[x509.DirectoryName(name("Other"))]), _point(u)], True, "revoked"),
    ],
)
def test_a_list_that_is_named_otherwise_is_not_taken_for_none(
    authority: Authority,
    points: Any,
    revoked: bool,  # noqa: FBT001  # a parameter of the test
    reason: str,
) -> None:
    named = x509.CRLDistributionPoints(points(authority.url("odd"), authority.middle.certificate.subject))
    leaf = authority.leaf(more=[(named, False)])
    serials = [(leaf.certificate.serial_number, None)] if revoked else []
    authority.site.answers["odd"] = revocation_list(authority.middle, revoked=serials)
    seen = authority.deployment(leaf, authority.middle)
    assert verdicts(asked(seen)) == {reason}
    assert verdicts(asked(seen, settings=dataclasses.replace(SETTINGS, online=False))) == {"not-asked"}


def test_a_list_may_name_another_of_the_places_that_the_certificate_names(authority: Authority) -> None:
    other = "ldap:///CN=ca?certificateRevocationList"
    leaf = authority.leaf(lists=[other, authority.url("both")])
    authority.site.answers["both"] = revocation_list(authority.middle, more=[distribution(other)])
    assert verdicts(asked(authority.deployment(leaf, authority.middle))) == {"good"}


def test_switched_off_nothing_is_asked_and_the_rule_says_so(authority: Authority) -> None:
    leaf = authority.leaf(lists=[authority.url("off")])
    authority.site.answers["off"] = revocation_list(authority.middle)
    authority.site.asked.clear()
    off = dataclasses.replace(SETTINGS, online=False)
    assert verdicts(asked(authority.deployment(leaf, authority.middle), settings=off)) == {"not-asked"}
    assert authority.site.asked == []


def test_a_chain_that_nobody_signed_costs_no_request(authority: Authority) -> None:
    leaf = authority.leaf(lists=[authority.url("unsigned")])
    authority.site.answers["unsigned"] = revocation_list(authority.middle)
    authority.site.asked.clear()
    assert verdicts(asked(authority.deployment(leaf))) == {"no-issuer"}
    stranger = certificate("Middle", authority.root, ca=True)
    assert verdicts(asked(authority.deployment(leaf, stranger))) == {"no-issuer"}
    assert authority.site.asked == []


def test_each_list_is_asked_for_once_a_run(authority: Authority) -> None:
    url = authority.url("once")
    authority.site.answers["once"] = revocation_list(authority.middle)
    deployments = [authority.deployment(authority.leaf(lists=[url]), authority.middle) for _ in range(40)]
    authority.site.asked.clear()
    assert {frozenset(verdicts(item)) for item in all_asked(deployments)} == {frozenset({"good"})}
    assert authority.site.asked == [("GET", "once")]


def test_a_kept_list_is_asked_for_again_only_when_it_is_due(authority: Authority, tmp_path: Path) -> None:
    site, url = authority.site, authority.url("kept")
    leaf = authority.leaf(lists=[url])
    deployment = authority.deployment(leaf, authority.middle)
    site.answers["kept"], site.etags["kept"] = revocation_list(authority.middle), '"one"'
    site.asked.clear()
    assert not answers(asked(deployment, tmp_path))[0].from_cache
    again = answers(asked(deployment, tmp_path))[0]
    assert (again.from_cache, again.status, site.asked) == (True, "good", [("GET", "kept")])
    # A day later the server is asked whether it has changed, which it has not.
    (kept,) = tmp_path.glob("*.answer")
    os.utime(kept, (time.time() - 90_000,) * 2)
    confirmed = answers(asked(deployment, tmp_path))[0]
    assert site.headers["If-None-Match"] == '"one"'
    assert confirmed.fetched_at is not None
    assert confirmed.fetched_at > datetime.now(UTC) - DAY / 24
    # Where it cannot be asked the old list still holds until it says otherwise.
    os.utime(kept, (time.time() - 90_000,) * 2)
    site.answers["kept"], site.etags = 500, {}
    found = asked(deployment, tmp_path)
    assert verdicts(found) == {"good"}
    assert "no newer one" in answers(found)[0].detail


def test_what_the_issuer_did_not_sign_is_not_kept_and_what_somebody_wrote_there_does_not_count(
    authority: Authority, tmp_path: Path
) -> None:
    leaf = authority.leaf(lists=[authority.url("forged")])
    deployment = authority.deployment(leaf, authority.middle)
    authority.site.answers["forged"] = revocation_list(authority.middle, signer=key())
    assert verdicts(asked(deployment, tmp_path)) == {"not-signed"}
    assert list(tmp_path.iterdir()) == []
    authority.site.answers["forged"] = revocation_list(
        authority.middle, revoked=[(leaf.certificate.serial_number, None)]
    )
    assert verdicts(asked(deployment, tmp_path)) == {"revoked"}
    (kept,) = tmp_path.glob("*.answer")
    data = kept.read_bytes()
    for changed in (data[:-3], data[:-1] + bytes((data[-1] ^ 1,)), b"", b"{}", data[:4096]):
        kept.write_bytes(changed)
        assert verdicts(asked(deployment, tmp_path)) == {"revoked"}
        assert not answers(asked(deployment, tmp_path))[0].failure


def test_responses_are_kept_too(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.leaf(responders=[authority.url("o-kept")])
    authority.site.answers["o-kept"] = response(leaf, authority.middle)
    deployment = authority.deployment(leaf, authority.middle)
    authority.site.asked.clear()
    assert [answers(asked(deployment, tmp_path))[0].from_cache for _ in range(2)] == [False, True]
    assert len(authority.site.asked) == 1


def test_old_files_are_removed_and_others_are_left(tmp_path: Path, authority: Authority) -> None:
    for kept, age in (("a.answer", 31), ("b.answer", 1), ("c.writing", 2), ("notes.txt", 400)):
        (tmp_path / kept).write_bytes(b"x")
        os.utime(tmp_path / kept, (time.time() - age * 86_400,) * 2)
    asked(authority.deployment(authority.leaf(), authority.middle), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"b.answer", "notes.txt"}


def test_a_folder_that_takes_no_file_costs_the_answer_and_not_the_run(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    leaf = authority.leaf(lists=[authority.url("l-good")])
    authority.site.answers["l-good"] = revocation_list(authority.middle)
    assert verdicts(asked(authority.deployment(leaf, authority.middle), tmp_path / "file" / "in")) == {"unreachable"}


def test_the_budget_ends_requests_and_says_so(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "Allowance", lambda: fetching.Allowance(3, 1 << 20))
    deployments = []
    for number in range(6):
        leaf = authority.leaf(lists=[authority.url(f"budget-{number}")])
        authority.site.answers[f"budget-{number}"] = revocation_list(authority.middle)
        deployments.append(authority.deployment(leaf, authority.middle))
    found = [reason for item in all_asked(deployments) for reason in verdicts(item)]
    assert (found.count("good"), found.count("budget")) == (3, 3)
    monkeypatch.setattr(stage, "Allowance", lambda: fetching.Allowance(99, 100))
    assert verdicts(asked(deployments[0])) == {"budget"}


def test_the_time_of_a_run_ends_and_says_so(authority: Authority) -> None:
    leaf = authority.leaf(lists=[authority.url("l-drip")])
    authority.site.answers["l-drip"] = _drip
    settings = dataclasses.replace(SETTINGS, deadline_s=0.4)
    # Waited for, the drops would be a list that is malformed.
    assert verdicts(asked(authority.deployment(leaf, authority.middle), settings=settings)) == {"budget"}


def test_a_host_that_is_silent_is_not_waited_for_again_and_again(authority: Authority) -> None:
    deployments = []
    for number in range(12):
        leaf = authority.leaf(lists=[authority.url(f"drip-{number}")])
        authority.site.answers[f"drip-{number}"] = _drip
        deployments.append(authority.deployment(leaf, authority.middle))
    authority.site.asked.clear()
    assert all(verdicts(item) == {"unreachable"} for item in all_asked(deployments, settings=IMPATIENT))
    # Those that were asked for at once, until two were silent.
    assert 2 <= len(authority.site.asked) <= 8


@pytest.mark.parametrize(("status", "reason"), [("V", "good"), ("R", "revoked"), ("", "unknown")])
def test_openssl_as_responder_of_another_hand(authority: Authority, tmp_path: Path, status: str, reason: str) -> None:
    openssl = program("openssl", "openssl")
    leaf, responder = authority.leaf(responders=[authority.url("openssl")]), _delegate(authority, DELEGATE, NO_CHECK)
    serial = f"{leaf.certificate.serial_number:X}"
    end = f"{START + 90 * DAY:%y%m%d%H%M%SZ}"
    gone = f"{START - DAY:%y%m%d%H%M%SZ},keyCompromise" if status == "R" else ""
    (tmp_path / "index.txt").write_text(
        f"{status}\t{end}\t{gone}\t{'0' * (len(serial) % 2)}{serial}\tunknown\t/CN=leaf\n" if status else ""
    )
    (tmp_path / "ca.pem").write_bytes(pem(authority.middle.certificate))
    (tmp_path / "responder.pem").write_bytes(pem(responder.certificate))
    (tmp_path / "responder.key").write_bytes(_pem_key(responder))

    def answer(handler: Any, body: bytes) -> None:
        (tmp_path / "request").write_bytes(body)
        options = ["-index", "index.txt", "-rsigner", "responder.pem", "-rkey", "responder.key", "-CA", "ca.pem"]
        command = [openssl, "ocsp", *options, "-ndays", "4", "-reqin", "request", "-respout", "response"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        data = (tmp_path / "response").read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    authority.site.answers["openssl"] = answer
    assert verdicts(asked(authority.deployment(leaf, authority.middle))) == {reason}


def _pem_key(signed: Signed) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return signed.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
