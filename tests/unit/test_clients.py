"""What is computed of clients: the choice, what they demand, and that unknown is no answer."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources

import pytest

from reports.clients import ClientsAt, in_words, outcomes, told
from scanner.clients import Why, all_clients, connect, server_of
from scanner.errors import UsageError
from scanner.evidence import AcceptedSuite, Attempt, FailureReason, KeyType, Protocol, ProtocolOffer, TlsEvidence
from scanner.jobs.client_changes import as_the_policy_wants, parse_change
from scanner.policy import load
from scanner.probe import iana
from tests.build.facts import NO, YES, World, certificate, deployment, facts

AES_GCM, AES_CBC, STATIC = (
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
)
TLS13 = "TLS_AES_128_GCM_SHA256"
SCHEMES = ("rsa_pss_rsae_sha256", "rsa_pkcs1_sha256")


def tls(offers: dict[Protocol, tuple[str, ...]], *, groups=("x25519", "secp256r1"), leaf=None, **more) -> TlsEvidence:
    """A server with that and nothing else; all of it was seen."""
    protocols = {
        item: Attempt.ok(ProtocolOffer(tuple(AcceptedSuite(name) for name in offers.get(item, ()))))
        for item in Protocol
    }
    known = {
        "protocols": protocols,
        "groups": {item: Attempt.ok(groups) for item in offers},
        "signature_schemes": {item: Attempt.ok(SCHEMES) for item in offers},
        "certificates": Attempt.ok((deployment(leaf or certificate(key_type=KeyType.RSA, key_bits=2048, curve=None)),)),
        "secure_renegotiation": YES,
    }
    return dataclasses.replace(TlsEvidence(), **(known | more))


def at(client: str, server: TlsEvidence):
    return connect(all_clients()[client], server_of(server))


def test_every_name_in_the_data_is_registered() -> None:
    suites = {suite.name for suite in iana.cipher_suites().values()}
    groups = {group.name for group in iana.groups().values()}
    unknown = {name for client in all_clients().values() for name in client.suites if "anon" not in name} - suites

    assert len(all_clients()) >= 80
    assert unknown == set()
    assert {name for client in all_clients().values() for name in client.key_shares or ()} <= groups


def test_a_profile_says_how_it_was_found() -> None:
    for client in all_clients().values():
        assert client.how in {"measured", "cross-checked", "source"}, client.id
        assert client.confidence in {"high", "medium"}, client.id


def test_a_profile_has_the_sources_that_its_word_for_them_claims() -> None:
    text = resources.files("scanner.clients").joinpath("clients.toml").read_text("utf-8")
    for row in tomllib.loads(text)["client"]:
        sources = [source for source in row["source"] if source["what"] not in {"support", "released"}]
        kinds = {source["what"] for source in sources}
        assert all(source["where"] for source in sources), row["id"]
        if row["how"] == "measured":
            assert "measured" in kinds, row["id"]
        elif row["how"] == "cross-checked":
            assert len(sources) >= 2, row["id"]
        else:
            assert sources, row["id"]


@pytest.mark.parametrize(
    ("client", "connects_at"),
    [
        ("safari-8", {Protocol.TLS1_0, Protocol.TLS1_2}),
        ("safari-10", {Protocol.TLS1_0, Protocol.TLS1_2}),
        ("firefox-71", {Protocol.TLS1_0, Protocol.TLS1_2, Protocol.TLS1_3}),
        ("edge-17", {Protocol.TLS1_0, Protocol.TLS1_2}),
        ("java-8u161", {Protocol.TLS1_0, Protocol.TLS1_2}),
        ("java-8u291", {Protocol.TLS1_2}),
        ("java-8", {Protocol.TLS1_2, Protocol.TLS1_3}),
        ("dotnet-framework-4.5", {Protocol.TLS1_0}),
        ("schannel-2019", {Protocol.TLS1_0, Protocol.TLS1_2}),
        ("schannel-2022", {Protocol.TLS1_0, Protocol.TLS1_2, Protocol.TLS1_3}),
    ],
)
def test_versions_that_clients_nobody_can_run_here_connect_with(client, connects_at) -> None:
    """At a server with that version alone, and common suites."""
    suites = {Protocol.TLS1_0: (AES_CBC,), Protocol.TLS1_2: (AES_GCM, AES_CBC), Protocol.TLS1_3: (TLS13,)}

    assert {version for version in suites if at(client, tls({version: suites[version]})).connects} == connects_at


def test_java_before_the_policy_files_has_no_large_keys() -> None:
    large = tls({Protocol.TLS1_2: ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",)})

    assert [at(client, large).connects for client in ("java-8u111", "java-8u161")] == [False, True]


@pytest.mark.parametrize(
    ("client", "offers", "protocol", "suite"),
    [
        ("chromium-156", {Protocol.TLS1_2: (AES_GCM,), Protocol.TLS1_3: (TLS13,)}, "tls1.3", TLS13),
        ("chrome-64", {Protocol.TLS1_2: (AES_GCM,), Protocol.TLS1_3: (TLS13,)}, "tls1.2", AES_GCM),
        ("wget-1.21", {Protocol.TLS1_0: (AES_CBC,)}, "tls1.0", AES_CBC),
        ("curl-7.88", {Protocol.TLS1_0: (STATIC,)}, "tls1.0", STATIC),
    ],
)
def test_connects(client, offers, protocol, suite) -> None:
    found = at(client, tls(offers))

    assert (found.connects, found.protocol, found.suite) == (True, protocol, suite)
    assert found.forward_secrecy is (suite != STATIC)


@pytest.mark.parametrize(
    ("client", "server", "why"),
    [
        ("chromium-156", tls({Protocol.TLS1_1: (AES_CBC,)}), Why.PROTOCOL),
        ("go-1.27", tls({Protocol.TLS1_2: (STATIC,)}), Why.SUITE),
        ("chromium-156", tls({Protocol.TLS1_3: (TLS13,)}, groups=("secp521r1",)), Why.GROUP),
        ("curl-7.88", tls({Protocol.TLS1_1: (AES_CBC,)}), Why.OLD_SIGNATURE),
        (
            "chromium-156",
            tls({Protocol.TLS1_3: (TLS13,)}, signature_schemes={Protocol.TLS1_3: Attempt.ok(("rsa_pss_pss_sha256",))}),
            Why.SIGNATURE,
        ),
        (
            "firefox-esr-153",
            tls({Protocol.TLS1_2: (AES_GCM,)}, leaf=certificate(key_type=KeyType.RSA, key_bits=512, curve=None)),
            Why.RSA_BITS,
        ),
        (
            "chromium-156",
            tls(
                {Protocol.TLS1_2: (AES_GCM,)},
                leaf=certificate(key_type=KeyType.RSA, key_bits=2048, curve=None, dns_names=()),
            ),
            Why.NO_NAMES,
        ),
        ("node-24", tls({Protocol.TLS1_2: (AES_GCM,)}, secure_renegotiation=NO), Why.RENEGOTIATION),
    ],
)
def test_does_not_connect_and_why(client, server, why) -> None:
    found = at(client, server)

    assert (found.connects, found.why) == (False, why)


LOST: Attempt = Attempt.failed(FailureReason.TIMED_OUT)


@pytest.mark.parametrize(
    "lost",
    [
        {"certificates": LOST},
        {"protocols": dict.fromkeys(Protocol, LOST)},
        {"secure_renegotiation": LOST},
        {"groups": {Protocol.TLS1_2: LOST}},
    ],
)
def test_what_was_not_seen_gives_no_answer(lost) -> None:
    known = tls({Protocol.TLS1_2: (AES_GCM,)})
    assert at("node-24", known).connects is True

    found = at("node-24", dataclasses.replace(known, **lost))

    assert (found.connects, found.why) == (None, Why.SERVER_UNKNOWN)


def test_a_newer_version_that_was_not_seen_leaves_it_open() -> None:
    known = tls({Protocol.TLS1_2: (AES_GCM,)})
    unsure = dataclasses.replace(known, protocols={**known.protocols, Protocol.TLS1_3: LOST})

    assert at("chromium-156", unsure).connects is None
    assert at("chrome-64", unsure).connects is True  # it has no TLS 1.3


def test_suites_that_may_be_missing_refuse_nobody() -> None:
    part = Attempt.partial(ProtocolOffer((AcceptedSuite(STATIC),)), LOST.failure)
    known = tls({Protocol.TLS1_2: (STATIC,)})

    assert at("go-1.27", known).connects is False
    assert (
        at("go-1.27", dataclasses.replace(known, protocols={**known.protocols, Protocol.TLS1_2: part})).connects is None
    )


def test_a_second_hello_is_tried() -> None:
    triple_des = tls({Protocol.TLS1_2: ("TLS_RSA_WITH_3DES_EDE_CBC_SHA",)})

    assert at("chrome-92", triple_des).second_hello is True
    assert at("chrome-109", triple_des).connects is False


GROUPS = frozenset({"x25519", "secp256r1", "secp384r1"})
EVERYTHING = tls({Protocol.TLS1_2: (AES_GCM, AES_CBC, STATIC), Protocol.TLS1_3: (TLS13,)})


def left(change: str) -> dict[Protocol, tuple[str, ...]]:
    changed = parse_change(change, GROUPS).applied(EVERYTHING)
    return {item: tuple(suite.name for suite in changed.offer(item).value.suites) for item in changed.negotiated}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("no tls1.2 cbc", {Protocol.TLS1_2: (AES_GCM,), Protocol.TLS1_3: (TLS13,)}),
        ("no cbc", {Protocol.TLS1_2: (AES_GCM,), Protocol.TLS1_3: (TLS13,)}),
        ("no rsa", {Protocol.TLS1_2: (AES_GCM, AES_CBC), Protocol.TLS1_3: (TLS13,)}),
        ("no tls1.3", {Protocol.TLS1_2: (AES_GCM, AES_CBC, STATIC)}),
        ("only tls1.3", {Protocol.TLS1_3: (TLS13,)}),
        ("only aead, no tls1.3", {Protocol.TLS1_2: (AES_GCM,)}),
        ("no tls1.1 tls1.2", {Protocol.TLS1_3: (TLS13,)}),
        (f"no {AES_GCM.lower()}", {Protocol.TLS1_2: (AES_CBC, STATIC), Protocol.TLS1_3: (TLS13,)}),
        ("no x25519", {Protocol.TLS1_2: (AES_GCM, AES_CBC, STATIC), Protocol.TLS1_3: (TLS13,)}),
    ],
)
def test_a_change_takes_away_what_its_words_mean(change, expected) -> None:
    assert left(change) == expected


def test_a_group_is_taken_away() -> None:
    changed = parse_change("no x25519 secp256r1", GROUPS).applied(EVERYTHING)

    assert at("chromium-156", changed).why is Why.GROUP


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("cbc", 'begins with "no" or "only"'),
        ("no", 'begins with "no" or "only"'),
        ("no cbcs", 'did you mean "cbc"?'),
        ("no tls1.2 x25519", "as a separate clause"),
        ("", "such as"),
    ],
)
def test_a_change_that_is_none_is_explained(change, said) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        parse_change(change, GROUPS)


def test_what_a_policy_takes_away() -> None:
    server = tls({Protocol.TLS1_0: (AES_CBC,), Protocol.TLS1_2: (AES_GCM, STATIC), Protocol.TLS1_3: (TLS13,)})

    changed = as_the_policy_wants(facts(World(tls=server)), load("mozilla-modern"))

    assert changed is not None
    assert changed.negotiated == (Protocol.TLS1_3,)
    assert at("chrome-64", server).connects is True
    assert at("chrome-64", changed).why is Why.PROTOCOL
    changed = as_the_policy_wants(facts(World(tls=server)), load("mozilla-intermediate"))
    assert changed is not None
    assert [suite.name for suite in changed.offer(Protocol.TLS1_2).value.suites] == [AES_GCM]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_lines_are_as_wide_as_the_terminal(width: int) -> None:
    """Whatever is longer goes on in the next line, indented, and loses nothing."""
    known = tls({Protocol.TLS1_2: (AES_GCM,)})
    found = ClientsAt("www.a.example:443", outcomes(known, all_clients()))

    lines = told(found, all_clients(), every=True, width=width).splitlines()

    assert width - 20 < max(map(len, lines)) <= width
    assert all(client.versions.split()[0] in " ".join(lines) for client in all_clients().values())


def test_servers_that_are_set_up_alike_are_equal_whatever_certificates_they_have() -> None:
    """So what clients do with one of them holds for all."""

    def having(host: str, **more: object) -> TlsEvidence:
        leaf = certificate(key_type=KeyType.RSA, key_bits=2048, curve=None, dns_names=(host,), serial=len(host), **more)
        return tls({Protocol.TLS1_2: (AES_GCM,)}, leaf=leaf)

    one, other = server_of(having("a.example")), server_of(having("other.example"))
    assert one == other
    assert repr(one) == repr(other)
    for change in ({"key_usage": ("digitalSignature",)}, {"extended_key_usage": ("1.3.6.1.5.5.7.3.2",)}):
        assert server_of(having("a.example", **change)) != one


def test_a_long_name_does_not_run_into_what_becomes_of_it() -> None:
    clients = all_clients()
    now = outcomes(tls({Protocol.TLS1_2: (AES_GCM,)}), clients)
    lines = told(ClientsAt("a.example:443", now), clients, every=True, width=1000).splitlines()[2:]
    for line, (one, outcome) in zip(lines, now.items(), strict=True):
        name, words = clients[one].title, in_words(outcome)
        assert line.endswith(words)
        between = line.strip()[2:].removeprefix(name).removesuffix(words)
        assert between == ": " or (len(name) <= 34 and between.isspace()), line


def test_one_client_does_not_connect() -> None:
    clients = {"java-7u25": all_clients()["java-7u25"]}
    now = outcomes(tls({Protocol.TLS1_3: (TLS13,)}), clients)
    assert told(ClientsAt("a.example:443", now), clients, every=True).splitlines()[1] == (
        "  0 of 1 client connect, 1 does not"
    )
