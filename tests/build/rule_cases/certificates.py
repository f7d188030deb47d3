"""Certificates and chains."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from scanner.evidence import Attempt, Completion, KeyType, Staple
from scanner.inventory import Role
from scanner.verdict import Severity
from tests.build.certificates import intermediate, leaf, root
from tests.build.facts import NOW, TIMED_OUT, World, certificate, deployment, tls, trusted, untrusted
from tests.build.rule_cases.case import Case, of_tls

_SELF_SIGNED = leaf("www.example.com", not_before=NOW - timedelta(days=10), days=90, self_signed=True)
_OTHER = leaf("other.example.com", not_before=NOW - timedelta(days=10), days=90)
_PRIVATE = {"paths": (trusted(certificate(), intermediate(), public=False, store="ca.pem"),)}
_ALONE = {"chain": (certificate(),)}
_GOOD = Staple("good", NOW - timedelta(hours=1), NOW + timedelta(days=3), NOW)
_OLD = Staple("good", NOW - timedelta(days=9), NOW - timedelta(days=2), NOW)
_EARLY = Staple("good", NOW + timedelta(days=1), NOW + timedelta(days=2), NOW)
_REFUSED = dataclasses.replace(untrusted(), refused=True, detail="a negative serial")
_ROOT_ALONE = deployment(root(), paths=(untrusted(),), chain=(root(),))
_SELF_SIGNED_ALONE = deployment(_SELF_SIGNED, paths=(untrusted(),), chain=(_SELF_SIGNED,))
_UNSIGNED = dataclasses.replace(untrusted(), unsigned="CN=a names CN=b as its issuer, and it is not")
_ENDED = certificate(intermediate(), not_after=NOW - timedelta(days=1))
_ANY = "2.5.29.37.0"
_FOR_CLIENTS = certificate(intermediate(), fingerprint="cc" * 32, extended_key_usage=("1.3.6.1.5.5.7.3.2",))
_UNKNOWN, _UNVERIFIED = Staple("unknown", NOW, verified=True), Staple("unknown", NOW, verified=False)
_OCSP = certificate(ocsp_urls=("http://ocsp.example.com",))
_MUST = certificate(must_staple=True)
_NO_STAPLES = Attempt.ok(("status-request",))


def _lives(days: float, since: datetime = NOW - timedelta(days=10), **changes: object) -> object:
    """A certificate whose lifetime is exactly so many days, the last second included."""
    return certificate(not_before=since, not_after=since + timedelta(days=days, seconds=-1), **changes)


def _ends(days: float, lifetime: float = 365) -> object:
    end = NOW + timedelta(days=days)
    return certificate(not_before=end - timedelta(days=lifetime), not_after=end)


def _of_public_cas_alone() -> list[Case]:
    return [
        case
        for rule in ("cert.key", "cert.signature", "cert.usage")
        for case in (
            of_tls(rule, "private-ca", deployment(**_PRIVATE), parameters={"private": False}),
            of_tls(rule, "issuer-unknown", deployment(paths=()), parameters={"private": False}),
        )
    ]


CASES = (
    *_of_public_cas_alone(),
    of_tls("cert.trusted", "trusted"),
    of_tls("cert.trusted", "trusted", deployment(paths=(untrusted(), trusted(certificate(), public=False)))),
    of_tls("cert.trusted", "self-signed", deployment(_SELF_SIGNED, paths=(untrusted(),), chain=(_SELF_SIGNED,))),
    # A root's certificate is meant to be in a file of roots, and on no server's port.
    Case("cert.trusted", "root", World(host="file:roots.pem", port=0, tls=tls(_ROOT_ALONE))),
    of_tls("cert.trusted", "self-signed", _ROOT_ALONE),
    Case("cert.trusted", "self-signed", World(host="file:a.pem", port=0, tls=tls(_SELF_SIGNED_ALONE))),
    of_tls("cert.trusted", "unknown-issuer", deployment(paths=(untrusted(),))),
    of_tls("cert.trusted", "chain-incomplete", deployment(paths=(untrusted((intermediate().fingerprint,)),), **_ALONE)),
    of_tls("cert.trusted", "no-path", deployment(paths=())),
    of_tls(
        "cert.trusted", "refused", deployment(paths=(_REFUSED,)), severity=Severity.HIGH, observed="a negative serial"
    ),
    of_tls(
        "cert.trusted",
        "not-signed",
        deployment(paths=(_UNSIGNED,)),
        severity=Severity.CRITICAL,
        observed="CN=a names CN=b as its issuer, and it is not",
    ),
    of_tls("cert.trusted", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.hostname", "matches"),
    of_tls("cert.hostname", "other-names", deployment(_OTHER), observed="other.example.com"),
    of_tls("cert.hostname", "no-names", deployment(certificate(dns_names=()))),
    of_tls(
        "cert.hostname",
        "unreadable",
        deployment(certificate(dns_names=(), unreadable_extensions=("subjectAltName",))),
    ),
    of_tls("cert.hostname", "matches", deployment(certificate(unreadable_extensions=("extKeyUsage",)))),
    of_tls("cert.hostname", "matches", deployment(certificate(dns_names=("*.example.com",)))),
    # Served to clients that name no host: no browser sees it.
    of_tls("cert.hostname", "matches", deployment(), deployment(_OTHER, with_sni=False)),
    Case(
        "cert.hostname",
        "matches",
        World(host="192.0.2.1", tls=tls(deployment(certificate(ip_addresses=("192.0.2.1",)), with_sni=False))),
    ),
    Case("cert.hostname", "other-names", World(host="192.0.2.1")),
    of_tls("cert.hostname", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.valid-now", "valid"),
    of_tls("cert.valid-now", "expired", deployment(_ends(-3))),
    of_tls("cert.valid-now", "not-yet-valid", deployment(_ends(100, 97))),
    of_tls(
        "cert.valid-now",
        "intermediate-expired",
        deployment(certificate(), certificate(intermediate(), not_after=NOW - timedelta(days=1))),
    ),
    of_tls(  # an expired certificate that is on no path does no harm
        "cert.valid-now",
        "valid",
        deployment(
            certificate(),
            intermediate(),
            certificate(intermediate(), fingerprint="ff" * 32, not_after=NOW - timedelta(days=1)),
            paths=(trusted(certificate(), intermediate()),),
        ),
    ),
    of_tls(
        "cert.valid-now",
        "intermediate-not-yet-valid",
        deployment(certificate(), certificate(intermediate(), not_before=NOW + timedelta(days=2))),
        severity=Severity.CRITICAL,
        observed="CN=Example Issuing CA 1,O=Example Trust Services before 2026-11-26",
    ),
    of_tls(  # nor does one that is not valid yet
        "cert.valid-now",
        "valid",
        deployment(
            certificate(),
            intermediate(),
            certificate(intermediate(), fingerprint="ff" * 32, not_before=NOW + timedelta(days=1)),
            paths=(trusted(certificate(), intermediate()),),
        ),
    ),
    of_tls(
        "cert.valid-now",
        "not-observed",
        deployment(certificate(), certificate(intermediate(), not_before=NOW + timedelta(days=2)), paths=()),
    ),
    of_tls(  # browsers fetch it, and find that it has ended
        "cert.valid-now",
        "intermediate-expired",
        deployment(
            certificate(),
            paths=(untrusted(),),
            completion=Completion((_ENDED,), (trusted(certificate(), _ENDED),)),
            **_ALONE,
        ),
    ),
    of_tls("cert.valid-now", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.expiry", "enough-time"),
    of_tls("cert.expiry", "enough-time", deployment(_ends(30))),
    of_tls("cert.expiry", "expires-soon", deployment(_ends(29.9)), severity=Severity.MEDIUM, observed="29 days"),
    of_tls("cert.expiry", "expires-soon", deployment(_ends(20.5, 45.5)), severity=Severity.MEDIUM),
    of_tls("cert.expiry", "enough-time", deployment(_ends(4, 6)), observed="4 days"),
    of_tls("cert.expiry", "expires-very-soon", deployment(_ends(6.9)), severity=Severity.HIGH),
    of_tls("cert.expiry", "expires-soon", deployment(_ends(7)), severity=Severity.MEDIUM),
    of_tls("cert.expiry", "expired", deployment(_ends(-1)), severity=Severity.HIGH),
    of_tls("cert.expiry", "expires-soon", deployment(_ends(59)), parameters={"days": 60}),
    of_tls("cert.expiry", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.chain-complete", "complete"),
    of_tls("cert.chain-complete", "complete", deployment(certificate(), intermediate(), root())),
    of_tls("cert.chain-complete", "complete", deployment(_SELF_SIGNED, chain=(_SELF_SIGNED,), paths=(untrusted(),))),
    of_tls("cert.chain-complete", "missing", deployment(paths=(untrusted(),), **_ALONE)),
    of_tls("cert.chain-complete", "missing", deployment(paths=(untrusted(("ff" * 32,)),))),
    of_tls("cert.chain-complete", "unknown-root", deployment(paths=(untrusted(),))),
    # Refused for something else than a gap, it leads to a root.
    of_tls("cert.chain-complete", "complete", deployment(paths=(_REFUSED,), **_ALONE)),
    of_tls("cert.chain-complete", "complete", deployment(paths=(_REFUSED,))),
    of_tls("cert.chain-complete", "not-signed", deployment(paths=(_UNSIGNED,), **_ALONE)),
    of_tls("cert.chain-complete", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.chain-order", "in-order"),
    of_tls("cert.chain-order", "in-order", deployment(certificate(), intermediate(), root())),
    of_tls("cert.chain-order", "in-order", deployment(**_ALONE)),
    of_tls("cert.chain-order", "wrong-order", deployment(certificate(), root(), intermediate())),
    of_tls("cert.chain-order", "foreign", deployment(certificate(), intermediate(), _OTHER)),
    of_tls("cert.chain-order", "duplicate", deployment(certificate(), intermediate(), intermediate())),
    of_tls(  # cross-signed: the same issuer twice, by two roots
        "cert.chain-order",
        "in-order",
        deployment(
            certificate(), intermediate(), certificate(intermediate(), fingerprint="ff" * 32, issuer="CN=Other")
        ),
    ),
    of_tls("cert.chain-order", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.key", "strong", observed="ecdsa on secp256r1"),
    of_tls("cert.key", "strong", deployment(certificate(key_type=KeyType.RSA, key_bits=2048, curve=None))),
    of_tls("cert.key", "strong", deployment(certificate(curve="secp384r1", key_bits=384))),
    # What browsers take is narrower than what is strong; what speaks to programs may differ, and a policy too.
    *(
        case
        for key in (
            {"key_type": KeyType.ED25519, "key_bits": 256, "curve": None},
            {"key_type": KeyType.ED448, "key_bits": 456, "curve": None},
            {"key_type": KeyType.RSA_PSS, "key_bits": 2048, "curve": None},
            {"curve": "brainpoolP256r1"},
        )
        for case in (
            of_tls("cert.key", "browsers", deployment(certificate(**key)), severity=Severity.HIGH),
            of_tls("cert.key", "strong", deployment(certificate(**key)), parameters={"browsers": False}),
            Case("cert.key", "browsers", World(role=Role.MONITORING, tls=tls(deployment(certificate(**key))))),
            Case(
                "cert.key", "strong", World(role=Role.SERVER, http_port=None, tls=tls(deployment(certificate(**key))))
            ),
        )
    ),
    of_tls("cert.key", "some-browsers", deployment(certificate(curve="secp521r1")), severity=Severity.LOW),
    of_tls("cert.key", "browsers", deployment(certificate(), certificate(intermediate(), curve="brainpoolP384r1"))),
    of_tls("cert.key", "too-short", deployment(certificate(key_type=KeyType.RSA_PSS, key_bits=1024, curve=None))),
    of_tls(
        "cert.key",
        "type",
        deployment(certificate(key_type=KeyType.ED25519, curve=None)),
        parameters={"types": ["rsa", "ecdsa"]},
    ),
    of_tls("cert.key", "type", deployment(certificate(key_type=KeyType.DSA, key_bits=2048))),
    of_tls("cert.key", "too-short", deployment(certificate(key_type=KeyType.RSA, key_bits=1024, curve=None))),
    of_tls(
        "cert.key",
        "too-short",
        deployment(certificate(), certificate(intermediate(), key_type=KeyType.RSA, key_bits=1024)),
    ),
    of_tls(
        "cert.key",
        "strong",
        deployment(certificate(), intermediate(), certificate(root(), key_type=KeyType.RSA, key_bits=1024)),
    ),
    of_tls("cert.key", "curve", deployment(certificate(curve="secp192r1", key_bits=192))),
    of_tls("cert.key", "curve", deployment(certificate(curve=None))),
    of_tls(
        "cert.key",
        "phase-out",
        deployment(certificate(key_type=KeyType.RSA, key_bits=2048)),
        parameters={"phase_out_rsa_below": 3072},
        severity=Severity.LOW,
    ),
    of_tls("cert.key", "not-observed", certificates=TIMED_OUT),
    of_tls(
        "cert.key",
        "strong",
        deployment(certificate(fingerprint="aa" * 32)),
        deployment(certificate(fingerprint="bb" * 32)),
        subjects=("aa" * 8, "bb" * 8),
    ),
    of_tls("cert.signature", "good", observed="ecdsa-with-SHA256"),
    of_tls("cert.signature", "good", deployment(certificate(signature_algorithm="ed25519", signature_hash=None))),
    of_tls("cert.signature", "weak-hash", deployment(certificate(signature_hash="sha1"))),
    of_tls("cert.signature", "weak-hash", deployment(certificate(), certificate(intermediate(), signature_hash="md5"))),
    of_tls(
        "cert.signature", "good", deployment(certificate(), intermediate(), certificate(root(), signature_hash="sha1"))
    ),
    of_tls("cert.signature", "not-listed", parameters={"leaf_algorithms": ["sha256WithRSAEncryption"]}),
    of_tls("cert.signature", "good", parameters={"leaf_algorithms": ["ecdsa_with_sha256"]}),
    of_tls("cert.signature", "phase-out", parameters={"phase_out": ["ecdsa-with-SHA256"]}, severity=Severity.LOW),
    of_tls("cert.signature", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.usage", "fit"),
    of_tls("cert.usage", "fit", deployment(certificate(key_usage=("digitalSignature", "keyEncipherment")))),
    of_tls("cert.usage", "is-ca", deployment(certificate(is_ca=True))),
    of_tls("cert.usage", "no-server-auth", deployment(certificate(extended_key_usage=("1.3.6.1.5.5.7.3.2",)))),
    of_tls("cert.usage", "no-server-auth", deployment(certificate(extended_key_usage=()))),
    of_tls("cert.usage", "key-usage", deployment(certificate(key_usage=("keyEncipherment",)))),
    of_tls("cert.usage", "key-usage", deployment(certificate(key_usage=("digitalSignature", "keyCertSign")))),
    of_tls(
        "cert.usage",
        "unreadable",
        deployment(certificate(extended_key_usage=(), unreadable_extensions=("extKeyUsage",))),
        severity=Severity.HIGH,
    ),
    of_tls("cert.usage", "unreadable", deployment(certificate(unreadable_extensions=("all",))), severity=Severity.HIGH),
    of_tls(
        "cert.usage",
        "unreadable",
        deployment(certificate(unreadable_extensions=("nameConstraints", "1.2.3"))),
        severity=Severity.MEDIUM,
        observed="nameConstraints, 1.2.3",
    ),
    of_tls(
        "cert.usage",
        "issuer-usage",
        deployment(certificate(), _FOR_CLIENTS),
        severity=Severity.HIGH,
        observed="CN=Example Issuing CA 1,O=Example Trust Services (clientAuth)",
    ),
    of_tls("cert.usage", "fit", deployment(certificate(), certificate(intermediate(), extended_key_usage=(_ANY,)))),
    # One that is on no path confines nothing, and beside one for everything the other is taken.
    of_tls(
        "cert.usage",
        "fit",
        deployment(certificate(), intermediate(), _FOR_CLIENTS, paths=(trusted(certificate(), intermediate()),)),
    ),
    of_tls("cert.usage", "fit", deployment(certificate(), _FOR_CLIENTS, intermediate())),
    of_tls("cert.usage", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.lifetime", "within", observed="90 days"),
    of_tls("cert.lifetime", "within", deployment(_lives(200))),
    of_tls("cert.lifetime", "too-long", deployment(_lives(200.001)), severity=Severity.MEDIUM, observed="201 days"),
    of_tls("cert.lifetime", "too-long", deployment(_lives(201), **_PRIVATE), severity=Severity.LOW),
    of_tls("cert.lifetime", "within", deployment(_lives(398, datetime(2026, 3, 14, 23, tzinfo=UTC)))),
    of_tls("cert.lifetime", "too-long", deployment(_lives(398, datetime(2026, 3, 15, tzinfo=UTC)))),
    of_tls("cert.lifetime", "too-long", deployment(_lives(101, datetime(2027, 3, 15, tzinfo=UTC)))),
    of_tls("cert.lifetime", "too-long", deployment(_lives(48, datetime(2029, 3, 15, tzinfo=UTC)))),
    of_tls("cert.lifetime", "within", deployment(_lives(825, datetime(2019, 3, 15, tzinfo=UTC)))),
    # The last day of each limit, and the first of the next.
    of_tls("cert.lifetime", "within", deployment(_lives(825, datetime(2020, 8, 31, 23, tzinfo=UTC)))),
    of_tls("cert.lifetime", "too-long", deployment(_lives(399, datetime(2020, 9, 1, tzinfo=UTC)))),
    of_tls("cert.lifetime", "within", deployment(_lives(200, datetime(2027, 3, 14, 23, tzinfo=UTC)))),
    of_tls("cert.lifetime", "within", deployment(_lives(100, datetime(2029, 3, 14, 23, tzinfo=UTC)))),
    of_tls("cert.lifetime", "no-limit", parameters={"limits": [{"since": "2030-01-01", "days": 47}]}),
    of_tls("cert.lifetime", "private-ca", deployment(_lives(999), **_PRIVATE), parameters={"private": False}),
    of_tls("cert.lifetime", "issuer-unknown", deployment(paths=()), parameters={"private": False}),
    of_tls("cert.lifetime", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.renewal-ready", "ready", deployment(_lives(47))),
    of_tls("cert.renewal-ready", "ready-until"),
    of_tls("cert.renewal-ready", "too-long", deployment(_lives(199))),
    of_tls("cert.renewal-ready", "private-ca", deployment(**_PRIVATE), parameters={"private": False}),
    of_tls("cert.renewal-ready", "issuer-unknown", deployment(paths=()), parameters={"private": False}),
    of_tls("cert.renewal-ready", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.must-staple", "not-demanded"),
    of_tls("cert.must-staple", "sent", deployment(_MUST, staple=_GOOD)),
    of_tls("cert.must-staple", "not-sent", deployment(_MUST)),
    of_tls("cert.must-staple", "not-known", deployment(_MUST, staple=_UNKNOWN)),
    of_tls("cert.must-staple", "unverified", deployment(_MUST, staple=_UNVERIFIED)),
    of_tls("cert.must-staple", "unverified", deployment(_MUST, staple=Staple("unknown", NOW))),
    of_tls("cert.must-staple", "stale", deployment(_MUST, staple=_OLD), observed=f"{NOW - timedelta(days=2):%Y-%m-%d}"),
    of_tls("cert.must-staple", "unreadable", deployment(certificate(unreadable_extensions=("TLSFeature",)))),
    of_tls("cert.must-staple", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.must-staple", "not-observed", deployment(_MUST), intolerances=_NO_STAPLES),
    of_tls("cert.must-staple", "sent", deployment(_MUST, staple=_GOOD), intolerances=_NO_STAPLES),
    of_tls("cert.stapled", "no-responder"),
    of_tls("cert.stapled", "sent", deployment(_OCSP, staple=_GOOD)),
    of_tls("cert.stapled", "not-sent", deployment(_OCSP)),
    of_tls("cert.stapled", "not-known", deployment(_OCSP, staple=_UNKNOWN)),
    of_tls("cert.stapled", "unverified", deployment(_OCSP, staple=_UNVERIFIED)),
    of_tls("cert.stapled", "stale", deployment(_OCSP, staple=_EARLY)),
    of_tls("cert.stapled", "unreadable", deployment(certificate(unreadable_extensions=("authorityInfoAccess",)))),
    of_tls(
        "cert.stapled",
        "sent",
        deployment(certificate(unreadable_extensions=("authorityInfoAccess",)), staple=_GOOD),
    ),
    of_tls("cert.stapled", "not-observed", certificates=TIMED_OUT),
    of_tls("cert.stapled", "not-observed", deployment(_OCSP), intolerances=_NO_STAPLES),
)
