"""Runs as a nightly service leaves them: three environments, some flaws, and things that change from night to night.

`sample_record(night)` is one run, `sample_history(nights)` several. Verdicts and evidence agree with each other:
both follow from the flaws that a site has on that night. The story, night by night:

- 0 to 1: test/shop still speaks TLS 1.0; from night 2 it does not (fixed)
- 2: production/monitor loses its HSTS header (new failure); test/api appears
- 3: 192.0.2.11 gets the certificate that 192.0.2.10 already has; legacy/console does not answer
- 4: legacy/console is back; the ROBOT probe of test/shop fails (indeterminate); production/mail renews its certificate
- always: legacy/erp is self-signed with a 1024-bit key (its failing `cert.trusted` is waived) and speaks TLS 1.0
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    Certificate,
    ChainEnd,
    ClientAuthentication,
    Cookie,
    Deployment,
    DnsEvidence,
    Failure,
    FailureReason,
    Hop,
    HttpEvidence,
    HttpProbe,
    PathValidation,
    Protocol,
    ProtocolOffer,
    Purpose,
    Robot,
    TargetEvidence,
    TlsEvidence,
)
from scanner.inventory import EnvironmentKind, Role, StartTls
from scanner.verdict import (
    AppliedWaiver,
    Goal,
    PolicyRef,
    Run,
    RunRecord,
    Severity,
    Status,
    TargetResult,
    TargetStatus,
    Trigger,
    Verdict,
)
from tests.build.certificates import intermediate, leaf, root

FIRST_NIGHT = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
POLICY = PolicyRef("https-by-default", "1.0", "HTTPS by default", "5c" * 32)
POLICIES = {"legacy": PolicyRef("legacy-lenient", "1.0", "Old machines", "1e" * 32)}
KINDS = {
    "production": EnvironmentKind.PAAS,
    "test": EnvironmentKind.PAAS,
    "legacy": EnvironmentKind.ON_PREMISES,
}


@dataclass(frozen=True)
class _Rule:
    goal: Goal
    severity: Severity
    passes: str
    fails: str = ""
    expected: str = ""
    http: bool = False


# The slugs and sentences stand for the real rules', whose own tests judge them.
_RULES = {
    "proto.no-tls1.0": _Rule(Goal.ENCRYPTION, Severity.HIGH, "not-offered", "offered", "not negotiated"),
    "proto.tls1.2": _Rule(Goal.ENCRYPTION, Severity.HIGH, "offered", "not-offered", "negotiated"),
    "proto.tls1.3": _Rule(Goal.ENCRYPTION, Severity.LOW, "offered", "not-offered", "negotiated"),
    "cipher.forward-secrecy": _Rule(Goal.ENCRYPTION, Severity.HIGH, "all-ephemeral", "static", "(EC)DHE alone"),
    "kex.post-quantum": _Rule(Goal.ENCRYPTION, Severity.INFO, "offered", "not-offered", "a hybrid ML-KEM group"),
    "integrity.aead": _Rule(Goal.INTEGRITY, Severity.MEDIUM, "all-aead", "cbc-accepted", "AEAD suites alone"),
    "vuln.robot": _Rule(Goal.ENCRYPTION, Severity.CRITICAL, "not-vulnerable", "oracle", "no oracle"),
    "cert.trusted": _Rule(Goal.AUTHENTICITY, Severity.CRITICAL, "trusted", "self-signed", "a path to a trusted root"),
    "cert.expiry": _Rule(Goal.AUTHENTICITY, Severity.MEDIUM, "enough-time", "expires-soon", "more than 30 days left"),
    "cert.key": _Rule(Goal.AUTHENTICITY, Severity.HIGH, "strong", "too-short", "RSA 2048 or P-256"),
    "https.active": _Rule(Goal.ENFORCEMENT, Severity.CRITICAL, "speaks-tls", "no-tls", "TLS"),
    "https.redirect": _Rule(Goal.ENFORCEMENT, Severity.HIGH, "redirects", "served-in-plain", "a redirect", http=True),
    "https.hsts": _Rule(Goal.ENFORCEMENT, Severity.MEDIUM, "sent", "missing", "the header", http=True),
    "https.path": _Rule(Goal.ENFORCEMENT, Severity.HIGH, "as-configured", "served-in-plain", "as set", http=True),
}
RULES = tuple(_RULES)
_LEGACY = frozenset({"proto.no-tls1.0", "cert.trusted", "cert.key", "https.hsts", "proto.tls1.3", "integrity.aead"})


@dataclass(frozen=True)
class _Site:
    environment: str
    host: str
    ip: str | None
    certificate: Certificate | None
    flaws: frozenset[str] = frozenset()
    port: int = 443
    role: Role = Role.APPLICATION
    applications: tuple[str, ...] = ()
    starttls: StartTls | None = None
    failure: FailureReason | None = None
    robot_failed: bool = False


def sample_record(night: int = 0) -> RunRecord:
    """The run of the given night, counted from 0."""
    started = FIRST_NIGHT + timedelta(days=night)
    targets = tuple(_result(site, started) for site in _sites(night))
    run = Run(
        id=f"{started:%Y%m%dT%H%M%SZ}-{night:06x}",
        trigger=Trigger.SCHEDULE,
        started_at=started,
        finished_at=started + timedelta(seconds=95, milliseconds=250),
        policy=POLICY,
        complete=True,
        expected_targets=len(targets),
        tool_version="0.1.0",
        policies=POLICIES,
        environments=tuple(KINDS),
        schedule="nightly",
        config_digest="c0" * 32,
        trust_stores={"mozilla": "aa" * 32},
        engines={"sslyze": "6.3.1", "nightseal-survey": "0.1.0"},
    )
    return RunRecord(run, targets)


def sample_history(nights: int = 5) -> tuple[RunRecord, ...]:
    """The runs of the first nights, oldest first."""
    return tuple(sample_record(night) for night in range(nights))


def _sites(night: int) -> Iterator[_Site]:
    shop_old = leaf("shop.example.com", not_before=datetime(2025, 4, 1, tzinfo=UTC), days=365)
    shop_new = leaf("shop.example.com", not_before=datetime(2026, 2, 1, tzinfo=UTC), days=90)
    mail = [
        leaf("mail.example.com", not_before=datetime(2025, 12, 1, tzinfo=UTC), days=104, rsa_bits=2048),
        leaf("mail.example.com", not_before=datetime(2026, 3, 5, tzinfo=UTC), days=90, rsa_bits=2048),
    ]
    # One key pair in two environments, as it should not be.
    wildcard = leaf("*.test.example.com", not_before=datetime(2026, 1, 1, tzinfo=UTC), days=120, key="shop.example.com")
    erp = leaf("erp.example.internal", not_before=datetime(2023, 1, 1, tzinfo=UTC), days=3650, rsa_bits=1024,
               self_signed=True)  # fmt: skip
    yield _Site("production", "shop.example.com", "192.0.2.10", shop_new, applications=("Shop",))
    yield _Site("production", "shop.example.com", "192.0.2.11", shop_new if night >= 3 else shop_old,
                frozenset() if night >= 3 else frozenset({"cert.expiry"}), applications=("Shop",))  # fmt: skip
    yield _Site("production", "monitor.example.com", "2001:db8::20",
                leaf("monitor.example.com", not_before=datetime(2026, 2, 20, tzinfo=UTC), days=90),
                frozenset({"https.hsts"} if night >= 2 else ()), role=Role.MONITORING)  # fmt: skip
    yield _Site("production", "mail.example.com", "192.0.2.25", mail[night >= 4],
                frozenset({"kex.post-quantum"} if night >= 4 else {"kex.post-quantum", "cert.expiry"}),
                port=25, role=Role.SERVER, starttls=StartTls.SMTP)  # fmt: skip
    yield _Site("test", "shop.test.example.com", "198.51.100.10", wildcard,
                frozenset({"https.hsts"} if night >= 2 else {"https.hsts", "proto.no-tls1.0"}),
                applications=("Shop", "Intranet"), robot_failed=night == 4)  # fmt: skip
    if night >= 2:
        yield _Site("test", "api.test.example.com", "198.51.100.11", wildcard, frozenset({"https.redirect"}),
                    applications=("API",))  # fmt: skip
    yield _Site("test", "gone.test.example.com", None, None, failure=FailureReason.UNRESOLVABLE)
    yield _Site("legacy", "erp.example.internal", "203.0.113.5", erp, _LEGACY, applications=("ERP",))
    yield _Site("legacy", "console.example.internal", "203.0.113.6",
                leaf("console.example.internal", not_before=datetime(2026, 1, 15, tzinfo=UTC), days=365),
                port=8443, role=Role.DEVELOPMENT,
                failure=FailureReason.TIMED_OUT if night == 3 else None)  # fmt: skip


def _result(site: _Site, started: datetime) -> TargetResult:
    error = Failure(site.failure, "no answer within 5 s") if site.failure else None
    status = TargetStatus.PARTIAL if site.robot_failed else TargetStatus.UNREACHABLE if error else TargetStatus.ASSESSED
    address = f"{site.host}:{site.port}"
    return TargetResult(
        id=f"{site.environment}/{address}@{site.ip or 'unresolved'}",
        environment=site.environment,
        environment_kind=KINDS[site.environment],
        host=site.host,
        port=site.port,
        ip=site.ip,
        role=site.role,
        status=status,
        policy=POLICIES.get(site.environment, POLICY),
        applications=site.applications,
        starttls=site.starttls,
        http_port=80 if site.role is Role.APPLICATION else None,
        error=error,
        duration_s=0.0 if site.ip is None else 1.25,
        connections=0 if site.ip is None else 38,
        evidence=_evidence(site, started, error),
        verdicts=tuple(_verdict(site, rule_id, error) for rule_id in _RULES),
        grade=None if error else "F" if "cert.key" in site.flaws else "B" if site.flaws else "A",
    )


def _verdict(site: _Site, rule_id: str, error: Failure | None) -> Verdict:
    rule = _RULES[rule_id]
    subject = "/Shop/Checkout" if rule_id == "https.path" else ""
    waiver = None
    if rule.http and not site.role.speaks_http:
        status, reason, observed = Status.NOT_APPLICABLE, "no-http", ""
    elif error or (rule_id == "vuln.robot" and site.robot_failed):
        status, reason, observed = Status.INDETERMINATE, "not-observed", ""
    elif rule_id in site.flaws:
        status, reason, observed = Status.FAIL, rule.fails, f"{rule.fails} at {site.host}"
        if (site.environment, rule_id) == ("legacy", "cert.trusted"):
            waiver = AppliedWaiver("Replaced with the ERP in autumn", "platform-team", date(2026, 10, 31))
    else:
        status, reason, observed = Status.PASS, rule.passes, rule.passes
    return Verdict(
        rule=rule_id,
        goal=rule.goal,
        status=status,
        severity=rule.severity,
        reason=reason,
        message=f"{rule_id}: {reason.replace('-', ' ')}.",
        observed=observed,
        expected=rule.expected,
        subject=subject,
        sources=("RFC 8996 section 5",) if rule_id == "proto.no-tls1.0" else ("RFC 9325 section 4.2", "BCP 195"),
        waiver=waiver,
    )


def _evidence(site: _Site, started: datetime, error: Failure | None) -> TargetEvidence | None:
    if site.ip is None or site.certificate is None:
        return None
    tls: Attempt[TlsEvidence] = Attempt(failure=error) if error else Attempt.ok(_tls(site, site.certificate))
    http = _http(site) if site.role.speaks_http and not error else None
    evidence = TargetEvidence(started + timedelta(seconds=1), 1.25, 38, tls)
    if http:
        evidence = dataclasses.replace(evidence, http=Attempt.ok(http))
    return dataclasses.replace(evidence, dns=Attempt.ok(DnsEvidence((site.ip,), Attempt.ok(()), None)))


def _tls(site: _Site, certificate: Certificate) -> TlsEvidence:
    ecdhe = [AcceptedSuite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "secp256r1", 256)]
    cbc = AcceptedSuite("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "secp256r1", 256)
    offers = {
        Protocol.TLS1_0: ProtocolOffer((cbc,) if "proto.no-tls1.0" in site.flaws else ()),
        Protocol.TLS1_2: ProtocolOffer((*ecdhe, cbc), server_order=True)
        if "integrity.aead" in site.flaws
        else ProtocolOffer(tuple(ecdhe)),
        Protocol.TLS1_3: ProtocolOffer(
            () if "proto.tls1.3" in site.flaws else (AcceptedSuite("TLS_AES_128_GCM_SHA256", "x25519", 253),)
        ),
    }
    groups = ("x25519", "secp256r1") if "kex.post-quantum" in site.flaws else ("x25519mlkem768", "x25519")
    self_signed = certificate.self_signed
    chain = (certificate,) if self_signed else (certificate, intermediate())
    path = PathValidation(
        "mozilla",
        "aa" * 32,
        trusted=not self_signed,
        path=() if self_signed else (*(item.fingerprint for item in chain), root().fingerprint),
        detail="self-signed certificate" if self_signed else "",
    )
    return TlsEvidence(
        protocols={protocol: Attempt.ok(offer) for protocol, offer in offers.items()},
        groups={Protocol.TLS1_3: Attempt.ok(groups)},
        certificates=Attempt.ok((Deployment(chain, protocol=Protocol.TLS1_3, paths=(path,)),)),
        extended_master_secret=Attempt.ok(value=True),
        compression=Attempt.ok(value=False),
        client_authentication=Attempt.ok(ClientAuthentication.NOT_ASKED),
        robot=Attempt.failed(FailureReason.TIMED_OUT) if site.robot_failed else Attempt.ok(Robot.RSA_NOT_OFFERED),
    )


def _http(site: _Site) -> HttpEvidence:
    https = f"https://{site.host}/"
    hsts = () if "https.hsts" in site.flaws else ("max-age=31536000; includeSubDomains",)
    cookie = Cookie("session", secure=True, http_only=True, same_site="Lax")
    inside = Hop(https, status=200, http_version="2", hsts=hsts, cookies=(cookie,), content_type="text/html")
    redirected = "https.redirect" not in site.flaws
    plain = Hop(
        f"http://{site.host}/",
        status=301 if redirected else 200,
        http_version="1.1",
        location=https if redirected else None,
    )
    return HttpEvidence(
        (
            HttpProbe("https", "/", Purpose.ROOT, (inside,), ChainEnd.ANSWER),
            HttpProbe("http", "/", Purpose.ROOT, (plain, inside) if redirected else (plain,), ChainEnd.ANSWER),
        )
    )
