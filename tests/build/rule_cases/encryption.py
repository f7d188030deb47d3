"""Protocols, cipher suites, groups."""

from __future__ import annotations

from datetime import date
from typing import Any

from scanner.evidence import Attempt, FailureReason, Protocol
from scanner.verdict import Severity
from tests.build.facts import (
    CBC,
    GCM,
    GCM_256,
    NO,
    TIMED_OUT,
    TLS13,
    TLS13_256,
    YES,
    World,
    offer,
    offers,
    suite,
    tls,
    tls12_only,
    tls13_only,
)
from tests.build.rule_cases.case import Case, of_tls

_SSL2 = "SSL_CK_RC4_128_WITH_MD5"
_NOTHING = {"protocols": offers(tls1_2=offer(), tls1_3=offer())}


def _dh(reason: str, prime: str | None = None, **more: Any) -> Case:
    of_case = {name: more.pop(name) for name in ("severity", "observed") if name in more}
    seen = suite(_DHE, None, more.pop("bits", 2048), prime, **more)
    return of_tls("kex.dh-parameters", reason, protocols=offers(tls1_2=offer(seen)), **of_case)


def _shared(reason: str, *environments: str) -> Case:
    seen = suite(_DHE, None, 2048, "custom", dh_modulus="abc123", dh_safe=True, dh_generator_valid=True)
    world = World(tls=tls(protocols=offers(tls1_2=offer(seen))), prime_users={"abc123": frozenset(environments)})
    return Case("kex.dh-parameters", reason, world, severity=Severity.INFO if reason == "shared" else None)


def _protocols() -> list[Case]:
    cases = []
    for name, bad in (("ssl2", _SSL2), ("ssl3", "TLS_RSA_WITH_AES_128_CBC_SHA"), ("tls1.0", CBC), ("tls1.1", CBC)):
        key = name.replace(".", "_")
        cases += [
            of_tls(f"proto.no-{name}", "not-offered"),
            of_tls(f"proto.no-{name}", "offered", protocols=offers(**{key: offer(bad)})),
            of_tls(f"proto.no-{name}", "not-observed", protocols=offers(**{key: TIMED_OUT})),
            of_tls(f"proto.no-{name}", "not-observed", **_NOTHING),
        ]
    return cases


