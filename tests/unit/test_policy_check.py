"""A policy that names what is not there, or demands what no server can meet, is told so before it judges anything."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from scanner.policy import builtin_names, load
from scanner.policy_check import check_policy

TODAY = date(2026, 11, 24)
_HEAD = '[policy]\nid = "own"\ntitle = "Own"\nversion = "1"\ndate = 2026-01-01\n'
_SOURCE = 'source = { document = "Ours", clause = "1" }\n'
_GCM = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
_CBC = "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
_RSA = "TLS_RSA_WITH_AES_128_GCM_SHA256"
_DHE = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"
_TLS13 = "TLS_AES_128_GCM_SHA256"


def rule(rule_id: str, parameters: str = "", severity: str = "high") -> str:
    listed = f"parameters = {{ {parameters} }}\n" if parameters else ""
    return f'[rules."{rule_id}"]\nseverity = "{severity}"\n{listed}{_SOURCE}'


def suites(**by_protocol: str) -> str:
    listed = ", ".join(f'"{name.replace("_", ".")}" = ["{suite}"]' for name, suite in by_protocol.items())
    return rule("cipher.allowed", f"suites = {{ {listed} }}")


def found(tmp_path: Path, *parts: str, today: date = TODAY) -> tuple[list[str], list[str]]:
    path = tmp_path / "own.toml"
    path.write_text(_HEAD + "".join(parts), encoding="utf-8")
    checked = check_policy(load(str(path)), today)
    return [str(problem) for problem in checked.errors], [str(problem) for problem in checked.warnings]


@pytest.mark.parametrize("name", builtin_names())
def test_no_policy_that_ships_contradicts_itself(name: str) -> None:
    assert check_policy(load(name), TODAY).errors == ()


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((rule("proto.tls1.2"), rule("proto.no-tls1.2")), "proto.no-tls1.2 forbids it"),
        ((rule("proto.tls1.3"), suites(tls1_2=_GCM)), "allows no suite in tls1.3, which proto.tls1.3 demands"),
        ((rule("proto.no-tls1.0"), suites(tls1_0=_CBC)), "allows suites only in protocols that the policy forbids"),
        ((suites(tls1_2=_TLS13),), f"{_TLS13} is not a cipher suite of tls1.2"),
        ((suites(tls1_3=_GCM),), f"{_GCM} is not a cipher suite of tls1.3"),
        ((suites(tls1_1=_GCM),), f"{_GCM} needs TLS 1.2"),
        (
            (rule("proto.tls1.2"), rule("cipher.forward-secrecy"), suites(tls1_2=_RSA)),
            "allows in tls1.2 only suites on which cipher.forward-secrecy fails, and proto.tls1.2 demands it",
        ),
        (
            (rule("proto.tls1.2"), rule("integrity.aead"), suites(tls1_2=_CBC)),
            "allows in tls1.2 only suites on which integrity.aead fails",
        ),
        (
            (suites(tls1_2="TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA265"),),
            f'in the registry of the IANA (did you mean "{_GCM}"?)',
        ),
        ((rule("kex.allowed-groups", 'groups = ["x25591"]'),), 'no group "x25591" in the registry of the IANA'),
        (
            (rule("integrity.signature-algorithms", 'allowed = { "tls1.2" = ["rsa_pss_rsae_sha265"] }'),),
            'did you mean "rsa_pss_rsae_sha256"?',
        ),
        (
            (rule("kex.allowed-groups", 'groups = ["x25519"], any_of = ["secp256r1"]'),),
            "demands one of secp256r1, and none of them is allowed",
        ),
        (
            (rule("kex.allowed-groups", 'groups = ["x25519"]'), rule("kex.post-quantum")),
            "kex.allowed-groups allows no group with ML-KEM",
        ),
        (
            (rule("kex.allowed-groups", 'groups = ["ffdhe2048"]'), rule("kex.min-dh-bits", "bits = 3072")),
            "forbids every finite-field group that kex.allowed-groups allows",
        ),
        ((rule("cert.expiry", "days = 7, urgent_days = 30"),), "should be at most days (7), not 30"),
    ],
)
def test_what_no_server_can_meet_is_an_error(tmp_path: Path, parts: tuple[str, ...], error: str) -> None:
    errors, _ = found(tmp_path, *parts)

    assert len(errors) == 1, errors
    assert error in errors[0]
    assert errors[0].startswith('rules."')


@pytest.mark.parametrize(
    ("parts", "warning"),
    [
        ((rule("proto.no-tls1.1"), suites(tls1_1=_CBC, tls1_2=_GCM)), "lists suites for tls1.1, which proto.no-tls1.1"),
        ((rule("cipher.forward-secrecy"), suites(tls1_2=_RSA)), f"lists {_RSA}, on which cipher.forward-secrecy fails"),
        ((rule("kex.min-dh-bits"), suites(tls1_2=_GCM)), "never applies where the policy is met"),
        (
            (
                rule("kex.allowed-groups", 'groups = ["ffdhe2048", "ffdhe3072"]'),
                rule("kex.min-dh-bits", "bits = 3072"),
                suites(tls1_2=_DHE),
            ),
            "fails on the finite-field group ffdhe2048, which kex.allowed-groups allows",
        ),
        (('[rules."comp.none"]\n',), "rules: 1 of 1 have no source: comp.none"),
    ],
)
def test_what_is_in_vain_or_without_authority_is_a_warning(
    tmp_path: Path, parts: tuple[str, ...], warning: str
) -> None:
    errors, warnings = found(tmp_path, *parts)

    assert errors == []
    assert len(warnings) == 1, warnings
    assert warning in warnings[0]


def test_a_demand_that_begins_later_contradicts_nothing_until_then(tmp_path: Path) -> None:
    parts = (rule("proto.tls1.2"), rule("proto.no-tls1.2", "since = 2032-01-01"))

    assert found(tmp_path, *parts) == ([], [])
    assert found(tmp_path, *parts, today=date(2032, 1, 1))[0] != []


def test_what_is_only_information_demands_nothing(tmp_path: Path) -> None:
    informing = rule("kex.post-quantum", severity="info")

    assert found(tmp_path, rule("kex.allowed-groups", 'groups = ["x25519"]'), informing) == ([], [])
