"""Is it the right certificate for the place: environment, addresses, DNS."""

from __future__ import annotations

from datetime import timedelta

from scanner.evidence import Attempt, CaaRecord, DnsEvidence, FailureReason
from scanner.inventory import EnvironmentKind, Role
from tests.build.certificates import intermediate, leaf
from tests.build.facts import HOST, NOW, TIMED_OUT, World, certificate, deployment, tls, trusted
from tests.build.rule_cases.case import Case

_PLATFORM = {"kind": EnvironmentKind.PAAS, "default_domain": "platform.example.net"}
_CUSTOM = {**_PLATFORM, "custom_domain": "example.com"}
_NESTED = {**_PLATFORM, "custom_domain": "shop.platform.example.net"}
_SELF_SIGNED = leaf(HOST, not_before=NOW - timedelta(days=10), days=90, self_signed=True)
_FINGERPRINT = certificate().fingerprint
_LETS_ENCRYPT = certificate(issuer="CN=R11,O=Let's Encrypt,C=US")


def _names(*names: str) -> object:
    return tls(deployment(certificate(dns_names=names)))


def _domain(reason: str, environment: dict[str, object], *names: str, **changes: object) -> Case:
    return Case("cert.domain", reason, World(environment=environment, tls=_names(*names), **changes))  # type: ignore[arg-type]  # any field of a world


def _caa(reason: str, *records: CaaRecord, certificate_: object = _LETS_ENCRYPT, **changes: object) -> Case:
    world = World(tls=tls(deployment(certificate_)), dns=DnsEvidence(caa=Attempt.ok(records)), **changes)  # type: ignore[arg-type]  # any field of a world
    return Case("dns.caa", reason, world)


_LISTED = {"allowed": ["*O=Let's Encrypt*", "CN=Our CA"]}