def _forbidden() -> list[Case]:
    cases = []
    for slug, bad in (
        ("no-null", "TLS_RSA_WITH_NULL_SHA256"),
        ("no-anonymous", "TLS_DH_anon_WITH_AES_128_GCM_SHA256"),
        ("no-export", "TLS_RSA_EXPORT_WITH_RC4_40_MD5"),
        ("no-rc4", "TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
        ("no-64bit-block", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    ):
        rule = f"cipher.{slug}"
        cases += [
            of_tls(rule, "none-accepted"),
            of_tls(rule, "accepted", protocols=offers(tls1_2=offer(GCM, bad)), observed=f"{bad} (tls1.2)"),
            # A bad suite that was seen counts, whatever else could not be looked at.
            of_tls(rule, "accepted", protocols=offers(tls1_0=offer(bad), ssl3=TIMED_OUT)),
            of_tls(rule, "not-observed", protocols=offers(ssl3=TIMED_OUT)),
            of_tls(rule, "not-observed", protocols=offers(tls1_2=offer(GCM, "TLS_OF_TOMORROW"))),
            of_tls(rule, "not-observed", protocols={}),
            of_tls(rule, "not-observed", **_NOTHING),
        ]
    return cases


_LISTED = {"suites": {"tls1.2": [GCM, GCM_256], "tls1.3": [TLS13, "TLS_AES_256_GCM_SHA384"]}}
_DATED = {
    "suites": {"tls1.2": [GCM], "tls1.3": [TLS13, "TLS_AES_256_GCM_SHA384"]},
    "dated": [{"until": date(2026, 12, 31), "suites": [GCM_256]}],
}
_ENDED = {**_DATED, "dated": [{"until": date(2025, 12, 31), "suites": [GCM_256]}]}
_DHE = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"
_GROUPS = {"groups": ["x25519mlkem768", "x25519", "secp256r1"]}


def _dated(until: date, *protocols: str) -> dict[str, object]:
    entry = {"until": until, "groups": ["secp256r1"], **({"protocols": protocols} if protocols else {})}
    return {"groups": ["x25519mlkem768", "x25519"], "dated": [entry]}


_TLS12_GROUPS = {Protocol.TLS1_2: Attempt.ok(("secp256r1",))}

CASES = (
    *_protocols(),
    of_tls("proto.no-tls1.2", "offered"),
    of_tls("proto.no-tls1.2", "allowed", parameters={"demanded": False}),
    of_tls("proto.no-tls1.2", "allowed", parameters={"since": date(2032, 1, 1)}),
    of_tls("proto.no-tls1.2", "offered", parameters={"since": date(2026, 11, 24)}),
    of_tls("proto.no-tls1.2", "not-offered", **tls13_only()),
    of_tls("proto.no-tls1.2", "not-offered", parameters={"demanded": False}, **tls13_only()),
    of_tls("proto.no-tls1.2", "not-observed", protocols=offers(tls1_2=TIMED_OUT)),
    of_tls("proto.tls1.2", "offered"),
    of_tls("proto.tls1.2", "not-offered", protocols=offers(tls1_2=offer(), tls1_3=offer(), tls1_1=offer(CBC))),
    of_tls("proto.tls1.2", "newer-alone", severity=Severity.INFO, **tls13_only()),
    of_tls("proto.tls1.2", "not-observed", protocols=offers(tls1_2=TIMED_OUT)),
    of_tls("proto.tls1.3", "offered"),
    of_tls("proto.tls1.3", "not-offered", **tls12_only()),
    of_tls("proto.tls1.3", "not-observed", protocols=offers(tls1_3=TIMED_OUT)),
    of_tls("comp.none", "off"),
    of_tls("comp.none", "on", compression=YES),
    of_tls("comp.none", "not-observed", compression=TIMED_OUT),
    of_tls("comp.none", "tls1.3-alone", **tls13_only(compression=TIMED_OUT)),
    *_forbidden(),
    of_tls("cipher.forward-secrecy", "all-ephemeral"),
    of_tls("cipher.forward-secrecy", "static", **tls12_only(GCM, "TLS_RSA_WITH_AES_128_GCM_SHA256")),
    of_tls("cipher.forward-secrecy", "static", **tls12_only("TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256")),
    of_tls("cipher.forward-secrecy", "not-observed", protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("cipher.allowed", "all-listed", parameters=_LISTED),
    of_tls("cipher.allowed", "not-listed", parameters=_LISTED, protocols=offers(tls1_2=offer(GCM, CBC))),
    of_tls("cipher.allowed", "not-listed", parameters=_LISTED, protocols=offers(tls1_1=offer(GCM))),
    of_tls("cipher.allowed", "not-observed", parameters=_LISTED, protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("cipher.allowed", "all-listed", parameters=_DATED),
    of_tls("cipher.allowed", "ended", parameters=_ENDED),
    of_tls(
        "cipher.allowed",
        "phase-out",
        parameters={**_LISTED, "phase_out": [CBC]},
        protocols=offers(tls1_2=offer(GCM, CBC)),
        severity=Severity.LOW,
    ),
    of_tls("cipher.server-preference", "as-wanted"),
    of_tls("cipher.server-preference", "otherwise", parameters={"imposed": False}),
    of_tls("cipher.server-preference", "otherwise", protocols=offers(tls1_2=offer(GCM, GCM_256, order=False))),
    of_tls(
        "cipher.server-preference",
        "as-wanted",
        parameters={"imposed": False},
        protocols=offers(tls1_2=offer(GCM, GCM_256, order=False), tls1_3=offer(TLS13)),
    ),
    of_tls("cipher.server-preference", "no-choice", protocols=offers(tls1_2=offer(GCM), tls1_3=offer(TLS13))),
    of_tls(
        "cipher.server-preference",
        "all-good",
        parameters={"indifferent": [GCM, GCM_256, TLS13, TLS13_256]},
        protocols=offers(tls1_2=offer(GCM, GCM_256, order=False)),
    ),
    of_tls(
        "cipher.server-preference",
        "otherwise",
        parameters={"indifferent": [GCM, TLS13, TLS13_256]},
        protocols=offers(tls1_2=offer(GCM, GCM_256, order=False)),
    ),
    of_tls("cipher.server-preference", "not-observed", protocols=offers(tls1_2=offer(GCM, GCM_256, order=None))),
    of_tls("cipher.server-preference", "not-observed", protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("kex.allowed-groups", "all-listed", parameters=_GROUPS),
    of_tls("kex.allowed-groups", "not-listed", parameters={"groups": ["x25519"]}),
    of_tls("kex.allowed-groups", "not-observed", parameters=_GROUPS, groups={}),
    of_tls("kex.allowed-groups", "not-observed", parameters=_GROUPS, classical_curves_only=True),
    of_tls(
        "kex.post-quantum",
        "not-observed",
        groups={Protocol.TLS1_3: Attempt.ok(("x25519",))},
        classical_curves_only=True,
    ),
    of_tls("kex.allowed-groups", "not-observed", parameters=_GROUPS, groups=_TLS12_GROUPS),
    of_tls(
        "kex.allowed-groups",
        "not-observed",
        parameters=_GROUPS,
        groups={Protocol.TLS1_2: TIMED_OUT, Protocol.TLS1_3: Attempt.ok(("x25519",))},
    ),
    of_tls("kex.allowed-groups", "not-observed", parameters=_GROUPS, protocols=offers(ssl3=TIMED_OUT)),
    of_tls("kex.allowed-groups", "ended", parameters=_dated(date(2025, 12, 31))),
    of_tls("kex.allowed-groups", "all-listed", parameters=_dated(date(2031, 12, 31))),
    of_tls("kex.allowed-groups", "not-listed", parameters=_dated(date(2031, 12, 31), "tls1.3")),
    of_tls("kex.allowed-groups", "all-listed", parameters={**_GROUPS, "any_of": ["secp384r1", "secp256r1"]}),
    of_tls("kex.allowed-groups", "none-of", parameters={**_GROUPS, "any_of": ["secp384r1"]}, severity=Severity.HIGH),
    of_tls(
        "kex.allowed-groups",
        "all-listed",
        parameters={"groups": ["x25519", "secp256r1"], "by_protocol": {"tls1.3": ["x25519mlkem768"]}},
    ),
    of_tls(
        "kex.allowed-groups",
        "phase-out",
        parameters={"groups": ["x25519mlkem768", "x25519"], "phase_out": ["secp256r1"]},
        severity=Severity.LOW,
    ),
    of_tls("kex.allowed-groups", "no-groups", groups={}, **tls12_only("TLS_RSA_WITH_AES_128_GCM_SHA256")),
    of_tls("kex.min-dh-bits", "no-dhe"),
    of_tls("kex.min-dh-bits", "large-enough", protocols=offers(tls1_2=offer(suite(_DHE, "ffdhe3072", 3072)))),
    of_tls("kex.min-dh-bits", "too-small", protocols=offers(tls1_2=offer(suite(_DHE, None, 1024, "oakley-2")))),
    of_tls(
        "kex.min-dh-bits",
        "too-small",
        protocols=offers(tls1_2=offer(suite(_DHE, None, 1024)), ssl3=TIMED_OUT),
    ),
    of_tls("kex.min-dh-bits", "not-prime", protocols=offers(tls1_2=offer(suite(_DHE, None, 2048, "composite")))),
    of_tls("kex.min-dh-bits", "not-observed", protocols=offers(tls1_2=offer(suite(_DHE)))),
    of_tls("kex.min-dh-bits", "not-observed", protocols=offers(tls1_1=TIMED_OUT)),
    of_tls("kex.min-dh-bits", "not-observed", parameters={"bits": 3000}, groups={}),
    # TLS 1.3 has groups of 2048 bits and more: whether they were seen matters where more is wanted, and only there.
    of_tls(
        "kex.min-dh-bits",
        "large-enough",
        protocols=offers(tls1_2=offer(suite(_DHE, "ffdhe3072", 3072))),
        groups={Protocol.TLS1_3: TIMED_OUT},
    ),
    of_tls(
        "kex.min-dh-bits",
        "not-observed",
        parameters={"bits": 3000},
        protocols=offers(tls1_2=offer(suite(_DHE, "ffdhe3072", 3072))),
        groups={Protocol.TLS1_3: TIMED_OUT},
    ),
    of_tls(
        "kex.min-dh-bits", "too-small", parameters={"bits": 3000}, groups={Protocol.TLS1_3: Attempt.ok(("ffdhe2048",))}
    ),
    of_tls(
        "kex.min-dh-bits",
        "phase-out",
        parameters={"phase_out_below": 3072},
        protocols=offers(tls1_2=offer(suite(_DHE, None, 2048))),
        severity=Severity.LOW,
    ),
    of_tls("kex.dh-parameters", "no-dhe"),
    of_tls("kex.dh-parameters", "not-observed", protocols=offers(tls1_0=TIMED_OUT)),
    of_tls("kex.dh-parameters", "not-observed", **_NOTHING),
    _dh("not-observed"),
    _dh("safe", "ffdhe2048", observed="ffdhe2048", dh_generator_valid=True),
    _dh("safe", "custom", observed="a prime of 2048 bits that is not published", dh_safe=True, dh_generator_valid=True),
    _dh("not-observed", "ffdhe2048"),  # evidence of before the generator was read
    _dh("not-observed", "custom", dh_generator_valid=True),
    _dh("not-prime", "composite", dh_safe=False, dh_generator_valid=True, severity=Severity.CRITICAL),
    _dh("not-prime", "composite"),
    _dh("bad-generator", "oakley-14", dh_generator_valid=False, severity=Severity.CRITICAL),
    _dh("not-safe", "rfc5114-24", observed="rfc5114-24", severity=Severity.LOW),
    _dh("common", "apache-2.0.18-1024", bits=1024, observed="apache-2.0.18-1024", severity=Severity.LOW),
    _dh("common", "oakley-2", bits=1024, dh_generator_valid=True, severity=Severity.LOW),
    _dh("safe", "haproxy-1.6-2048", observed="haproxy-1.6-2048", dh_generator_valid=True),
    _dh("safe", "custom", bits=1024, dh_safe=True, dh_generator_valid=True),
    _dh("not-safe", "rfc5114-22", bits=1024, severity=Severity.LOW),
    _dh("not-safe", "custom", dh_safe=False, dh_generator_valid=True, severity=Severity.LOW),
    _shared("safe", "production"),
    _shared("shared", "production", "test"),
    of_tls("kex.min-ec-bits", "large-enough"),
    of_tls("kex.min-ec-bits", "too-small", groups={Protocol.TLS1_2: Attempt.ok(("x25519", "secp192r1"))}),
    of_tls("kex.min-ec-bits", "too-small", protocols=offers(tls1_2=offer(suite(GCM, None, 160)))),
    of_tls("kex.min-ec-bits", "not-observed", groups={Protocol.TLS1_3: Attempt.ok(("x25519",))}),
    of_tls(
        "kex.min-ec-bits",
        "not-observed",
        groups={Protocol.TLS1_2: Attempt.ok(("newcurve",)), Protocol.TLS1_3: Attempt.ok(())},
    ),
    of_tls("kex.min-ec-bits", "no-ecdhe", groups={}, **tls12_only("TLS_RSA_WITH_AES_128_GCM_SHA256")),
    of_tls("kex.post-quantum", "offered", observed="x25519mlkem768"),
    of_tls("kex.post-quantum", "not-offered", groups={Protocol.TLS1_3: Attempt.ok(("x25519",))}),
    of_tls("kex.post-quantum", "no-tls1.3", groups={}, **tls12_only()),
    of_tls("kex.post-quantum", "not-observed", groups={Protocol.TLS1_3: Attempt.failed(FailureReason.RESET)}),
    of_tls("kex.post-quantum", "not-observed", groups={}, protocols=offers(tls1_3=TIMED_OUT)),
    of_tls("kex.post-quantum", "not-observed", groups={}, **_NOTHING),
    of_tls("comp.none", "off", compression=NO, **tls12_only()),
)
