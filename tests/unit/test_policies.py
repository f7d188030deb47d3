"""The policies that ship: their form, their names, and what their sources say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from scanner.errors import PolicyError
from scanner.evaluate import judge
from scanner.evidence import Attempt, KeyType, Protocol
from scanner.policy import Policy, PolicyRule, builtin_names, load
from scanner.probe.iana import cipher_suites, groups, signature_schemes
from scanner.rules import Parameters, all_rules, bind
from scanner.rules.tls.suites import classify
from scanner.verdict import Severity, Status, Verdict
from tests.build.certificates import intermediate
from tests.build.facts import (
    GCM,
    GCM_256,
    TLS13,
    World,
    certificate,
    deployment,
    facts,
    offer,
    offers,
    suite,
    tls,
    tls13_only,
    trusted,
)

EXPECTED = {
    "bsi-tr-02102-2", "cabf-br", "cisa-bod-18-01", "https-by-default", "mozilla-intermediate", "mozilla-modern",
    "mozilla-old", "ncsc-nl", "nist-sp800-52r2", "owasp-asvs-5-v12", "pci-dss-4.0.1", "rfc9325",
}  # fmt: skip
POLICIES = {name: load(name) for name in builtin_names()}
_EVERY = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def parameters(policy: str, rule: str) -> Any:
    return next(bound.parameters for bound in bind(POLICIES[policy]) if bound.rule.id == rule)


def verdict(policy: str, rule: str, world: World) -> Verdict:
    bound = next(item for item in bind(POLICIES[policy]) if item.rule.id == rule)
    (found,) = judge(bound, facts(world))
    return found


def test_they_are_the_ones_that_were_asked_for() -> None:
    assert set(POLICIES) == EXPECTED


@_EVERY
def test_a_policy_names_rules_that_exist_and_says_who_demands_each(policy: Policy) -> None:
    bound = bind(policy)
    assert policy.id in EXPECTED
    assert policy.title
    assert policy.url.startswith("https://")
    assert len(policy.description) > 100
    for rule in bound:
        assert rule.sources, rule.rule.id
        listed = policy.rules[rule.rule.id].sources
        if policy.id != "https-by-default":
            assert listed, f"{rule.rule.id} has no source of its own"
            assert all(source.clause for source in listed), rule.rule.id


@_EVERY
def test_what_was_not_verified_is_said_in_the_description(policy: Policy) -> None:
    clauses = [source.clause for rule in policy.rules.values() for source in rule.sources]
    clauses += [item.clause for item in policy.out_of_scope]
    if any("unverified" in clause for clause in clauses):
        assert any(word in policy.description for word in ("unverified", "not read", "not verified"))


@_EVERY
def test_every_name_in_a_policy_is_registered(policy: Policy) -> None:
    known_suites = {item.name for item in cipher_suites().values()}
    known_groups = {item.name for item in groups().values()}
    known_schemes = {item.name for item in signature_schemes().values()}
    for bound in bind(policy):
        values = bound.parameters.model_dump()
        if bound.rule.id == "cipher.allowed":
            listed = {name for names in values["suites"].values() for name in names}
            listed |= {name for entry in values["dated"] for name in entry["suites"]} | set(values["phase_out"])
            assert listed <= known_suites
            assert len(listed) >= 3
        if bound.rule.id == "cipher.server-preference":
            assert set(values["indifferent"]) <= known_suites
        if bound.rule.id == "kex.allowed-groups":
            listed = {*values["groups"], *values["any_of"], *values["phase_out"]}
            listed |= {name for entry in values["dated"] for name in entry["groups"]}
            assert listed <= known_groups
        if bound.rule.id == "integrity.signature-algorithms":
            listed = {name for names in values["allowed"].values() for name in names} | set(values["phase_out"])
            assert listed <= known_schemes


@_EVERY
def test_suites_stand_under_the_protocol_that_has_them_and_none_is_worthless(policy: Policy) -> None:
    if "cipher.allowed" not in policy.rules:
        return
    for protocol, names in parameters(policy.id, "cipher.allowed").suites.items():
        for name in names:
            found = classify(name)
            assert found is not None
            assert found.tls13 == (protocol is Protocol.TLS1_3), name
            assert not any((found.null, found.anonymous, found.export, found.rc4)), name
            if protocol in {Protocol.TLS1_0, Protocol.TLS1_1}:
                assert found.mac == "SHA", name


@_EVERY
def test_no_policy_allows_suites_of_a_protocol_that_it_forbids(policy: Policy) -> None:
    if "cipher.allowed" not in policy.rules:
        return
    allowed = {protocol for protocol, names in parameters(policy.id, "cipher.allowed").suites.items() if names}
    for protocol in allowed:
        rule = f"proto.no-{protocol.value}"
        if rule in policy.rules and policy.id != "nist-sp800-52r2" and protocol is not Protocol.TLS1_2:
            pytest.fail(f"{policy.id} forbids {protocol} and lists suites for it")


def test_https_by_default_lists_every_rule_that_need_not_be_asked_for() -> None:
    wanted = {rule.id for rule in all_rules().values() if not rule.opt_in}
    assert set(POLICIES["https-by-default"].rules) == wanted
    assert len(set(all_rules()) - wanted) < len(wanted) / 2


def test_https_by_default_informs_where_the_contract_says_so() -> None:
    bound = bind(POLICIES["https-by-default"])
    informing = {item.rule.id for item in bound if item.severity is Severity.INFO}
    assert informing >= {
        "kex.post-quantum", "dns.caa", "cert.stapled", "https.hsts-preload", "cipher.server-preference",
    }  # fmt: skip
    # A rule that is more than information by itself is so here too.
    assert informing == {item.rule.id for item in bound if item.rule.severity is Severity.INFO}


def test_https_by_default_has_the_bar_of_the_contract() -> None:
    assert parameters("https-by-default", "kex.min-dh-bits").bits == 2048
    assert parameters("https-by-default", "kex.min-ec-bits").bits == 224
    assert parameters("https-by-default", "cert.key").min_rsa_bits == 2048
    assert parameters("https-by-default", "https.hsts-max-age").seconds == 365 * 86400
    assert (
        parameters("https-by-default", "cert.expiry").days,
        parameters("https-by-default", "cert.expiry").urgent_days,
    ) == (30, 7)
    allowed = parameters("https-by-default", "cipher.allowed").suites
    assert set(allowed) == {Protocol.TLS1_2, Protocol.TLS1_3}
    for name in (name for names in allowed.values() for name in names):
        found = classify(name)
        assert found is not None
        assert found.aead
        assert found.ephemeral
        assert found.mode != "CCM_8"


@pytest.mark.parametrize(
    ("policy", "protocol", "number"),
    [
        ("mozilla-intermediate", "tls1.2", 6),
        ("mozilla-intermediate", "tls1.3", 3),
        ("mozilla-modern", "tls1.3", 3),
        ("mozilla-old", "tls1.2", 21),
        ("nist-sp800-52r2", "tls1.2", 56),
        ("nist-sp800-52r2", "tls1.3", 4),
        ("ncsc-nl", "tls1.2", 8),
        ("ncsc-nl", "tls1.3", 4),
    ],
)
def test_the_lists_are_as_long_as_their_sources(policy: str, protocol: str, number: int) -> None:
    names = parameters(policy, "cipher.allowed").suites[Protocol(protocol)]
    assert len(set(names)) == len(names) == number


def test_ncscs_phase_out_is_as_long_as_its_source() -> None:
    assert len(set(parameters("ncsc-nl", "cipher.allowed").phase_out)) == 10 + 10 + 15


_DHE = "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"
_STATIC = "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256"


@pytest.mark.parametrize(
    ("day", "suites_", "reason"),
    [
        ("2026-12-31", (GCM, _STATIC), "all-listed"),
        ("2027-01-01", (GCM, _STATIC), "ended"),
        ("2029-12-31", (GCM, suite(_DHE, "ffdhe3072", 3072)), "all-listed"),
        ("2030-01-01", (GCM, suite(_DHE, "ffdhe3072", 3072)), "ended"),
        ("2031-12-31", (GCM, GCM_256), "all-listed"),
        ("2032-01-01", (GCM, GCM_256), "ended"),
        ("2026-12-31", (GCM, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"), "not-listed"),
    ],
)
def test_bsis_years_are_part_of_the_judgement(day: str, suites_: tuple[Any, ...], reason: str) -> None:
    world = World(
        tls=tls(protocols=offers(tls1_2=offer(*suites_))),
        now=datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC),
    )
    assert verdict("bsi-tr-02102-2", "cipher.allowed", world).reason == reason


@pytest.mark.parametrize(("day", "status"), [("2031-12-31", Status.NOT_APPLICABLE), ("2032-01-01", Status.FAIL)])
def test_bsi_takes_tls12_until_the_end_of_2031(day: str, status: Status) -> None:
    world = World(now=datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=UTC))
    assert verdict("bsi-tr-02102-2", "proto.no-tls1.2", world).status is status


@pytest.mark.parametrize(
    ("policy", "group", "reason"),
    [
        ("bsi-tr-02102-2", "x25519", "not-listed"),
        ("bsi-tr-02102-2", "secp256r1mlkem768", "all-listed"),
        ("bsi-tr-02102-2", "ffdhe2048", "ended"),
        ("ncsc-nl", "ffdhe3072", "phase-out"),
        ("ncsc-nl", "ffdhe2048", "not-listed"),
        ("ncsc-nl", "x25519mlkem768", "all-listed"),
        ("nist-sp800-52r2", "x25519", "not-listed"),
        ("nist-sp800-52r2", "secp521r1", "none-of"),
        ("nist-sp800-52r2", "secp384r1", "all-listed"),
        ("mozilla-intermediate", "x448", "not-listed"),
        ("rfc9325", "secp384r1", "none-of"),
        ("https-by-default", "ffdhe2048", "all-listed"),
    ],
)
def test_sources_disagree_on_groups_and_each_policy_follows_its_own(policy: str, group: str, reason: str) -> None:
    only = tls(groups={Protocol.TLS1_3: Attempt.ok((group,))}, **tls13_only())
    assert verdict(policy, "kex.allowed-groups", World(tls=only)).reason == reason


@pytest.mark.parametrize(
    ("policy", "status", "severity"),
    [
        ("https-by-default", Status.PASS, None),
        ("mozilla-intermediate", Status.PASS, None),
        ("mozilla-modern", Status.FAIL, Severity.MEDIUM),
        ("nist-sp800-52r2", Status.PASS, None),
        ("pci-dss-4.0.1", Status.PASS, None),
        ("bsi-tr-02102-2", Status.FAIL, Severity.MEDIUM),
        ("ncsc-nl", Status.FAIL, Severity.LOW),
        ("owasp-asvs-5-v12", Status.FAIL, Severity.LOW),
        ("cabf-br", Status.PASS, None),
    ],
)
def test_sources_disagree_on_rsa_of_2048_bits(policy: str, status: Status, severity: Severity | None) -> None:
    rsa = certificate(key_type=KeyType.RSA, key_bits=2048, curve=None)
    found = verdict(policy, "cert.key", World(tls=tls(deployment(rsa))))
    assert found.status is status
    assert severity in {None, found.severity}


_OF_PUBLIC_CAS = (
    "cert.lifetime",
    "cert.renewal-ready",
    "cert.key",
    "cert.signature",
    "cert.usage",
    "cert.transparency",
    "dns.caa",
)


@pytest.mark.parametrize("rule", _OF_PUBLIC_CAS)
def test_the_baseline_requirements_leave_private_cas_alone(rule: str) -> None:
    bad = certificate(key_type=KeyType.RSA, key_bits=1024, signature_hash="sha1", is_ca=True)
    private = deployment(bad, paths=(trusted(bad, intermediate(), public=False),))
    found = verdict("cabf-br", rule, World(tls=tls(private)))
    assert (found.status, found.reason) == (Status.NOT_APPLICABLE, "private-ca")


def test_the_baseline_requirements_hold_no_rule_beside_those() -> None:
    assert set(POLICIES["cabf-br"].rules) == set(_OF_PUBLIC_CAS)


def test_mozilla_modern_wants_tls13_alone() -> None:
    assert verdict("mozilla-modern", "proto.no-tls1.2", World()).status is Status.FAIL
    assert verdict("mozilla-modern", "cipher.allowed", World()).observed == f"{GCM} (tls1.2), {GCM_256} (tls1.2)"
    only = World(tls=tls(**tls13_only()))
    assert verdict("mozilla-modern", "proto.no-tls1.2", only).status is Status.PASS
    assert verdict("mozilla-modern", "cipher.allowed", only).status is Status.PASS


def test_a_phase_out_is_low_however_high_the_rule_stands() -> None:
    cbc = "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"
    found = verdict("ncsc-nl", "cipher.allowed", World(tls=tls(protocols=offers(tls1_2=offer(GCM, cbc)))))
    assert (found.reason, found.severity) == ("phase-out", Severity.LOW)
    bad = "TLS_RSA_WITH_AES_128_GCM_SHA256"
    found = verdict("ncsc-nl", "cipher.allowed", World(tls=tls(protocols=offers(tls1_2=offer(GCM, bad)))))
    assert (found.reason, found.severity) == ("not-listed", Severity.HIGH)


def test_ncsc_asks_for_the_servers_order_only_where_it_matters() -> None:
    client = tls(protocols=offers(tls1_2=offer(GCM, GCM_256, order=False), tls1_3=offer(TLS13)))
    assert verdict("ncsc-nl", "cipher.server-preference", World(tls=client)).reason == "all-good"


def test_a_policy_of_ones_own_may_extend_one_that_ships(tmp_path: Any) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[policy]\nid = "own"\ntitle = "Own"\nversion = "1"\ndate = 2026-01-01\nextends = "mozilla-intermediate"\n'
        '[rules."https.hsts-max-age"]\nparameters = { seconds = 60 }\n[drop]\n"cert.stapled" = "no OCSP any more"\n',
        encoding="utf-8",
    )
    own = load(str(path))
    bound = {item.rule.id: item for item in bind(own)}
    assert set(bound) == set(POLICIES["mozilla-intermediate"].rules) - {"cert.stapled"}
    assert own.dropped == {"cert.stapled": "no OCSP any more"}
    assert bound["https.hsts-max-age"].parameters.model_dump() == {"seconds": 60}
    assert own.digest != POLICIES["mozilla-intermediate"].digest


def test_parameters_that_no_policy_sets_are_those_that_validation_gives() -> None:
    """They are made without it; what a default is, and that no other value is taken for it, must not depend on that."""
    bare = replace(POLICIES["https-by-default"], rules={rule_id: PolicyRule(rule_id) for rule_id in all_rules()})

    for bound in bind(bare):
        validated = bound.rule.parameters.model_validate({})
        assert bound.parameters == validated, bound.rule.id
        assert bound.parameters.model_fields_set == set()
        assert bound.parameters.model_dump(mode="json") == validated.model_dump(mode="json")


def test_a_parameter_without_a_default_must_be_set() -> None:
    class Demanding(Parameters):
        wanted: int

    rule = structs.replace(all_rules()["cert.expiry"], parameters=Demanding)
    bare = replace(POLICIES["https-by-default"], rules={rule.id: PolicyRule(rule.id)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scanner.rules.registry.binding.all_rules", lambda: {rule.id: rule})
        with pytest.raises(PolicyError, match="wanted"):
            bind(bare)
