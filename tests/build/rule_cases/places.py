"""Is it the right certificate for the place: environment, addresses, DNS."""

from __future__ import annotations

from datetime import timedelta

from scanner.evidence import Attempt, CaaRecord, DnsEvidence, Dnssec, FailureReason, NameCaa
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


_OURS, _THEIRS = CaaRecord("issue", "letsencrypt.org"), CaaRecord("issue", "digicert.com")
_UNKNOWN_TAG_PLAIN = CaaRecord("tbs", "x")


def _by_name(own: object, other: object) -> DnsEvidence:
    """What the DNS says of the two names of a certificate; None where nobody asked."""
    found = {HOST: own, "other.net": other}
    names = tuple(
        NameCaa(name, item if isinstance(item, Attempt) else Attempt.ok(item))
        for name, item in found.items()
        if item is not None
    )
    return DnsEvidence(caa=Attempt.ok((_OURS,)), certificate_names=names)


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
    # Domains of those that were bought up are their successors'.
    _caa("allows", CaaRecord("issue", "entrust.net"), certificate_=certificate(issuer="CN=S,O=Sectigo Limited")),
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
    # Each name in the certificate by the records that hold for it, wildcards by those without their first label.
    *(
        Case(
            "dns.caa",
            reason,
            World(
                tls=tls(deployment(certificate(_LETS_ENCRYPT, dns_names=(HOST, "*.other.net")))),
                dns=_by_name(own, other),
            ),
            observed=observed,
        )
        for reason, own, other, observed in (
            ("allows", (_OURS,), (_OURS,), "letsencrypt.org"),
            ("allows", (_OURS,), (_THEIRS, CaaRecord("issuewild", "letsencrypt.org")), None),
            ("other-issuer", (_OURS,), (_THEIRS,), "digicert.com for *.other.net"),
            ("other-issuer", (_OURS, _UNKNOWN_TAG_PLAIN), (CaaRecord("issuewild", ";"), _OURS), None),
            ("other-issuer", (_OURS,), (CaaRecord("issue", "letsencrypt org"),), None),
            ("critical-unknown", (CaaRecord("tbs", "x", critical=True),), (_THEIRS,), f"tbs for {HOST}"),
            ("no-record", (_OURS,), (), "none restricts issuing for *.other.net"),
            ("no-record", (), (), "none restricts issuing"),
            ("other-issuer", (), (_THEIRS,), "digicert.com for *.other.net"),
            ("not-observed", (_OURS,), TIMED_OUT, None),
            ("no-record", (), TIMED_OUT, f"none restricts issuing for {HOST}"),
            ("not-observed", (_OURS,), None, None),
        )
    ),
    Case("dns.dnssec", "signed"),
    Case("dns.dnssec", "bogus", World(dns=DnsEvidence(dnssec=Attempt.ok(Dnssec.BOGUS)))),
    Case("dns.dnssec", "unsigned", World(dns=DnsEvidence(dnssec=Attempt.ok(Dnssec.UNSIGNED)))),
    Case("dns.dnssec", "address", World(host="192.0.2.1")),
    Case(
        "dns.dnssec", "not-public", World(dns=DnsEvidence(dnssec=Attempt.failed(FailureReason.UNSUPPORTED, "inside")))
    ),
    Case(
        "dns.dnssec", "not-asked", World(dns=DnsEvidence(dnssec=Attempt.failed(FailureReason.NOT_ASKED, "none named")))
    ),
    Case("dns.dnssec", "not-observed", World(dns=DnsEvidence(dnssec=TIMED_OUT))),
    Case("dns.dnssec", "not-observed", World(dns=TIMED_OUT)),
    Case("dns.caa", "not-observed", World(dns=DnsEvidence(caa=TIMED_OUT))),
    Case("dns.caa", "not-observed", World(tls=tls(certificates=TIMED_OUT))),
)
