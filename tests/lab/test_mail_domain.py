"""`scan mx:domain`: the mail servers of a signed zone of Knot DNS, as an unbound that validates it vouches."""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scanner.lab import Lab
from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from tests.build.dns_server import DnsServer
from tests.build.servers import servers
from tests.build.signed_zone import ORIGIN, signed_zone
from tests.conftest import Runner, reach

MX = "mail.lab-mx.example.net"


@contextlib.contextmanager
def policy_host(folder: Path, text: str) -> Iterator[tuple[int, Path]]:
    """The host of a policy, with a certificate of a CA of its own."""
    authority = CertificateAuthority(datetime.now(UTC).replace(microsecond=0))
    identity = authority.issue(CertificateRecipe(), f"mta-sts.{ORIGIN}")
    (folder / "policy-ca.pem").write_bytes(authority.root.chain_pem)
    with servers(folder) as context:
        pem = folder / "policy.pem"
        pem.write_bytes(identity.pem)
        context.identities["policy"] = pem
        said = text.replace("\r\n", r"\r\n")
        place = f"location = /.well-known/mta-sts.txt {{ return 200 '{said}'; }}"
        yield context.nginx(["policy"], place), folder / "policy-ca.pem"


def certificate_of(lab: Lab) -> str:
    """The SHA-256 of the certificate that the lab's mail server serves."""
    server = lab.servers["smtp-starttls"]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(server.address, server.actual_port) as client:
        client.starttls(context=context)
        der = client.sock.getpeercert(binary_form=True)
    return hashlib.sha256(der).hexdigest()


def judged(done: Any) -> dict[str, tuple[str, str]]:
    (target,) = done.json["targets"]
    return {
        item["rule"]: (item["status"], item["reason"])
        for item in target["verdicts"]
        if item["rule"].startswith("mail.")
    }


@pytest.mark.parametrize(
    ("signed", "right", "mode", "dane", "sts"),
    [
        (True, True, "enforce", ("pass", "matches"), ("pass", "enforced")),
        (True, False, "testing", ("fail", "mismatch"), ("fail", "not-enforced")),
        (False, True, "enforce", ("fail", "unsigned"), ("pass", "enforced")),
    ],
)
def test_what_a_mail_domain_says_is_compared_with_what_is_served(  # noqa: PLR0913  # what is made, and what follows
    quick: Runner, tmp_path: Path, lab: Lab, *, signed: bool, right: bool, mode: str, dane: tuple, sts: tuple
) -> None:
    server = lab.servers["smtp-starttls"]
    digest = certificate_of(lab) if right else "00" * 32
    records = (
        f"@ IN MX 10 mail.lab-mx\nmail.lab-mx IN A 127.0.0.1\n_25._tcp.mail.lab-mx IN TLSA 3 0 1 {digest}\n"
        '_mta-sts IN TXT "v=STSv1; id=1"\n_smtp._tls IN TXT "v=TLSRPTv1; rua=mailto:a@example.net"'
    )
    policy = f"version: STSv1\r\nmode: {mode}\r\nmx: *.lab-mx.{ORIGIN}\r\nmax_age: 86400\r\n"
    with policy_host(tmp_path, policy) as (port, ca), signed_zone(tmp_path, records, signed=signed) as zone:
        options = [
            f"--connect-to={MX}:25={server.address}:{server.actual_port}",
            f"--connect-to=mta-sts.{ORIGIN}:443=127.0.0.1:{port}",
            "--ca-file", str(ca), "--resolver", zone.resolver,
        ]  # fmt: skip
        done = quick("scan", f"mx:{ORIGIN}", *options, "--format", "json")

    (target,) = done.json["targets"]
    assert (target["host"], target["port"], target["starttls"]) == (MX, 25, "smtp")
    mail = target["evidence"]["mail"]
    assert (mail["domain"], mail["preference"], mail["signed"]) == (ORIGIN, 10, signed)
    assert mail["tls_reports"] == ["v=TLSRPTv1; rua=mailto:a@example.net"]
    assert judged(done) == {"mail.dane": dane, "mail.mta-sts": sts}


def test_a_domain_that_takes_no_mail_is_told(quick: Runner, tmp_path: Path) -> None:
    with signed_zone(tmp_path, "@ IN MX 0 .") as zone:
        done = quick("scan", f"mx:{ORIGIN}", "--resolver", zone.resolver)

    assert (done.status, "accepts no mail" in done.err) == (2, True)


def test_a_domain_whose_servers_nobody_tells_is_not_assessed(quick: Runner, lab: Lab) -> None:
    """No answer of a resolver is no wrong use, and keeps nobody from what else was asked for."""
    server = DnsServer({})
    good = lab.servers["good"]
    try:
        resolver = ("--resolver", f"127.0.0.1:{server.port}")
        leads = "--connect-to=broken.net:25=127.0.0.1:1"
        done = quick("scan", "mx:broken.net", good.host, *resolver, *reach(lab, "good"), leads, "--format", "json")
        summary = quick("scan", "mx:broken.net", *resolver, "--summary")
    finally:
        server.stop()

    unknown, seen = sorted(done.json["targets"], key=lambda target: target["status"] != "unreachable")
    assert (done.status, summary.status) == (3, 3)
    assert (unknown["host"], unknown["error"]["reason"], unknown["connections"]) == ("broken.net", "resolver-failed", 0)
    assert unknown["ip"] is None, "an MX record may name another host than the domain"
    assert unknown["error"]["detail"].startswith("the MX records could not be looked up: no answer for broken.net")
    assert (seen["host"], seen["status"]) == (good.host, "assessed")
    assert "broken.net:25" in summary.out