CASES = (
    Case("cert.issuer", "no-list"),
    Case("cert.issuer", "allowed", World(tls=tls(deployment(_LETS_ENCRYPT))), parameters=_LISTED),
    Case("cert.issuer", "allowed", World(tls=tls(deployment(certificate(issuer="cn=our ca")))), parameters=_LISTED),
    Case("cert.issuer", "other-issuer", parameters=_LISTED),
    Case(
        "cert.issuer", "other-issuer", World(tls=tls(deployment(certificate(issuer="CN=Our CA 2")))), parameters=_LISTED
    ),
    Case("cert.issuer", "not-observed", World(tls=tls(certificates=TIMED_OUT)), parameters=_LISTED),
    Case("cert.domain", "own"),
    Case("cert.domain", "self-signed", World(tls=tls(deployment(_SELF_SIGNED, chain=(_SELF_SIGNED,))))),
    Case("cert.domain", "default", World(tls=tls(deployment(certificate(subject="CN=TRAEFIK DEFAULT CERT"))))),
    Case("cert.domain", "default", World(host="intranet", tls=_names("*.outsystemsenterprise.com"))),
    Case("cert.domain", "default", World(host="192.0.2.1", tls=_names("localhost", "localhost.localdomain"))),
    Case("cert.domain", "own", World(tls=_names("www.corp.example", "localhost"))),
    Case("cert.domain", "own", World(tls=tls(deployment(certificate(subject="CN=www.notexample.com"))))),
    Case("cert.domain", "own", World(tls=tls(deployment(certificate(subject="CN=www.example.com"))))),
    Case("cert.domain", "shared", World(certificate_users={_FINGERPRINT: frozenset({"production", "test"})})),
    Case("cert.domain", "own", World(certificate_users={_FINGERPRINT: frozenset({"production"})})),
    Case("cert.domain", "not-observed", World(tls=tls(certificates=TIMED_OUT))),
    _domain("covers-domain", _PLATFORM, "platform.example.net"),
    _domain("covers-domain", _PLATFORM, "*.platform.example.net"),
    _domain("covers-domain", _PLATFORM, "shop.platform.example.net", host="shop.platform.example.net"),
    _domain("other-domain", _PLATFORM, "other.platform.example.net", host="shop.platform.example.net"),
    _domain("other-domain", _PLATFORM, "www.example.com"),
    _domain("covers-domain", _CUSTOM, "www.example.com"),
    _domain("other-domain", _CUSTOM, "*.platform.example.net"),
    _domain("covers-domain", _CUSTOM, "*.platform.example.net", host="shop.platform.example.net"),
    Case(
        "cert.domain",
        "unreadable",
        World(
            environment=_PLATFORM,
            tls=tls(deployment(certificate(dns_names=(), unreadable_extensions=("subjectAltName",)))),
        ),
    ),
    # The host is the domain itself: no client takes a wildcard over it there, nor one right below the top of the DNS.
    _domain("covers-domain", _PLATFORM, "platform.example.net", host="platform.example.net"),
    _domain("other-domain", _PLATFORM, "*.platform.example.net", host="platform.example.net"),
    _domain("covers-domain", _PLATFORM, "*.example.net", host="platform.example.net"),
    _domain("other-domain", {**_PLATFORM, "default_domain": "net"}, "*.net", host="www.example.com"),
    _domain("covers-domain", {**_PLATFORM, "default_domain": "intranet"}, "intranet", host="intranet"),
    # Each is judged by its own, also where one lies under the other.
    _domain("covers-domain", _NESTED, "shop.platform.example.net", host="shop.platform.example.net"),
    _domain("other-domain", _NESTED, "platform.example.net", host="shop.platform.example.net"),
    _domain("covers-domain", _NESTED, "platform.example.net", host="platform.example.net"),
    _domain("no-domain", {"kind": EnvironmentKind.PAAS}, "www.example.com"),
    _domain("not-the-front-end", _PLATFORM, "mail.example.com", role=Role.SERVER),
    Case("cert.same-on-all-addresses", "one-address"),
    Case("cert.same-on-all-addresses", "same", World(siblings=[World(), World()])),
    Case(
        "cert.same-on-all-addresses",
        "different",
        World(siblings=[World(), World(tls=tls(deployment(certificate(fingerprint="ff" * 32))))]),
        observed=f"192.0.2.3: {'ff' * 8}",
    ),
    Case(
        "cert.same-on-all-addresses",
        "not-all-seen",
        World(siblings=[World(tls=Attempt.failed(FailureReason.TIMED_OUT))]),
    ),
    Case("cert.same-on-all-addresses", "not-observed", World(tls=tls(certificates=TIMED_OUT), siblings=[World()])),
    _caa("no-record"),
    _caa("no-record", CaaRecord("iodef", "mailto:security@example.com")),
    _caa("allows", CaaRecord("issue", "letsencrypt.org; accounturi=https://acme.example/1")),
    _caa("allows", CaaRecord("issue", "pki.goog"), certificate_=certificate(issuer="CN=WR2,O=Google Trust Services")),
    _caa("other-issuer", CaaRecord("issue", "digicert.com"), certificate_=certificate(issuer="O=Amazon,CN=Amazon RSA")),
    _caa("other-issuer", CaaRecord("issue", ";")),
    _caa(
        "other-issuer",
        CaaRecord("issue", "letsencrypt.org"),
        CaaRecord("issuewild", ";"),
        certificate_=certificate(_LETS_ENCRYPT, dns_names=("*.example.com",)),
    ),
    # Where no name is a wildcard, what is said of wildcards alone binds nobody; where one is, it binds instead.
    _caa("allows", CaaRecord("issue", "letsencrypt.org"), CaaRecord("issuewild", ";")),
    _caa("no-record", CaaRecord("issuewild", "digicert.com")),
    _caa(
        "allows",
        CaaRecord("issue", ";"),
        CaaRecord("issuewild", "letsencrypt.org"),
        certificate_=certificate(_LETS_ENCRYPT, dns_names=("*.example.com",)),
    ),
    _caa("unknown-issuer", CaaRecord("issue", "ca.example"), certificate_=certificate(issuer="O=Nobody Knows")),
    # The issuer's organisation counts, not a word in its name.
    *(
        _caa("other-issuer", CaaRecord("issue", domain), certificate_=certificate(issuer=f"CN={name},O={organisation}"))
        for domain, name, organisation in (
            ("ssl.com", "GeoTrust SSL CA", "DigiCert Inc"),
            ("ssl.com", "GlobalSign RSA OV SSL CA 2018", "GlobalSign nv-sa"),
            ("pki.goog", "SwissSign RSA TLS PKI 2021", "SwissSign AG"),
            ("amazon.com", "Amazonia RSA", "Sectigo Limited"),
        )
    ),
    _caa("allows", CaaRecord("issue", "ssl.com"), certificate_=certificate(issuer="CN=SSL.com TLS,O=SSL Corporation")),
    _caa(
        "allows", CaaRecord("issue", "godaddy.com"), certificate_=certificate(issuer="CN=G2,O=GoDaddy.com\\, Inc.,L=S")
    ),
    _caa("unknown-issuer", CaaRecord("issue", "letsencrypt.org"), certificate_=certificate(issuer="CN=Let's Encrypt")),
    # Both kinds of names: each by its own record.
    _caa(
        "other-issuer",
        CaaRecord("issue", "digicert.com"),
        CaaRecord("issuewild", "letsencrypt.org"),
        certificate_=certificate(_LETS_ENCRYPT, dns_names=("*.example.com", "example.com")),
    ),
    _caa(
        "allows",
        CaaRecord("issue", "letsencrypt.org"),
        certificate_=certificate(_LETS_ENCRYPT, dns_names=("*.example.com", "example.com")),
    ),
    # What is malformed forbids, as nobody does.
    _caa("other-issuer", CaaRecord("issue", "letsencrypt org")),
    _caa("other-issuer", CaaRecord("issue", "letsencrypt.org; accounturi")),
    _caa("other-issuer", CaaRecord("issue", "")),
    _caa("allows", CaaRecord("issue", "%%"), CaaRecord("issue", " LetsEncrypt.org ")),
    _caa("allows", CaaRecord("issue", "letsencrypt.org"), CaaRecord("issuemail", ";", critical=True)),
    _caa("critical-unknown", CaaRecord("issue", "letsencrypt.org"), CaaRecord("tbs", "x", critical=True)),
    _caa("allows", CaaRecord("issue", "letsencrypt.org"), CaaRecord("tbs", "x")),
    Case(
        "dns.caa",
        "allows",
        World(
            tls=tls(deployment(certificate(issuer="O=Nobody Knows"))),
            dns=DnsEvidence(caa=Attempt.ok((CaaRecord("issue", "ca.example"),))),
        ),
        parameters={"identifiers": {"nobody knows": ["CA.example"]}},
    ),
    _caa("address", host="192.0.2.1"),
    Case(
        "dns.caa",
        "private-ca",
        World(tls=tls(deployment(paths=(trusted(certificate(), intermediate(), public=False),))), dns=TIMED_OUT),
    ),
    Case("dns.caa", "not-observed", World(dns=TIMED_OUT)),
    Case("dns.caa", "not-observed", World(dns=DnsEvidence(caa=TIMED_OUT))),
    Case("dns.caa", "not-observed", World(tls=tls(certificates=TIMED_OUT))),
)
